"""What is done to equipment and its failure modes."""

from datetime import datetime

from django.db import transaction

from equipment.failure_modes import CLASSES, FOR_EVERY_CLASS
from equipment.models import Equipment, EquipmentClass, Failure, FailureMode
from smartmaint.accounts.models import Organization


@transaction.atomic
def seed_failure_modes(organization: Organization) -> None:
    """Give an organisation the usual equipment classes and failure modes; what is there already stays."""
    EquipmentClass.objects.bulk_create(
        [
            EquipmentClass(organization=organization, code=code, name=name)
            for code, (name, _) in CLASSES.items()
        ],
        ignore_conflicts=True,
    )
    classes = {
        equipment_class.code: equipment_class
        for equipment_class in EquipmentClass.objects.for_organization(organization)
    }
    modes = [(None, code, name) for code, name in FOR_EVERY_CLASS.items()] + [
        (classes[class_code], code, name)
        for class_code, (_, modes_of_class) in CLASSES.items()
        for code, name in modes_of_class.items()
    ]
    FailureMode.objects.bulk_create(
        [
            FailureMode(organization=organization, equipment_class=equipment_class, code=code, name=name)
            for equipment_class, code, name in modes
        ],
        ignore_conflicts=True,
    )


def record_failure(*, equipment: Equipment, failure_mode: FailureMode, failed_at: datetime) -> Failure:
    """Keep a functional failure; telling it twice keeps it once."""
    failure, _ = Failure.objects.get_or_create(
        organization_id=equipment.organization_id,
        equipment=equipment,
        failure_mode=failure_mode,
        failed_at=failed_at,
    )
    return failure


def withdraw_failure(
    *, equipment: Equipment, failure_mode: FailureMode, failed_at: datetime, recorded_from: datetime
) -> Failure | None:
    """Take back a failure that turned out not to have been one; returns it, or None where there is none.

    One recorded before `recorded_from`, when the finding was told that is taken back now, was somebody else's word: it
    stays.
    """
    failure = Failure.objects.filter(
        equipment=equipment, failure_mode=failure_mode, failed_at=failed_at, recorded_at__gte=recorded_from
    ).first()
    if failure is not None:
        failure.delete()
    return failure

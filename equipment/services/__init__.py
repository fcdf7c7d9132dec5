"""What is done to equipment and its failure modes."""

from datetime import datetime

from django.db import transaction

from equipment.failure_modes import CLASSES, FOR_EVERY_CLASS
from equipment.models import Equipment, EquipmentClass, Failure, FailureMode, KeyRestriction
from equipment.signals import failure_recorded, failure_withdrawn
from smartmaint.accounts.models import ApiKey, Organization


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


@transaction.atomic
def record_failure(*, equipment: Equipment, failure_mode: FailureMode, failed_at: datetime) -> Failure:
    """Keep a functional failure; telling it twice keeps it once."""
    failure, is_new = Failure.objects.get_or_create(
        organization_id=equipment.organization_id,
        equipment=equipment,
        failure_mode=failure_mode,
        failed_at=failed_at,
    )
    if is_new:
        failure_recorded.send(sender=Failure, failure=failure)
    return failure


@transaction.atomic
def withdraw_failure(*, failure: Failure) -> None:
    """Take back a failure that turned out not to have been one."""
    failure.delete()
    failure_withdrawn.send(sender=Failure, failure=failure)


def copy_key_restrictions(*, old: ApiKey, new: ApiKey) -> None:
    """Let a key post for the equipment that another one may post for, and for no more; what is there stays."""
    KeyRestriction.objects.bulk_create(
        [
            KeyRestriction(
                organization_id=restriction.organization_id,
                api_key=new,
                equipment_id=restriction.equipment_id,
            )
            for restriction in KeyRestriction.objects.filter(api_key=old)
        ],
        ignore_conflicts=True,
    )

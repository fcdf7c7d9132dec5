"""Suppression by design: while a machine is worked on, its alarms and those below it call nobody."""

from django.db import connection, transaction

from equipment.models import Equipment, State
from sensors.models import AlarmSuppression
from smartmaint import clock
from smartmaint.accounts.models import Organization

_SUPPRESSED = """
    WITH RECURSIVE suppressed(id) AS (
        (
            SELECT id FROM equipment_equipment
            WHERE state = %(maintenance)s AND (%(organization)s::bigint IS NULL OR organization_id = %(organization)s)
            UNION
            SELECT equipment_id FROM sensors_alarmsuppression
            WHERE ended_at IS NULL AND (%(organization)s::bigint IS NULL OR organization_id = %(organization)s)
        )
        UNION
        SELECT child.id FROM equipment_equipment child JOIN suppressed ON child.parent_id = suppressed.id
    )
    SELECT id FROM suppressed
"""


@transaction.atomic
def suppress_alarms(*, equipment: Equipment, key: str, reason: str) -> None:
    """Say that work begins; telling it twice says it once. The agent moves the alarms."""
    AlarmSuppression.objects.bulk_create(
        [
            AlarmSuppression(
                organization_id=equipment.organization_id,
                equipment=equipment,
                key=key,
                reason=reason[:300],
                began_at=clock.now(),
            )
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def lift_suppression(*, equipment: Equipment, key: str) -> None:
    """Say that this work is over; what else suppresses the machine's alarms goes on."""
    AlarmSuppression.objects.filter(equipment=equipment, key=key, ended_at__isnull=True).update(
        ended_at=clock.now()
    )


def suppressed_machines(organization: Organization | None = None) -> set[int]:
    """The keys of machines that are worked on, by a task or by their state, and of all below them."""
    with connection.cursor() as cursor:
        cursor.execute(
            _SUPPRESSED,
            {
                "maintenance": State.MAINTENANCE.value,
                "organization": None if organization is None else organization.pk,
            },
        )
        return {pk for (pk,) in cursor.fetchall()}

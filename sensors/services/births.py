"""What an MQTT bridge remembers of Sparkplug B nodes from one start to the next."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection, transaction

from sensors.ingest.formats.sparkplug import Birth
from sensors.models import SparkplugBirth
from smartmaint import clock
from smartmaint.accounts.models import Organization

# Of no more than the rows that are there: a node without a birth has nothing to go on from.
_COUNT = """
    UPDATE sensors_sparkplugbirth birth SET next_seq = counted.next_seq
    FROM unnest(%s::text[], %s::integer[]) AS counted (speaker, next_seq)
    WHERE birth.organization_id = %s AND birth.session = %s AND birth.speaker = counted.speaker
"""


@dataclass(frozen=True)
class Remembered:
    """The births that were kept, by speaker, and the numbers that nodes come to next."""

    births: dict[str, Birth]
    next_seq: dict[str, int]


def births_of_session(*, organization: Organization, session: str) -> Remembered:
    """What was kept of a session."""
    rows = list(SparkplugBirth.objects.for_organization(organization).filter(session=session))
    return Remembered(
        births={row.speaker: Birth.of(row.metrics, since_ms=row.since_ms) for row in rows},
        next_seq={row.speaker: row.next_seq for row in rows if row.next_seq is not None},
    )


def keep_births(
    *,
    organization: Organization,
    session: str,
    births: Mapping[str, Birth | None],
    next_seq: Mapping[str, int],
) -> None:
    """Keep the newest births, None for a speaker whose birth is over, and the numbers that nodes come to next."""
    with transaction.atomic():
        ended = [speaker for speaker, birth in births.items() if birth is None]
        if ended:
            SparkplugBirth.objects.for_organization(organization).filter(
                session=session, speaker__in=ended
            ).delete()
        SparkplugBirth.objects.bulk_create(
            [
                SparkplugBirth(
                    organization=organization,
                    session=session,
                    speaker=speaker,
                    metrics=birth.metrics(),
                    since_ms=birth.since_ms,
                    told_at=clock.now(),
                )
                for speaker, birth in sorted(births.items())
                if birth is not None
            ],
            update_conflicts=True,
            unique_fields=["organization", "session", "speaker"],
            update_fields=["metrics", "since_ms", "told_at"],
        )
        if next_seq:
            with connection.cursor() as cursor:
                cursor.execute(_COUNT, [list(next_seq), list(next_seq.values()), organization.pk, session])

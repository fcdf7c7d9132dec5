"""What an MQTT bridge remembers of Sparkplug B nodes from one start to the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import CharField, Exists, F, Func, OuterRef, QuerySet, Value
from django.db.models.functions import Concat

from sensors.ingest.formats.sparkplug import Birth
from sensors.models import SparkplugBirth
from smartmaint import clock
from smartmaint.accounts.models import Organization

# A node that says nothing for so long is asked for its births anew, should it come back.
BIRTHS_KEPT = timedelta(days=90)

# Of no more than the rows that are there: a node without a birth has nothing to go on from.
_COUNT = """
    UPDATE sensors_sparkplugbirth birth SET next_seq = counted.next_seq, told_at = %s
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
                cursor.execute(
                    _COUNT,
                    [clock.now(), list(next_seq), list(next_seq.values()), organization.pk, session],
                )


def births_of_silent_nodes(*, before: datetime) -> QuerySet[SparkplugBirth]:
    """What nodes told that said nothing since then, and their devices; those of a node that speaks stay."""
    group, name = (
        Func(F("speaker"), Value("/"), Value(part), function="split_part", output_field=CharField())
        for part in (1, 2)
    )
    node = Concat(group, Value("/"), name, output_field=CharField())
    that_speaks = SparkplugBirth.objects.filter(
        organization=OuterRef("organization"),
        session=OuterRef("session"),
        speaker=OuterRef("node"),
        told_at__gte=before,
    )
    silent = SparkplugBirth.objects.filter(told_at__lt=before).annotate(node=node)
    return silent.filter(~Exists(that_speaks)).order_by("id")

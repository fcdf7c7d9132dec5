"""What an MQTT bridge remembers of Sparkplug B nodes from one start to the next."""

from collections.abc import Mapping

from django.db import transaction

from sensors.ingest.formats.sparkplug import Birth
from sensors.models import SparkplugBirth
from smartmaint import clock
from smartmaint.accounts.models import Organization


def births_of_session(*, organization: Organization, session: str) -> dict[str, Birth]:
    """The births that were kept, by speaker."""
    rows = SparkplugBirth.objects.for_organization(organization).filter(session=session)
    return {row.speaker: Birth.of(row.metrics) for row in rows}


def keep_births(*, organization: Organization, session: str, births: Mapping[str, Birth | None]) -> None:
    """Keep the newest births; None for a speaker whose birth is over."""
    with transaction.atomic():
        ended = [speaker for speaker, birth in births.items() if birth is None]
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
                    told_at=clock.now(),
                )
                for speaker, birth in sorted(births.items())
                if birth is not None
            ],
            update_conflicts=True,
            unique_fields=["organization", "session", "speaker"],
            update_fields=["metrics", "told_at"],
        )

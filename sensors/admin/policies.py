"""An organisation's choices about its readings, with what they mean."""

from datetime import timedelta

from django.contrib import admin
from django.utils.formats import date_format
from django.utils.timezone import localtime

from sensors.models import IngestPolicy, Sensor
from sensors.wording import interval_in_words
from smartmaint import clock
from smartmaint.accounts.scoped_admin import OnlyRowAdmin

USUAL_INTERVAL_S = Sensor._meta.get_field("expected_interval_s").default


@admin.register(IngestPolicy)
class IngestPolicyAdmin(OnlyRowAdmin):
    list_display = ["organization", "unknown_sensors", "retention_days", "rejected_kept", "silence_factor"]
    fieldsets = [
        (
            "Readings that are not stored",
            {"fields": ["unknown_sensors", "rejected_kept", "unknown_in_words"]},
        ),
        ("How long readings are kept", {"fields": ["retention_days", "retention_in_words"]}),
        ("When a sensor is silent", {"fields": ["silence_factor", "silence_in_words"]}),
    ]
    readonly_fields = ["unknown_in_words", "retention_in_words", "silence_in_words"]

    @admin.display(description="this means")
    def unknown_in_words(self, policy: IngestPolicy) -> str:
        if policy.unknown_sensors == IngestPolicy.UnknownSensors.HOLD:
            return (
                "A reading of a sensor that is not known is answered with success and waits in the inbox; "
                f"from {policy.rejected_kept:,} of one key on, more are refused with the code inbox_full."
            )
        return (
            "A reading of a sensor that is not known is refused with the code unknown_sensor. Its sensor is still "
            f"listed under unknown sensors, and the newest {policy.rejected_kept:,} refused readings of each key can "
            "be stored later."
        )

    @admin.display(description="this means")
    def retention_in_words(self, policy: IngestPolicy) -> str:
        oldest = localtime(clock.now() - timedelta(days=policy.retention_days))
        return f"Readings from before {date_format(oldest, 'j M Y')} are deleted for good. What a day amounts to stays."

    @admin.display(description="this means")
    def silence_in_words(self, policy: IngestPolicy) -> str:
        usual, patience = (
            interval_in_words(seconds)
            for seconds in (USUAL_INTERVAL_S, USUAL_INTERVAL_S * policy.silence_factor)
        )
        return (
            f"A sensor that is expected every {usual} is overdue after {patience} without a reading. It becomes an "
            f"anomaly once its sender has sent without it, and after another {patience} at the latest."
        )

"""Alarms: what people handle, their journal, and what keeps them from being told one by one."""

from datetime import datetime

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Case, F, IntegerField, Q, Value, When
from django.urls import reverse
from simple_history.models import HistoricalRecords

from equipment.models import Equipment, FailureMode
from sensors.alarms import states
from sensors.models.anomalies import Anomaly
from smartmaint import clock
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import (
    OrganizationOwned,
    SameOrganization,
    ScopedQuerySet,
    inside_organization,
)
from smartmaint.notifications.models import Severity


class AlarmState(models.TextChoices):
    """The states of ANSI/ISA-18.2; `sensors.alarms.states` holds the way between them."""

    UNACKNOWLEDGED = states.State.UNACKNOWLEDGED.value, "Unacknowledged"
    ACKNOWLEDGED = states.State.ACKNOWLEDGED.value, "Acknowledged"
    RETURNED_UNACKNOWLEDGED = states.State.RETURNED_UNACKNOWLEDGED.value, "Returned, unacknowledged"
    LATCHED_UNACKNOWLEDGED = states.State.LATCHED_UNACKNOWLEDGED.value, "Latched, unacknowledged"
    LATCHED_ACKNOWLEDGED = states.State.LATCHED_ACKNOWLEDGED.value, "Latched, acknowledged"
    SHELVED = states.State.SHELVED.value, "Shelved"
    SUPPRESSED_BY_DESIGN = states.State.SUPPRESSED_BY_DESIGN.value, "Suppressed by design"
    OUT_OF_SERVICE = states.State.OUT_OF_SERVICE.value, "Out of service"
    NORMAL = states.State.NORMAL.value, "Normal"


def _by(column: str, ranked: type[models.TextChoices]) -> Case:
    """The place of a column's value among its choices."""
    return Case(
        *(When(**{column: value}, then=Value(rank)) for rank, value in enumerate(ranked.values)),
        output_field=IntegerField(),
    )


class AlarmQuerySet(ScopedQuerySet):
    def open(self) -> "AlarmQuerySet":
        return self.exclude(state=AlarmState.NORMAL)

    def annunciated(self) -> "AlarmQuerySet":
        """What people see as alarms: open, and not set aside."""
        return self.filter(state__in=states.ANNUNCIATED)

    def unanswered(self) -> "AlarmQuerySet":
        """Those that nobody has acknowledged."""
        return self.filter(state__in=states.UNANSWERED)

    def set_aside(self) -> "AlarmQuerySet":
        return self.filter(state__in=states.SET_ASIDE)

    def worst_first(self) -> "AlarmQuerySet":
        """By severity, then the newest."""
        return self.order_by(_by("severity", Severity), F("annunciated_at").desc(nulls_last=True), "-pk")


class Alarm(OrganizationOwned):
    """A way in which a machine is not as it should be, told to people: one is open per machine and failure mode."""

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="alarms")
    failure_mode = models.ForeignKey(FailureMode, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=30, choices=AlarmState, default=AlarmState.NORMAL)
    severity = models.CharField(max_length=10, choices=Severity)
    summary = models.CharField(max_length=300, help_text="What was noticed last, in words.")
    is_active = models.BooleanField(
        "condition is abnormal", default=True, help_text="An anomaly behind it goes on."
    )
    is_latching = models.BooleanField(
        "latching",
        default=False,
        help_text="It stays until somebody resets it, though its condition has gone.",
    )
    raised_at = models.DateTimeField()
    abnormal_since = models.DateTimeField(
        help_text="When its condition became abnormal, for the last time where it came and went."
    )
    annunciated_at = models.DateTimeField(
        null=True, blank=True, help_text="When people were called last; never for one that was suppressed."
    )
    unanswered_since = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When people were called first of those calls that nobody answered yet.",
    )
    returned_at = models.DateTimeField(null=True, blank=True, help_text="When its condition went.")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    shelved_until = models.DateTimeField(null=True, blank=True)
    assigned_to = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    escalations = models.PositiveSmallIntegerField(default=0, help_text="How often it went to the next role.")
    escalated_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When it went to the next role last."
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    anomalies = models.ManyToManyField(Anomaly, through="AlarmCause", related_name="alarms")

    objects = AlarmQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["organization", "state"], condition=~Q(state="normal"), name="alarm_open"),
            models.Index(fields=["equipment", "-id"], name="alarm_of_equipment"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["equipment", "failure_mode"], condition=~Q(state="normal"), name="alarm_open_once"
            ),
            models.CheckConstraint(condition=Q(state__in=AlarmState.values), name="alarm_state"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alarm_severity"),
            models.CheckConstraint(
                condition=Q(state="normal", closed_at__isnull=False)
                | (~Q(state="normal") & Q(closed_at__isnull=True)),
                name="alarm_normal_is_closed",
            ),
            models.CheckConstraint(
                condition=Q(state="shelved", shelved_until__isnull=False)
                | (~Q(state="shelved") & Q(shelved_until__isnull=True)),
                name="alarm_shelved_for_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["acknowledged", "latched_acknowledged"])
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
                name="alarm_acknowledged_by_somebody",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True)
                | (~Q(state__in=["unacknowledged", "acknowledged"]) & Q(returned_at__isnull=False)),
                name="alarm_standing_is_abnormal",
            ),
            SameOrganization(field="equipment", name="alarm_equipment_same_organization"),
            SameOrganization(field="failure_mode", name="alarm_mode_same_organization"),
            inside_organization(),
        ]

    def __str__(self) -> str:
        return f"{self.equipment.tag} {self.what}"

    @property
    def what(self) -> str:
        """What it warns of, in a few words: its failure mode, if that is known."""
        return "something unusual" if self.failure_mode.is_unknown else self.failure_mode.name

    def get_absolute_url(self) -> str:
        return reverse("alarm", args=[self.pk])

    def may(self, event: states.Event) -> bool:
        return states.may_happen(states.State(self.state), event)

    def note_abnormal(self) -> None:
        """Its condition is abnormal now (the caller saves it)."""
        if not self.is_active:
            self.abnormal_since = clock.now()
        self.is_active, self.returned_at = True, None

    @property
    def back_since(self) -> datetime | None:
        """Since when its condition is abnormal again, where it was normal in between."""
        return self.abnormal_since if self.is_active and self.abnormal_since > self.raised_at else None

    @property
    def is_unanswered(self) -> bool:
        return self.may(states.Event.ACKNOWLEDGED)

    @property
    def is_resettable(self) -> bool:
        return self.may(states.Event.RESET)

    @property
    def is_shelvable(self) -> bool:
        return self.may(states.Event.SHELVED)


class AlarmCause(OrganizationOwned):
    """An anomaly that stands behind an alarm; several may."""

    alarm = models.ForeignKey(Alarm, on_delete=models.CASCADE, related_name="causes")
    anomaly = models.ForeignKey(Anomaly, on_delete=models.PROTECT, related_name="alarm_causes")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["alarm", "anomaly"], name="alarmcause_once"),
            SameOrganization(field="alarm", name="alarmcause_alarm_same_organization"),
            SameOrganization(field="anomaly", name="alarmcause_anomaly_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.anomaly} behind {self.alarm}"


class EntryKind(models.TextChoices):
    """What a line of an alarm's journal tells: an event of the table of transitions, or something beside it."""

    RAISED = states.Event.RAISED.value, "raised"
    WORSENED = states.Event.WORSENED.value, "got worse"
    RETURNED = states.Event.RETURNED.value, "returned to normal"
    ACKNOWLEDGED = states.Event.ACKNOWLEDGED.value, "acknowledged"
    RESET = states.Event.RESET.value, "reset"
    SHELVED = states.Event.SHELVED.value, "shelved"
    UNSHELVED = states.Event.UNSHELVED.value, "unshelved"
    SUPPRESSED = states.Event.SUPPRESSED.value, "suppressed by design"
    UNSUPPRESSED = states.Event.UNSUPPRESSED.value, "no longer suppressed"
    TAKEN_OUT = states.Event.TAKEN_OUT.value, "taken out of service"
    PUT_BACK = states.Event.PUT_BACK.value, "put back into service"
    COMMENT = "comment", "comment"
    ASSIGNED = "assigned", "assigned"
    ESCALATED = "escalated", "escalated"


class AlarmEntry(OrganizationOwned):
    """One line of an alarm's journal: who did what, when, and from which state it led to which."""

    alarm = models.ForeignKey(Alarm, on_delete=models.CASCADE, related_name="entries")
    kind = models.CharField(max_length=20, choices=EntryKind)
    at = models.DateTimeField(default=clock.now)
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    from_state = models.CharField(max_length=30, choices=AlarmState)
    to_state = models.CharField(max_length=30, choices=AlarmState)
    severity = models.CharField(max_length=10, choices=Severity, help_text="Of the alarm, then.")
    is_annunciation = models.BooleanField(default=False, help_text="People were called by it.")
    told_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When people were sent a message of its own."
    )
    comment = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["at", "id"]
        verbose_name = "journal entry"
        verbose_name_plural = "journal entries"
        indexes = [
            models.Index(fields=["alarm", "at"], name="alarmentry_of_alarm"),
            models.Index(
                fields=["organization", "at"],
                condition=Q(is_annunciation=True),
                name="alarmentry_annunciations",
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=EntryKind.values), name="alarmentry_kind"),
            models.CheckConstraint(
                condition=Q(from_state__in=AlarmState.values, to_state__in=AlarmState.values),
                name="alarmentry_states",
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alarmentry_severity"),
            models.CheckConstraint(
                condition=Q(is_annunciation=False)
                | (Q(to_state="unacknowledged") & ~Q(from_state="unacknowledged")),
                name="alarmentry_annunciates_once",
            ),
            models.CheckConstraint(
                condition=~Q(kind="comment") | ~Q(comment=""), name="alarmentry_comment_has_words"
            ),
            SameOrganization(field="alarm", name="alarmentry_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.alarm}: {self.get_kind_display()}"

    @property
    def is_call(self) -> bool:
        """Whether the alarm calls for people by it: it was not standing unacknowledged, or has become worse."""
        has_worsened = self.kind == EntryKind.WORSENED and self.to_state == AlarmState.UNACKNOWLEDGED
        return self.is_annunciation or has_worsened


class AlarmSuppression(OrganizationOwned):
    """That alarms of a machine, and of what stands below it, mean nothing: it is being worked on."""

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="alarm_suppressions")
    key = models.CharField(max_length=100, help_text="What suppresses, such as a task; it lifts it again.")
    reason = models.CharField(max_length=300)
    began_at = models.DateTimeField(default=clock.now)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["equipment", "key"], condition=Q(ended_at__isnull=True), name="alarmsuppression_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")),
                name="alarmsuppression_ends_after_it_begins",
            ),
            SameOrganization(field="equipment", name="alarmsuppression_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.equipment}: {self.reason}"


class AlarmFlood(OrganizationOwned):
    """A time in which more alarms came than anybody can read: people were told of all of them at once."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    alarms = models.PositiveIntegerField(default=0, help_text="How many came while it lasted.")
    severity = models.CharField(
        max_length=10,
        choices=Severity,
        default=Severity.WARNING,
        help_text="The worst that people were told of.",
    )

    class Meta:
        ordering = ["-began_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=Q(ended_at__isnull=True), name="alarmflood_open_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("began_at")),
                name="alarmflood_ends_after_it_begins",
            ),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alarmflood_severity"),
        ]

    def __str__(self) -> str:
        return f"flood of alarms, {self.began_at:%Y-%m-%d %H:%M}"


class AlarmPolicy(OrganizationOwned):
    """One organisation's choices about its alarms."""

    escalate_critical_min = models.PositiveIntegerField(
        "critical: next role after (min)",
        null=True,
        blank=True,
        default=15,
        validators=[MinValueValidator(1)],
        help_text="How long an alarm may stay unacknowledged before the next role is told; empty: for ever.",
    )
    escalate_major_min = models.PositiveIntegerField(
        "major: next role after (min)", null=True, blank=True, default=60, validators=[MinValueValidator(1)]
    )
    escalate_minor_min = models.PositiveIntegerField(
        "minor: next role after (min)", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    flood_from = models.PositiveSmallIntegerField(
        "flood above (alarms in 10 min)",
        default=10,
        validators=[MinValueValidator(1)],
        help_text="EEMUA 191: more than 10 in ten minutes is a flood; then one message tells of all.",
    )
    longest_shelving_h = models.PositiveSmallIntegerField(
        "longest shelving (h)",
        default=72,
        validators=[MinValueValidator(1), MaxValueValidator(720)],
        help_text="For how long at most an alarm may be shelved.",
    )
    operators = models.PositiveSmallIntegerField(
        "people on watch",
        default=1,
        validators=[MinValueValidator(1)],
        help_text="How many share the alarms at a time: the key figures are per person and hour.",
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name_plural = "alarm policies"
        constraints = [
            models.UniqueConstraint(fields=["organization"], name="alarmpolicy_once"),
            models.CheckConstraint(
                condition=Q(flood_from__gte=1, operators__gte=1), name="alarmpolicy_at_least_one"
            ),
            models.CheckConstraint(
                condition=Q(longest_shelving_h__gte=1, longest_shelving_h__lte=720),
                name="alarmpolicy_shelving",
            ),
        ]

    def __str__(self) -> str:
        return f"alarm policy of {self.organization}"

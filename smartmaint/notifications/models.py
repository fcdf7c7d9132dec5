"""What people are told, each message once, and what each of them wants to be told."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from smartmaint import clock
from smartmaint.accounts.models import User
from smartmaint.accounts.scoping import OrganizationOwned, ScopedQuerySet
from smartmaint.queues import PendingWork, PendingWorkQuerySet, one_place, queue_indexes


class Severity(models.TextChoices):
    """How much something matters, the most first; the words of alarms."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"

    @property
    def rank(self) -> int:
        """0 for what matters most."""
        return list(Severity).index(self)


USUAL_SEVERITIES = (Severity.CRITICAL, Severity.MAJOR)


def usual_severities() -> list[str]:
    return [severity.value for severity in USUAL_SEVERITIES]


class NotificationPreference(OrganizationOwned):
    """What one person wants to hear from one organisation. Without a row the usual holds."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notification_preferences")
    severities = ArrayField(
        models.CharField(max_length=10, choices=Severity),
        default=usual_severities,
        blank=True,
        help_text="What you are told of. Nothing chosen: nothing at all, except what is assigned to you.",
    )
    by_email = models.BooleanField(
        "by e-mail", default=True, help_text="Off: messages stand on this page alone."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="notificationpreference_once"),
            models.CheckConstraint(
                condition=Q(severities__contained_by=Severity.values),
                name="notificationpreference_severities",
            ),
        ]

    def __str__(self) -> str:
        return f"what {self.user} wants to be told"


class Channel(models.TextChoices):
    """The way a message went."""

    EMAIL = "email", "e-mail"
    LOG = "log", "log only"


class NotificationQuerySet(ScopedQuerySet, PendingWorkQuerySet):
    pass


class Notification(OrganizationOwned, PendingWork):
    """One message for one person about one event. Pending until it is delivered."""

    recipient = models.ForeignKey(User, on_delete=models.PROTECT, related_name="notifications")
    key = models.CharField(max_length=200, help_text="Names the event: nobody is told twice of the same.")
    severity = models.CharField(max_length=10, choices=Severity)
    about = models.CharField(max_length=200, blank=True, help_text="What it is about, such as a machine.")
    subject = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    link = models.CharField(max_length=500, blank=True, help_text="The page to open, from the root on.")
    created_at = models.DateTimeField(default=clock.now)
    delivered_at = models.DateTimeField(null=True, blank=True)
    channel = models.CharField(max_length=10, choices=Channel, blank=True)
    remark = models.CharField(max_length=200, blank=True, help_text="Why it went this way.")

    objects = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            *queue_indexes(),
            models.Index(fields=["recipient", "organization", "-id"], name="notification_of_person"),
        ]
        constraints = [
            one_place(),
            models.UniqueConstraint(fields=["organization", "recipient", "key"], name="notification_once"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="notification_severity"),
            models.CheckConstraint(
                condition=Q(channel="", delivered_at__isnull=True)
                | Q(channel__in=Channel.values, delivered_at__isnull=False),
                name="notification_delivered_by_a_channel",
            ),
            models.CheckConstraint(
                condition=Q(link="") | Q(link__startswith="/"), name="notification_link_is_a_page"
            ),
        ]

    def __str__(self) -> str:
        return self.subject

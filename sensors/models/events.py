"""What the controllers of machines report by themselves."""

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.timezone import localtime

from equipment.models import Equipment
from smartmaint import clock
from smartmaint.accounts.models import ApiKey
from smartmaint.accounts.scoping import OrganizationOwned, SameOrganization


class MachineEvent(OrganizationOwned):
    """A fault, an error or a change of state of one machine, as its controller reported it.

    The same code of a machine at the same moment is one event, however often it is sent.
    """

    class Kind(models.TextChoices):
        FAULT = "fault"
        ERROR = "error"
        WARNING = "warning"
        STATE = "state", "State"
        OTHER = "other"

    equipment = models.ForeignKey(Equipment, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.ERROR)
    code = models.CharField(
        max_length=100,
        validators=[RegexValidator(r"^[^\x00-\x1f\x7f]+$")],
        help_text="What the controller calls it.",
    )
    at = models.DateTimeField(help_text="When it happened, by the controller.")
    message = models.TextField(blank=True)
    api_key = models.ForeignKey(
        ApiKey,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        verbose_name="API key",
        db_index=False,  # the second index below has it
    )
    received_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["equipment", "-at"], name="machineevent_of_machine"),
            models.Index(fields=["api_key", "received_at"], name="machineevent_of_key"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["equipment", "code", "at"], name="machineevent_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["fault", "error", "warning", "state", "other"]),
                name="machineevent_kind",
            ),
            models.CheckConstraint(condition=~Q(code=""), name="machineevent_has_a_code"),
            SameOrganization(field="equipment", name="machineevent_equipment_same_organization"),
            SameOrganization(field="api_key", name="machineevent_key_same_organization"),
        ]

    def __str__(self) -> str:
        return f"{self.equipment.tag} {self.code}, {localtime(self.at):%Y-%m-%d %H:%M}"

"""What an MQTT bridge must remember of Sparkplug B nodes, so that it understands them after it was started anew."""

from django.db import models

from smartmaint import clock
from smartmaint.accounts.scoping import OrganizationOwned


class SparkplugBirth(OrganizationOwned):
    """The metrics that a node or device announced last; its messages since then may name them by alias alone.

    `told_at` is when it did, and of a node moves on with the numbers of its messages: when it last spoke.
    """

    session = models.CharField(max_length=100, help_text="The bridge's client ID.")
    speaker = models.CharField(max_length=500, help_text="GROUP/NODE or GROUP/NODE/DEVICE.")
    metrics = models.JSONField(help_text="Name, alias or null, and datatype of each metric.")
    since_ms = models.BigIntegerField(
        null=True, help_text="The node's own time, in ms since 1970, from which on the metrics were these."
    )
    next_seq = models.PositiveSmallIntegerField(
        null=True,
        help_text="The number of the node's next message; with its own birth, not with its devices'.",
    )
    told_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = "Sparkplug birth"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "session", "speaker"], name="sparkplugbirth_speaker_once"
            ),
        ]

    def __str__(self) -> str:
        return self.speaker

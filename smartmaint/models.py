"""What the installation knows of itself."""

from django.db import models


class AgentRun(models.Model):
    """The latest run of an agent: proof that beat, broker and worker are alive (wall-clock times)."""

    name = models.CharField(max_length=100, unique=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    settled = models.PositiveIntegerField(default=0, help_text="Rows that were done.")
    failed = models.PositiveIntegerField(default=0, help_text="Rows that failed and will be tried again.")
    overtaken = models.PositiveIntegerField(default=0, help_text="Rows that another worker had taken over.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

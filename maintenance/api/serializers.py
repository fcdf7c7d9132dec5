from django.db.models import F
from rest_framework import serializers

from equipment.models import FailureMode, Verdict
from maintenance.models import MaintenanceLog, MaintenanceTask


class TaskSerializer(serializers.ModelSerializer):
    number = serializers.CharField()
    equipment = serializers.CharField(source="equipment.tag")
    failure_mode = serializers.CharField(source="failure_mode.code")
    technician = serializers.CharField(source="technician.user.username", default=None)
    booked_from = serializers.SerializerMethodField()
    booked_to = serializers.SerializerMethodField()

    class Meta:
        model = MaintenanceTask
        fields = [
            "id",
            "number",
            "title",
            "description",
            "equipment",
            "failure_mode",
            "type",
            "priority",
            "status",
            "prediction",
            "technician",
            "booked_from",
            "booked_to",
            "not_booked_because",
            "required_by",
            "duration_minutes",
            "created_at",
            "started_at",
            "closed_at",
            "hold_reason",
            "cancel_reason",
        ]

    def get_booked_from(self, task: MaintenanceTask) -> str | None:
        return task.active_booking and task.active_booking.period.lower.isoformat()

    def get_booked_to(self, task: MaintenanceTask) -> str | None:
        return task.active_booking and task.active_booking.period.upper.isoformat()


class FindingBody(serializers.Serializer):
    """What a technician tells when the job is done."""

    verdict = serializers.ChoiceField(choices=Verdict.choices)
    failure_mode = serializers.CharField(
        required=False, help_text="Code of the mode found; without it the task's."
    )
    cause = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    remedy = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    notes = serializers.CharField(required=False, allow_blank=True, max_length=5000)
    downtime_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=5_000_000
    )
    labour_minutes = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=5_000_000
    )

    def validate_failure_mode(self, code: str) -> FailureMode:
        """Of several modes with this code the task's own, else that of the machine's class, else the general one."""
        task: MaintenanceTask = self.context["task"]
        if task.failure_mode.code == code:
            return task.failure_mode
        modes = FailureMode.objects.for_organization(task.organization).of_class(
            task.equipment.equipment_class
        )
        mode = modes.filter(code=code).order_by(F("equipment_class_id").asc(nulls_last=True)).first()
        if mode is None:
            raise serializers.ValidationError(f"Such equipment has no failure mode {code}.")
        return mode


class LogSerializer(serializers.ModelSerializer):
    failure_mode = serializers.CharField(source="failure_mode.code")

    class Meta:
        model = MaintenanceLog
        fields = [
            "id",
            "task",
            "completed_at",
            "verdict",
            "failure_mode",
            "cause",
            "remedy",
            "notes",
            "downtime_minutes",
            "labour_minutes",
        ]

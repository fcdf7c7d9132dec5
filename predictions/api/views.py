from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView

from predictions.models import Prediction
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import Role, Scope


class PredictionSerializer(serializers.ModelSerializer):
    sensor = serializers.CharField(source="sensor.key")
    equipment = serializers.CharField(source="sensor.equipment.tag")
    failure_mode = serializers.CharField(source="failure_mode.code")
    level = serializers.CharField(
        source="limit.level", default="", help_text="Empty where it is of no limit, after an anomaly."
    )
    outcome = serializers.SerializerMethodField()

    class Meta:
        model = Prediction
        fields = [
            "id",
            "sensor",
            "equipment",
            "failure_mode",
            "level",
            "limit_value",
            "status",
            "not_possible_because",
            "trigger",
            "anomaly",
            "requested_at",
            "made_at",
            "cutoff_at",
            "is_already_beyond",
            "p_1d",
            "p_7d",
            "p_14d",
            "p_30d",
            "p_90d",
            "passes_p10_at",
            "passes_p50_at",
            "passes_p90_at",
            "model_name",
            "model_version",
            "explanation",
            "outcome",
        ]

    def get_outcome(self, prediction: Prediction) -> str | None:
        outcome = getattr(prediction, "outcome", None)
        return (outcome and outcome.outcome) or None


class PredictionQueries:
    required_scope, required_role = Scope.READ, Role.VIEWER
    serializer_class = PredictionSerializer

    def get_queryset(self) -> QuerySet[Prediction]:
        if getattr(self, "swagger_fake_view", False):
            return Prediction.objects.none()
        return (
            Prediction.objects.for_organization(organization_of(self.request))
            .select_related(
                "sensor__equipment", "limit__failure_mode", "anomaly__limit__failure_mode", "outcome"
            )
            .defer("path", "settings", "input_quality")
        )


@extend_schema(tags=["predictions"])
class PredictionList(PredictionQueries, ListAPIView):
    """The ledger, newest first."""


@extend_schema(tags=["predictions"])
class PredictionDetail(PredictionQueries, RetrieveAPIView):
    """One prediction, as it was made."""

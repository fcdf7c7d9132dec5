import math

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from sensors.models import Anomaly, Limit, Sensor


class LimitSerializer(serializers.ModelSerializer):
    failure_mode = serializers.CharField(source="failure_mode.code")

    class Meta:
        model = Limit
        fields = ["level", "value", "dead_band", "on_delay_s", "failure_mode", "is_active"]


class SensorSerializer(serializers.ModelSerializer):
    equipment = serializers.CharField(source="equipment.tag")
    limits = LimitSerializer(many=True)
    latest = serializers.SerializerMethodField()

    class Meta:
        model = Sensor
        fields = [
            "key",
            "name",
            "equipment",
            "quantity",
            "unit",
            "physical_min",
            "physical_max",
            "max_change_per_min",
            "expected_interval_s",
            "is_active",
            "limits",
            "latest",
        ]

    def get_latest(self, sensor: Sensor) -> dict | None:
        latest = getattr(sensor, "latest", None)
        return latest and {
            "ts": latest.ts,
            "value": finite(latest.value),
            "quality": latest.get_quality_display().lower(),
        }


class ReadingRow(serializers.Serializer):
    """One reading."""

    ts = serializers.DateTimeField()
    value = serializers.FloatField(
        allow_null=True, help_text="In the sensor's unit; null where a bad reading has none."
    )
    quality = serializers.ChoiceField(choices=["good", "uncertain", "bad"])


class BucketRow(serializers.Serializer):
    """What the good and uncertain readings of a bucket of time amount to."""

    ts = serializers.DateTimeField(help_text="Where the bucket starts, in UTC.")
    count = serializers.IntegerField()
    mean = serializers.FloatField()
    min = serializers.FloatField()
    max = serializers.FloatField()


class ReadingsOfSensor(serializers.Serializer):
    """A sensor's readings, in order of time."""

    sensor = serializers.CharField()
    unit = serializers.CharField(help_text="UCUM code.")
    resolution = serializers.ChoiceField(choices=["raw", "5m", "1h", "1d"])
    results = PolymorphicProxySerializer(
        component_name="ReadingOrBucket",
        serializers=[ReadingRow, BucketRow],
        resource_type_field_name=None,
        many=True,
    )
    count = serializers.IntegerField(help_text="How many results there are.")
    next = serializers.DateTimeField(
        allow_null=True, help_text="Where to go on (as from) when the limit has cut the answer short."
    )


class AnomalySerializer(serializers.ModelSerializer):
    sensor = serializers.CharField(source="sensor.key")
    equipment = serializers.CharField(source="sensor.equipment.tag")

    class Meta:
        model = Anomaly
        fields = [
            "id",
            "sensor",
            "equipment",
            "kind",
            "direction",
            "level",
            "pattern",
            "started_at",
            "peak_at",
            "ended_at",
            "peak_value",
            "expected_value",
            "score",
            "status",
            "confidence",
            "reasons",
            "noticed_at",
            "detected_at",
            "validated_at",
        ]


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: a bad reading without a value is null."""
    return value if math.isfinite(value) else None

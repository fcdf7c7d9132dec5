import math

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


class ReadingSerializer(serializers.Serializer):
    ts = serializers.DateTimeField()
    value = serializers.SerializerMethodField()
    quality = serializers.SerializerMethodField()

    def get_value(self, reading) -> float | None:
        return finite(reading.value)

    def get_quality(self, reading) -> str:
        return reading.get_quality_display().lower()


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
            "started_at",
            "peak_at",
            "ended_at",
            "peak_value",
            "expected_value",
            "score",
            "status",
            "confidence",
            "reasons",
            "detected_at",
            "validated_at",
        ]


def finite(value: float) -> float | None:
    """JSON has no NaN and no infinity: a bad reading without a value is null."""
    return value if math.isfinite(value) else None

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from sensors.api.events import EventsView
from sensors.api.ingest import ReadingsView
from sensors.api.reading_back import AnomalyList, SensorDetail, SensorList, SensorReadings
from sensors.api.thingsboard import DeviceTelemetryView, GatewayTelemetryView


class SensorKeyConverter(StringConverter):
    """Keys contain slashes; the database takes no text with a NUL."""

    regex = r"[^\x00]+"


register_converter(SensorKeyConverter, "sensor_key")

urlpatterns = [
    path("readings", ReadingsView.as_view(), name="api-readings"),
    path("events", EventsView.as_view(), name="api-events"),
    path("telemetry", DeviceTelemetryView.as_view(), name="api-telemetry"),
    path("gateway/telemetry", GatewayTelemetryView.as_view(), name="api-gateway-telemetry"),
    path("sensors", SensorList.as_view(), name="api-sensors"),
    # The longer pattern stands first.
    path("sensors/<sensor_key:key>/readings", SensorReadings.as_view(), name="api-sensor-readings"),
    path("sensors/<sensor_key:key>", SensorDetail.as_view(), name="api-sensor"),
    path("anomalies", AnomalyList.as_view(), name="api-anomalies"),
]

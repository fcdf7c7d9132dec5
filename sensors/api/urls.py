from django.urls import path

from sensors.api.ingest import ReadingsView
from sensors.api.reading_back import AnomalyList, ReadingList, SensorDetail, SensorList

urlpatterns = [
    path("readings", ReadingsView.as_view(), name="api-readings"),
    path("sensors", SensorList.as_view(), name="api-sensors"),
    # Keys contain slashes: the longer pattern stands first.
    path("sensors/<path:key>/readings", ReadingList.as_view(), name="api-sensor-readings"),
    path("sensors/<path:key>", SensorDetail.as_view(), name="api-sensor"),
    path("anomalies", AnomalyList.as_view(), name="api-anomalies"),
]

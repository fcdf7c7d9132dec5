from django.urls import path

from sensors.views import alarms, plots

urlpatterns = [
    path("alarms/", alarms.alarm_list, name="alarm-list"),
    path("alarms/count/", alarms.alarm_count, name="alarm-count"),
    path("alarms/<int:pk>/", alarms.alarm, name="alarm"),
    path("alarms/<int:pk>/acknowledge/", alarms.acknowledge, name="alarm-acknowledge"),
    path("alarms/<int:pk>/reset/", alarms.reset, name="alarm-reset"),
    path("alarms/<int:pk>/shelve/", alarms.shelve, name="alarm-shelve"),
    path("alarms/<int:pk>/unshelve/", alarms.unshelve, name="alarm-unshelve"),
    path("alarms/<int:pk>/comment/", alarms.comment, name="alarm-comment"),
    path("alarms/<int:pk>/assign/", alarms.assign, name="alarm-assign"),
    path("alarms/<int:pk>/take-out/", alarms.take_out, name="alarm-take-out"),
    path("alarms/<int:pk>/put-back/", alarms.put_back, name="alarm-put-back"),
    path("plots/sensor/<int:pk>.json", plots.sensor_plot, name="sensor-plot"),
    path("plots/anomaly/<int:pk>.json", plots.anomaly_plot, name="anomaly-plot"),
    path("plots/usage/<int:pk>.json", plots.usage_plot, name="usage-plot"),
]

from django.urls import path

from sensors import views

urlpatterns = [
    path("plots/sensor/<int:pk>.json", views.sensor_plot, name="sensor-plot"),
    path("plots/anomaly/<int:pk>.json", views.anomaly_plot, name="anomaly-plot"),
    path("plots/usage/<int:pk>.json", views.usage_plot, name="usage-plot"),
]

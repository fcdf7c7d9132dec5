from django.urls import path

from predictions import views

urlpatterns = [
    path("plots/prediction/<int:pk>.json", views.prediction_plot, name="prediction-plot"),
    path("plots/reliability.json", views.reliability_plot, name="reliability-plot"),
]

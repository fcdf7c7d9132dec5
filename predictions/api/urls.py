from django.urls import path

from predictions.api.views import PredictionDetail, PredictionList

urlpatterns = [
    path("predictions", PredictionList.as_view(), name="api-predictions"),
    path("predictions/<int:pk>", PredictionDetail.as_view(), name="api-prediction"),
]

"""The plot of a prediction, as JSON for BokehJS."""

from bokeh.embed import json_item
from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from predictions.models import Prediction
from predictions.plots import describe_prediction, plot_prediction
from sensors.views import look_of
from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role


@require_safe
@role_required(Role.VIEWER)
def prediction_plot(request: HttpRequest, pk: int) -> JsonResponse:
    predictions = Prediction.objects.for_organization(organization_of(request))
    prediction = get_object_or_404(predictions.select_related("sensor__organization", "limit__sensor"), pk=pk)
    plot = plot_prediction(prediction, look=look_of(request))
    return JsonResponse({"plot": json_item(plot), "words": describe_prediction(prediction)})

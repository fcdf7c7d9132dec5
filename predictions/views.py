"""The plots of predictions, as JSON for BokehJS."""

from bokeh.embed import json_item
from django.http import HttpRequest, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from predictions.accuracy import reliability
from predictions.accuracy_query import BadQuery, read_query
from predictions.models import Prediction
from predictions.plots import describe_prediction, describe_reliability, plot_prediction, plot_reliability
from predictions.services.accuracy import TooMuchToRead, read_scores
from sensors.views.plots import look_of
from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role


@require_safe
@role_required(Role.VIEWER)
def prediction_plot(request: HttpRequest, pk: int) -> JsonResponse:
    predictions = Prediction.objects.for_organization(organization_of(request))
    prediction = get_object_or_404(predictions.select_related("sensor__organization", "limit__sensor"), pk=pk)
    plot = plot_prediction(prediction, look=look_of(request))
    return JsonResponse({"plot": json_item(plot), "words": describe_prediction(prediction)})


@require_safe
@role_required(Role.VIEWER)
def reliability_plot(request: HttpRequest) -> HttpResponseBase:
    """The reliability diagram of the organisation, asked like the page of accuracy."""
    try:
        query = read_query(request.GET, [organization_of(request)])
        scores = read_scores(query.selection)
    except BadQuery as error:
        return HttpResponseBadRequest(str(error))
    except TooMuchToRead as error:
        return JsonResponse({"plot": None, "words": f"{error} Choose a shorter time."})
    bins = reliability(scores.of_bins[query.ahead])
    plot = plot_reliability(bins, days=query.ahead, look=look_of(request))
    is_drawn = any(one.observed is not None for one in bins)
    words = describe_reliability(bins, days=query.ahead)
    return JsonResponse({"plot": json_item(plot) if is_drawn else None, "words": words})

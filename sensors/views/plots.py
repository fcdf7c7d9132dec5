"""Plots of sensors, as JSON for BokehJS."""

from datetime import datetime, timedelta

from bokeh.embed import json_item
from django.http import HttpRequest, HttpResponseBadRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from sensors.models import Anomaly, KeyUsage, Sensor
from sensors.plots import DARK, LIGHT, Look, describe, plot_sensor, read_series, window_around
from sensors.plots.usage import QUANTITIES, describe_rates, plot_rates
from sensors.services.usage import WINDOWS, TooMuchToRead, read_rates
from smartmaint import clock
from smartmaint.accounts.access import organization_of, role_required
from smartmaint.accounts.models import Role

DEFAULT_DAYS = 7
MAX_DAYS = 400


@require_safe
@role_required(Role.VIEWER)
def sensor_plot(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The last `days` of a sensor."""
    days = request.GET.get("days", str(DEFAULT_DAYS))
    if not (days.isascii() and days.isdigit() and 1 <= int(days) <= MAX_DAYS):
        return HttpResponseBadRequest(f"days is a whole number from 1 to {MAX_DAYS}.")
    sensors = Sensor.objects.for_organization(organization_of(request))
    sensor = get_object_or_404(sensors.select_related("organization", "latest"), pk=pk)
    end = clock.now()
    return _answer(request, sensor, end - timedelta(days=int(days)), end)


@require_safe
@role_required(Role.VIEWER)
def anomaly_plot(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The time around an anomaly."""
    anomalies = Anomaly.objects.for_organization(organization_of(request))
    anomaly = get_object_or_404(anomalies.select_related("sensor__organization", "sensor__latest"), pk=pk)
    return _answer(request, anomaly.sensor, *window_around(anomaly))


@require_safe
@role_required(Role.MANAGER)
def usage_plot(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Requests or readings that came with a key, over one of the windows."""
    window, quantity = WINDOWS.get(request.GET.get("window", "hour")), request.GET.get("of", "readings")
    if window is None or quantity not in QUANTITIES:
        return HttpResponseBadRequest(f"window is one of {', '.join(WINDOWS)}; of is requests or readings.")
    keys = KeyUsage.objects.for_organization(organization_of(request)).select_related("organization")
    api_key = get_object_or_404(keys, pk=pk)
    try:
        rates = read_rates(api_key, window=window)
    except TooMuchToRead as error:
        return JsonResponse({"plot": None, "words": f"{error} Choose a shorter time."})
    plot = None if rates.is_empty else plot_rates(rates, api_key, quantity=quantity, look=look_of(request))
    return JsonResponse({"plot": plot and json_item(plot), "words": describe_rates(rates, quantity=quantity)})


def look_of(request: HttpRequest) -> Look:
    """Colours for the page that asks, which knows whether it is dark."""
    return DARK if request.GET.get("look") == "dark" else LIGHT


def _answer(request: HttpRequest, sensor: Sensor, begin: datetime, end: datetime) -> JsonResponse:
    series = read_series(sensor, begin=begin, end=end)
    plot = plot_sensor(sensor, begin=begin, end=end, look=look_of(request), series=series)
    return JsonResponse({"plot": json_item(plot) if len(series) else None, "words": describe(series, sensor)})

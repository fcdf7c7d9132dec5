"""Sensors, readings by range, and anomalies; of the caller's own organisation."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.dateparse import parse_datetime
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from sensors.api.serializers import AnomalySerializer, ReadingSerializer, SensorSerializer
from sensors.models import Anomaly, AnomalyStatus, Reading, Sensor
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import Role, Scope


class SensorList(ListAPIView):
    """Sensors with their limits and latest reading."""

    serializer_class = SensorSerializer
    required_scope, required_role = Scope.READ, Role.VIEWER

    def get_queryset(self) -> QuerySet[Sensor]:
        return sensors_of(self.request)


class SensorDetail(RetrieveAPIView):
    serializer_class = SensorSerializer
    required_scope, required_role = Scope.READ, Role.VIEWER
    lookup_field = "key"

    def get_queryset(self) -> QuerySet[Sensor]:
        return sensors_of(self.request)


class ReadingPages(CursorPagination):
    """By time, so that a page stays the same while readings come in."""

    ordering = "ts"
    page_size = 1_000
    page_size_query_param = "limit"
    max_page_size = 10_000


@extend_schema(
    parameters=[
        OpenApiParameter("from", str, description="Not before this moment (ISO 8601 with an offset)."),
        OpenApiParameter("to", str, description="Before this moment (ISO 8601 with an offset)."),
    ]
)
class ReadingList(ListAPIView):
    """One sensor's readings by range, in pages."""

    serializer_class = ReadingSerializer
    pagination_class = ReadingPages
    required_scope, required_role = Scope.READ, Role.VIEWER

    def get_queryset(self) -> QuerySet[Reading]:
        if getattr(self, "swagger_fake_view", False):
            return Reading.objects.none()
        sensor = get_object_or_404(
            Sensor.objects.for_organization(organization_of(self.request)), key=self.kwargs["key"]
        )
        readings = Reading.objects.filter(sensor=sensor)
        if begin := moment_in_query(self.request, "from"):
            readings = readings.filter(ts__gte=begin)
        if end := moment_in_query(self.request, "to"):
            readings = readings.filter(ts__lt=end)
        return readings


@extend_schema(parameters=[OpenApiParameter("status", str, enum=AnomalyStatus.values)])
class AnomalyList(ListAPIView):
    """Anomalies, newest first, with how they were judged and why."""

    serializer_class = AnomalySerializer
    required_scope, required_role = Scope.READ, Role.VIEWER

    def get_queryset(self) -> QuerySet[Anomaly]:
        if getattr(self, "swagger_fake_view", False):
            return Anomaly.objects.none()
        anomalies = Anomaly.objects.for_organization(organization_of(self.request))
        anomalies = anomalies.select_related("sensor__equipment")
        status = choice_in_query(self.request, "status", AnomalyStatus.values)
        return anomalies.filter(status=status) if status else anomalies


def sensors_of(request: Request) -> QuerySet[Sensor]:
    return (
        Sensor.objects.for_organization(organization_of(request))
        .select_related("equipment", "latest")
        .prefetch_related("limits__failure_mode")
    )


def choice_in_query(request: Request, name: str, choices: Sequence[str]) -> str | None:
    """One of the choices from the query string, None when it is not there; raises ValidationError (400)."""
    text = request.query_params.get(name)
    if not text:
        return None
    if text not in choices:
        raise ValidationError({name: f"Choose one of {', '.join(choices)}."})
    return text


def moment_in_query(request: Request, name: str) -> datetime | None:
    """An aware moment from the query string, None when it is not there; raises ValidationError (400)."""
    text = request.query_params.get(name)
    if not text:
        return None
    # An unescaped plus of an offset arrives as a space.
    try:
        moment = parse_datetime(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError({name: "Write a moment in ISO 8601 with an offset, like 2026-11-22T10:00:00Z."})
    return moment

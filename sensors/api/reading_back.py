"""Sensors, readings by range, and anomalies; of the caller's own organisation."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain

from django.db.models import QuerySet
from django.http import Http404, StreamingHttpResponse
from django.utils.dateparse import parse_datetime
from django.utils.http import content_disposition_header
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from sensors.api.reading_text import Wanted, csv_text, json_text
from sensors.api.serializers import AnomalySerializer, ReadingsOfSensor, SensorSerializer
from sensors.models import Anomaly, AnomalyStatus, Sensor
from sensors.services.reading_back import Resolution, choose_resolution
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import Role, Scope

INSTANT = timedelta(microseconds=1)
# Moments beyond these are taken for these: no reading lies there, and every calendar can count from them.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
LARGEST_LIMIT = 1_000_000_000


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


class ReadingFormats(DefaultContentNegotiation):
    """What is not offered is refused in words, where DRF would say that there is nothing at this address."""

    def filter_renderers(self, renderers: Iterable[BaseRenderer], format: str) -> list[BaseRenderer]:
        there = list(renderers)
        try:
            return super().filter_renderers(there, format)
        except Http404:
            offered = " or ".join(renderer.format for renderer in there)
            raise ValidationError({"format": f"Choose {offered}."}) from None


class CsvRenderer(BaseRenderer):
    """Names CSV to the content negotiation; the lines are written by `reading_text`."""

    media_type, format = "text/csv", "csv"


PARAMETERS = ("from", "to", "resolution", "limit", "format")


@extend_schema(
    parameters=[
        OpenApiParameter("from", str, description="Not before this moment (ISO 8601 with an offset)."),
        OpenApiParameter("to", str, description="Before this moment (ISO 8601 with an offset)."),
        OpenApiParameter(
            "resolution",
            str,
            enum=["auto", *Resolution],
            default="auto",
            description="Single readings, or buckets of time. By itself the finest that is about 2,000 rows at most.",
        ),
        OpenApiParameter("limit", int, description="At most so many rows, the first ones."),
        OpenApiParameter("format", str, enum=["json", "csv"], description="As the header Accept would say."),
    ],
    responses={(200, "application/json"): ReadingsOfSensor, (200, "text/csv"): str},
)
class SensorReadings(APIView):
    """One sensor's readings by range, as a stream of any length.

    The header X-Resolution says what the rows are. An answer that breaks off is no complete JSON; of CSV, the header
    X-Row-Count says how many rows there are to come.
    """

    renderer_classes = [JSONRenderer, CsvRenderer]
    content_negotiation_class = ReadingFormats
    required_scope, required_role = Scope.READ, Role.VIEWER

    def get(self, request: Request, key: str) -> StreamingHttpResponse:
        sensor = Sensor.objects.for_organization(organization_of(request)).filter(key=key).first()
        if sensor is None:
            raise NotFound("There is no sensor of that key.")
        if unknown := sorted(set(request.query_params).difference(PARAMETERS)):
            raise ValidationError(
                {unknown[0]: f"There is no such parameter. There are {', '.join(PARAMETERS)}."}
            )
        begin, end = range_in_query(request)
        limit = count_in_query(request, "limit")
        chosen = choice_in_query(request, "resolution", ["auto", *Resolution]) or "auto"
        if chosen == "auto":
            resolution = choose_resolution(sensor.pk, after=begin and begin - INSTANT, until=end - INSTANT)
        else:
            resolution = Resolution(chosen)
        # Buckets are whole: the one in which the range begins counts.
        after = begin and begin - max(resolution.width, INSTANT)
        wanted = Wanted(sensor=sensor, resolution=resolution, after=after, until=end - INSTANT, limit=limit)
        if request.accepted_renderer.format == CsvRenderer.format:
            return _csv_answer(wanted)
        return _stream(json_text(wanted), wanted, "application/json")


def _csv_answer(wanted: Wanted) -> StreamingHttpResponse:
    answer = _stream(csv_text(wanted), wanted, "text/csv; charset=utf-8; header=present")
    answer["X-Row-Count"] = str(wanted.count())
    answer["Content-Disposition"] = content_disposition_header(
        True, f"{wanted.sensor.key}.csv".replace("/", "_")
    )
    return answer


def _stream(text: Iterator[str], wanted: Wanted, content_type: str) -> StreamingHttpResponse:
    """What fails before the first rows are there is still answered as a problem."""
    beginning = next(text)
    return StreamingHttpResponse(
        chain((beginning,), text), content_type=content_type, headers={"X-Resolution": wanted.resolution}
    )


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


def range_in_query(request: Request) -> tuple[datetime | None, datetime]:
    """The moments `from` (None: the first there is) and `to` (the last); raises ValidationError (400)."""
    begin, end = moment_in_query(request, "from"), moment_in_query(request, "to")
    if begin and end and begin > end:
        raise ValidationError({"from": "It lies after to."})
    return begin and min(max(begin, EARLIEST), LATEST), min(max(end or LATEST, EARLIEST), LATEST)


def count_in_query(request: Request, name: str) -> int | None:
    """A positive number from the query string, None when it is not there; raises ValidationError (400)."""
    text = request.query_params.get(name)
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_LIMIT))
    if not (is_number and 1 <= int(text) <= LARGEST_LIMIT):
        raise ValidationError({name: f"Write a whole number from 1 to {LARGEST_LIMIT:,}."})
    return int(text)


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

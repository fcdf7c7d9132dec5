"""Telemetry as ThingsBoard's devices and gateways send it over HTTP, with the key in a header and not in the path."""

from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import UnsupportedMediaType

from sensors.api.ingest import IngestView
from sensors.api.receipts import ReceiptBody
from sensors.ingest.formats import thingsboard
from sensors.ingest.parsed import ParsedReadings
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey

RESPONSES = {200: ReceiptBody, 207: ReceiptBody, 422: ReceiptBody}


class TelemetryView(IngestView):
    """What a device and a gateway share."""

    def format_name(self, request: HttpRequest) -> str:
        return thingsboard.NAME

    def reading_by(
        self, parse: Callable[..., ParsedReadings], request: HttpRequest, api_key: ApiKey, **more: str
    ) -> Callable[[bytes], ParsedReadings]:
        """`parse` with the key's zone and the time of arrival; raises UnsupportedMediaType where it is not JSON."""
        if request.content_type not in ("", "application/json"):
            raise UnsupportedMediaType(str(request.content_type))
        zone = ZoneInfo(api_key.time_zone) if api_key.time_zone else None
        return partial(parse, zone=zone, now_us=microseconds(clock.now()), **more)


class DeviceTelemetryView(TelemetryView):
    @extend_schema(
        operation_id="post_telemetry",
        tags=["readings"],
        request={"application/json": OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter("device", str, description="Comes before the names: Pump 7/temperature."),
            OpenApiParameter("atomic", bool, description="All readings or none."),
            OpenApiParameter("historical", bool, description="Old data: stored, but pages nobody."),
        ],
        responses=RESPONSES,
        examples=[
            OpenApiExample(
                "with a time",
                request_only=True,
                value={"ts": 1795341600000, "values": {"temperature": 71.5}},
            )
        ],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """Store telemetry in ThingsBoard's shapes: {"name": value}, {"ts": ms, "values": {...}}, or a list of those."""
        return self.receive(request)

    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], ParsedReadings]:
        return self.reading_by(thingsboard.parse, request, api_key, device=request.GET.get("device", ""))


class GatewayTelemetryView(TelemetryView):
    @extend_schema(
        operation_id="post_gateway_telemetry",
        tags=["readings"],
        request={"application/json": OpenApiTypes.OBJECT},
        parameters=[
            OpenApiParameter("atomic", bool, description="All readings or none."),
            OpenApiParameter("historical", bool, description="Old data: stored, but pages nobody."),
        ],
        responses=RESPONSES,
        examples=[
            OpenApiExample(
                "two devices",
                request_only=True,
                value={
                    "Pump 7": [{"ts": 1795341600000, "values": {"temperature": 71.5}}],
                    "Fan 4": [{"ts": 1795341600000, "values": {"temperature": 40.25}}],
                },
            )
        ],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """Store what a gateway sends for its devices, by their names."""
        return self.receive(request)

    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], ParsedReadings]:
        return self.reading_by(thingsboard.parse_gateway, request, api_key)

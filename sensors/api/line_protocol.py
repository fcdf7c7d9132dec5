"""InfluxDB's write API, as far as those need it who write line protocol: Telegraf and the official clients."""

from collections.abc import Callable
from functools import partial

from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType

from sensors.api.ingest import IngestView
from sensors.api.receipts import ERRORS_SHOWN, RowError
from sensors.api.request_body import RefusedRequest
from sensors.ingest.formats import line_protocol
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.services.ingest import Receipt
from sensors.services.naming import naming_of
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import ApiKey

# The version of InfluxDB whose write API this is: clients look at it.
VERSION = "v2.7.0"
SERVICE = "smart-maintenance"

# The last two are what programs send that were told no type; none at all is fine as well.
MEDIA_TYPES = ("text/plain", "application/octet-stream", "application/x-www-form-urlencoded")

# InfluxDB's own words for what went wrong, by the answer's status.
CODES = {
    400: "invalid",
    401: "unauthorized",
    403: "forbidden",
    405: "method not allowed",
    411: "invalid",
    413: "request too large",
    415: "unsupported media type",
    429: "too many requests",
    503: "unavailable",
}


class WriteErrorBody(serializers.Serializer):
    code = serializers.ChoiceField(choices=sorted({*CODES.values()}))
    message = serializers.CharField()
    line = serializers.IntegerField(required=False, help_text="The first line that was refused.")
    errors = RowError(  # type: ignore[assignment]
        many=True, required=False, help_text="The first 100 refusals; index is the line."
    )


class WriteView(IngestView):
    @extend_schema(
        operation_id="write_line_protocol",
        tags=["readings"],
        request={"text/plain": OpenApiTypes.STR},
        parameters=[
            OpenApiParameter("precision", str, enum=line_protocol.PRECISIONS, default="ns"),
            OpenApiParameter(
                "bucket", str, description="Not looked at: the key tells whose readings these are."
            ),
            OpenApiParameter("org", str, description="Not looked at."),
            OpenApiParameter("atomic", bool, description="All readings or none."),
            OpenApiParameter("historical", bool, description="Old data: stored, but pages nobody."),
        ],
        responses={
            204: OpenApiResponse(description="All is stored."),
            400: WriteErrorBody,
            413: WriteErrorBody,
        },
        examples=[
            OpenApiExample(
                "two readings",
                request_only=True,
                media_type="text/plain",
                value="pump,site=north,machine=p-7 vibration=4.2,running=true 1795341600000000000",
            )
        ],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """Store line protocol. 400 with "partial write" means that all is stored but the lines it names."""
        return self.receive(request)

    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], ParsedReadings]:
        if request.content_type and request.content_type not in MEDIA_TYPES:
            raise UnsupportedMediaType(request.content_type)
        precision = request.GET.get("precision") or "ns"
        if precision not in line_protocol.PRECISIONS:
            known = ", ".join(line_protocol.PRECISIONS)
            raise RefusedRequest(400, "invalid_precision", f"The precision is one of {known}.")
        return partial(
            line_protocol.parse,
            precision=precision,
            naming=naming_of(api_key),
            now_us=microseconds(clock.now()),
        )

    def format_name(self, request: HttpRequest) -> str:
        return line_protocol.NAME

    def answer(self, receipt: Receipt) -> HttpResponse:
        if not receipt.refusals:
            return HttpResponse(status=204)
        shown = receipt.refusals[:ERRORS_SHOWN]
        is_partial = receipt.batch is not None and receipt.accepted + receipt.held > 0
        outcome = "partial write: the other lines are stored" if is_partial else "nothing was stored"
        body = {
            "code": "invalid",
            "message": f"{outcome}, {receipt.rejected} of {receipt.received} readings refused: {in_words(shown)}",
            "line": shown[0].index,
            "errors": [
                {"index": refusal.index, "code": refusal.code, "detail": refusal.detail} for refusal in shown
            ],
        }
        return JsonResponse(body, status=400)

    def refuse(self, refused: RefusedRequest) -> HttpResponse:
        body = {"code": CODES.get(refused.status, "invalid"), "message": refused.detail}
        return JsonResponse(body, status=refused.status, headers=refused.headers)


def in_words(refusals: list[Refusal]) -> str:
    """What is wrong with which lines: each problem once, and lines that have the same problems once."""
    lines_by_detail: dict[str, dict[int, None]] = {}
    for refusal in refusals:
        lines_by_detail.setdefault(refusal.detail, {})[refusal.index] = None
    details_by_lines: dict[tuple[int, ...], list[str]] = {}
    for detail, lines in lines_by_detail.items():
        details_by_lines.setdefault(tuple(lines), []).append(detail)
    return " ".join(
        f"{'line' if len(lines) == 1 else 'lines'} {', '.join(map(str, lines))}: {' '.join(details)}"
        for lines, details in details_by_lines.items()
    )


@require_safe
def ping(request: HttpRequest) -> HttpResponse:
    """The process answers; asks nobody else."""
    return HttpResponse(status=204, headers={"X-Influxdb-Version": VERSION, "X-Influxdb-Build": SERVICE})


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """200 "pass" while readings can be stored, as InfluxDB's clients ask for it; 503 "fail" otherwise."""
    facts = {"name": SERVICE, "version": VERSION, "checks": []}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        words = "The database does not answer."
        return JsonResponse(facts | {"status": "fail", "message": words}, status=503)
    return JsonResponse(facts | {"status": "pass", "message": "ready for writes"})


urlpatterns = [
    path("api/v2/write", WriteView.as_view(), name="influxdb-write"),
    path("ping", ping, name="influxdb-ping"),
    path("health", health, name="influxdb-health"),
]

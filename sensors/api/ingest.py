"""POST /api/v1/readings: parse, call the service, answer as clients expect it."""

from io import BytesIO
from typing import BinaryIO
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from sensors.ingest.body import BrokenEncoding, TooLarge, UnsupportedEncoding, read_body
from sensors.ingest.formats import json as json_format
from sensors.ingest.parsed import MalformedBody, TooManyReadings
from sensors.services.ingest import Receipt, ingest_readings
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.problems import problem

ERRORS_SHOWN = 100


class ReadingBody(serializers.Serializer):
    """One reading, as the schema tells it; the parser of the format reads the real thing."""

    sensor = serializers.CharField(max_length=200)
    ts = serializers.DateTimeField(help_text="ISO 8601 with an offset, or epoch seconds, ms, µs or ns.")
    value = serializers.FloatField()
    quality = serializers.ChoiceField(choices=["good", "uncertain", "bad"], default="good")
    unit = serializers.CharField(required=False, help_text="UCUM code; without it the sensor's own unit.")


class ReadingsBody(serializers.Serializer):
    readings = ReadingBody(many=True, max_length=10_000)
    historical = serializers.BooleanField(default=False, help_text="Old data: stored, but pages nobody.")


class RowError(serializers.Serializer):
    index = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()


class ReceiptBody(serializers.Serializer):
    batch = serializers.IntegerField(allow_null=True)
    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    inserted = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()
    errors = RowError(many=True, required=False, help_text="The first 100 refusals.")


class LengthRequired(Exception):
    """The body comes in chunks, and nothing tells where it ends."""


class PassThrough(BaseParser):
    """Hands the body on as a stream: the format parses it, not DRF."""

    media_type = "application/json"

    def parse(
        self, stream: BinaryIO, media_type: str | None = None, parser_context: dict | None = None
    ) -> BinaryIO:
        return stream


class ReadingsView(APIView):
    parser_classes = [PassThrough]
    required_scope = Scope.INGEST

    @extend_schema(
        operation_id="post_readings",
        tags=["readings"],
        request=ReadingsBody,
        parameters=[OpenApiParameter("atomic", bool, description="All readings or none.")],
        responses={200: ReceiptBody, 207: ReceiptBody, 422: ReceiptBody},
        examples=[
            OpenApiExample(
                "one reading",
                request_only=True,
                value={
                    "readings": [
                        {
                            "sensor": "pump-7/vibration",
                            "ts": "2026-11-22T10:00:00.250Z",
                            "value": 4.2,
                            "unit": "mm/s",
                        }
                    ]
                },
            )
        ],
    )
    def post(self, request: Request) -> HttpResponse:
        """Store readings. The same reading twice is stored once; 2xx means that it is committed."""
        api_key: ApiKey = request.auth
        try:
            body = read_body(self.stream(request), encoding=request.headers.get("Content-Encoding", ""))
            zone = ZoneInfo(api_key.time_zone) if api_key.time_zone else None
            parsed = json_format.parse(body, zone=zone)
        except LengthRequired as error:
            return problem(411, "length_required", str(error))
        except UnsupportedEncoding as error:
            return problem(415, "unsupported_encoding", str(error))
        except TooLarge as error:
            return problem(413, "too_large", str(error))
        except TooManyReadings as error:
            return problem(413, error.code, error.detail)
        except (BrokenEncoding, MalformedBody) as error:
            return problem(400, "malformed", str(error))
        except OSError:
            return problem(400, "malformed", "The body broke off.")
        all_or_nothing = request.query_params.get("atomic", "").lower() in {"1", "true"}
        receipt = ingest_readings(
            organization=organization_of(request),
            parsed=parsed,
            api_key=api_key,
            all_or_nothing=all_or_nothing,
        )
        return answer(receipt)

    def stream(self, request: Request) -> BinaryIO:
        """The body to be read. One sent in chunks tells no length, and Django and DRF would take it for empty.

        Raises LengthRequired where the server does not mark the end of such a body: reading it would wait for ever.
        """
        if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
            return request.data or BytesIO()  # DRF makes an empty dict of an empty body
        if self.get_content_negotiator().select_parser(request, request.parsers) is None:
            raise UnsupportedMediaType(request.content_type)
        if not request.META.get("wsgi.input_terminated"):
            raise LengthRequired("Send the Content-Length: this server cannot read a body in chunks.")
        return request.META["wsgi.input"]


def answer(receipt: Receipt) -> HttpResponse:
    """200 when all was stored, 207 when some was refused, 422 when nothing was stored."""
    is_stored = receipt.batch is not None
    counts = {
        "batch": receipt.batch.pk if receipt.batch else None,
        "received": receipt.received,
        "accepted": receipt.accepted if is_stored else 0,
        "inserted": receipt.inserted,
        "updated": receipt.updated,
        "unchanged": receipt.unchanged,
        "rejected": receipt.rejected if is_stored else receipt.received,
    }
    if not receipt.refusals:
        return Response(counts)
    errors = [
        {"index": refusal.index, "code": refusal.code, "detail": refusal.detail}
        for refusal in receipt.refusals[:ERRORS_SHOWN]
    ]
    if is_stored:
        return Response(counts | {"errors": errors}, status=207)
    return problem(422, "all_refused", "Nothing was stored.", **counts, errors=errors)

"""POST /api/v1/events: machine events, with the answers and errors of the readings' API."""

from collections.abc import Callable
from functools import partial
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers

from sensors.api.ingest import IngestView, is_true
from sensors.api.receipts import ERRORS_SHOWN, RowError
from sensors.api.request_body import format_of
from sensors.ingest import events
from sensors.ingest.events import ParsedEvents
from sensors.services import metering
from sensors.services.events import EventReceipt, record_events
from smartmaint.accounts.models import ApiKey
from smartmaint.problems import problem

FORMATS = {"application/json": ("JSON", events.parse_json), "text/csv": ("CSV", events.parse_csv)}


class EventBody(serializers.Serializer):
    """One event, as the schema tells it; the parser reads the real thing."""

    equipment = serializers.CharField(max_length=events.MAX_TAG, help_text="The tag of the machine.")
    code = serializers.CharField(max_length=events.MAX_CODE, help_text="What the controller calls it.")
    ts = serializers.DateTimeField(help_text="ISO 8601 with an offset, or epoch seconds, ms, µs or ns.")
    kind = serializers.ChoiceField(choices=events.KINDS, default=events.USUAL_KIND)
    message = serializers.CharField(required=False, max_length=events.MAX_MESSAGE)


class EventsBody(serializers.Serializer):
    events = EventBody(many=True, max_length=10_000)


class EventReceiptBody(serializers.Serializer):
    received = serializers.IntegerField()
    accepted = serializers.IntegerField()
    inserted = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = serializers.IntegerField()
    errors = RowError(many=True, required=False, help_text="The first 100 refusals.")


class EventsView(IngestView):
    @extend_schema(
        operation_id="post_events",
        tags=["events"],
        request={"application/json": EventsBody, "text/csv": bytes},
        parameters=[OpenApiParameter("atomic", bool, description="All events or none.")],
        responses={200: EventReceiptBody, 207: EventReceiptBody, 422: EventReceiptBody},
        examples=[
            OpenApiExample(
                "one event",
                request_only=True,
                media_type="application/json",
                value={
                    "events": [
                        {
                            "equipment": "P-101",
                            "code": "E17",
                            "kind": "fault",
                            "ts": "2026-11-22T10:00:00Z",
                            "message": "Motor overload",
                        }
                    ]
                },
            )
        ],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """Store faults, errors and changes of state that controllers report.

        The same event twice is stored once; 2xx means that it is committed.
        """
        return self.receive(request)

    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], ParsedEvents]:
        _, parse = format_of(request, FORMATS)
        return partial(parse, zone=ZoneInfo(api_key.time_zone) if api_key.time_zone else None)

    def format_name(self, request: HttpRequest) -> str:
        return format_of(request, FORMATS)[0]

    def store(self, request: HttpRequest, api_key: ApiKey, parsed: ParsedEvents) -> HttpResponse:
        receipt = record_events(
            organization=api_key.organization,
            parsed=parsed,
            api_key=api_key,
            all_or_nothing=is_true(request, "atomic"),
        )
        if receipt.refusals and not receipt.accepted:
            metering.count_refused_request(api_key, "all_refused")
        return event_answer(receipt)


def event_answer(receipt: EventReceipt) -> HttpResponse:
    """The receipt as JSON: 200 when all was stored, 207 when some was refused, 422 when nothing was stored."""
    counts = {
        "received": receipt.received,
        "accepted": receipt.accepted,
        "inserted": receipt.inserted,
        "updated": receipt.updated,
        "unchanged": receipt.unchanged,
        "rejected": receipt.received - receipt.accepted,
    }
    if not receipt.refusals:
        return JsonResponse(counts)
    errors = [
        {"index": refusal.index, "code": refusal.code, "detail": refusal.detail}
        for refusal in receipt.refusals[:ERRORS_SHOWN]
    ]
    if receipt.accepted:
        return JsonResponse(counts | {"errors": errors}, status=207)
    return problem(422, "all_refused", "Nothing was stored.", **counts, errors=errors)

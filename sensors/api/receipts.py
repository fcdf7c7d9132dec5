"""What became of a request's readings, as JSON; with its schema."""

from django.http import HttpResponse, JsonResponse
from rest_framework import serializers

from sensors.services.ingest import Receipt
from smartmaint.problems import problem

ERRORS_SHOWN = 100


def receipt_answer(receipt: Receipt) -> HttpResponse:
    """The receipt as JSON: 200 when all was stored or held, 207 when some was refused, 422 when nothing was stored."""
    kept = receipt.batch is not None and receipt.accepted + receipt.held > 0
    counts = {
        "batch": receipt.batch.pk if receipt.batch else None,
        "received": receipt.received,
        "accepted": receipt.accepted if kept else 0,
        "inserted": receipt.inserted,
        "updated": receipt.updated,
        "unchanged": receipt.unchanged,
        "held": receipt.held,
        "rejected": receipt.rejected if kept else receipt.received,
    }
    if not receipt.refusals:
        return JsonResponse(counts)
    errors = [
        {"index": refusal.index, "code": refusal.code, "detail": refusal.detail}
        for refusal in receipt.refusals[:ERRORS_SHOWN]
    ]
    if kept:
        return JsonResponse(counts | {"errors": errors}, status=207)
    return problem(422, "all_refused", "Nothing was stored.", **counts, errors=errors)


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
    held = serializers.IntegerField(help_text="Kept in the inbox until their sensor is known.")
    rejected = serializers.IntegerField()
    errors = RowError(many=True, required=False, help_text="The first 100 refusals.")

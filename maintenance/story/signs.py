"""The part of a story that the machine tells by itself: events, readings, anomalies, judgements, predictions."""

from django.db.models import F, Q, QuerySet
from django.utils.text import capfirst

from maintenance.models import Decision
from maintenance.story.entries import Cause, Entry, Kind, Place
from maintenance.wording import (
    in_words,
    passing_in_words,
    probability_in_words,
    value_in_words,
)
from predictions.models import Prediction, PredictionStatus, Trigger
from sensors.models import Anomaly, AnomalyStatus, MachineEvent, ReadingBatch
from sensors.wording import expectation_of, silence_in_words, state_in_words

Machines = dict[int, str]
_JUDGEMENT_LEVEL = {
    AnomalyStatus.CREDIBLE: "high",
    AnomalyStatus.NEEDS_A_LOOK: "medium",
    AnomalyStatus.SUSPECTED_FALSE: "low",
}

_EVENT_LEVEL = {MachineEvent.Kind.FAULT.value: "high", MachineEvent.Kind.ERROR.value: "medium"}


def newest(
    rows: QuerySet, kind: Kind, time_field: str, start: Place | None, most: int, key_field: str = "pk"
) -> QuerySet:
    """The newest `most` rows that stand at `start` or are older."""
    if start is not None:
        rows = start.onwards(rows, kind, time_field, key_field)
    return rows.order_by(F(time_field).desc(), F(key_field).desc())[:most]


def batches(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    """Requests whose readings showed an anomaly; the others would bury them."""
    rows = ReadingBatch.objects.filter(
        pk__in=Anomaly.objects.filter(sensor__equipment__in=list(machines)).values("batch")
    ).select_related("api_key")
    return [
        Entry(
            place=_batch_place(batch),
            title="Readings arrived",
            words=f"{batch.accepted} readings{_sender(batch)}, with an anomaly.",
        )
        for batch in newest(rows, Kind.READINGS, "received_at", start, most)
    ]


def events(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    """Faults and errors that the machine's controller reported, by its clock; changes of state would bury the rest."""
    rows = MachineEvent.objects.filter(equipment__in=list(machines), kind__in=_EVENT_LEVEL)
    return [
        Entry(
            place=Place.of(event.at, Kind.EVENT, event.pk),
            title=f"{event.get_kind_display()} {event.code}",
            words=event.message,
            level=_EVENT_LEVEL[event.kind],
            machine=machines[event.equipment_id],
        )
        for event in newest(rows, Kind.EVENT, "at", start, most)
    ]


def _sender(batch: ReadingBatch) -> str:
    return f" from {batch.api_key.name}" if batch.api_key else ""


def _batch_place(batch: ReadingBatch) -> Place:
    return Place.of(batch.received_at, Kind.READINGS, batch.pk)


def _anomalies(machines: Machines) -> QuerySet:
    return Anomaly.objects.filter(sensor__equipment__in=list(machines)).select_related(
        "sensor", "batch", "limit", "settled_by"
    )


def anomalies(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    return [
        Entry(
            place=anomaly_place(anomaly),
            title=f"Anomaly: {anomaly.sensor.key} {state_in_words(anomaly)}",
            words=_peak(anomaly),
            level="medium",
            machine=machines[anomaly.sensor.equipment_id],
            because=anomaly.batch and Cause("readings that arrived", _batch_place(anomaly.batch)),
        )
        for anomaly in newest(_anomalies(machines), Kind.ANOMALY, "detected_at", start, most)
    ]


def anomaly_place(anomaly: Anomaly) -> Place:
    return Place.of(anomaly.detected_at, Kind.ANOMALY, anomaly.pk)


def _peak(anomaly: Anomaly) -> str:
    if anomaly.kind == Anomaly.Kind.NO_DATA:
        return f"{capfirst(silence_in_words(anomaly))}."
    unit = anomaly.sensor.unit
    against = "the limit is" if anomaly.limit else expectation_of(anomaly)
    span = f"since {in_words(anomaly.started_at)}"
    if anomaly.ended_at is not None:
        span = f"from {in_words(anomaly.started_at)} to {in_words(anomaly.ended_at)}"
    return (
        f"{value_in_words(anomaly.peak_value, unit)} at its peak; {against} "
        f"{value_in_words(anomaly.expected_value, unit)}; {span}."
    )


def judgements(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    judged = _anomalies(machines).filter(validated_at__isnull=False)
    return [
        Entry(
            place=_judgement_place(anomaly),
            title=f"Judged: {anomaly.get_status_display().lower()}",
            words=f"{anomaly.sensor.key}, confidence {anomaly.confidence:.2g}.",
            details=tuple(reason_in_words(reason) for reason in anomaly.reasons),
            level=_JUDGEMENT_LEVEL[anomaly.status],
            machine=machines[anomaly.sensor.equipment_id],
            because=Cause(f"the anomaly of {anomaly.sensor.key}", anomaly_place(anomaly)),
        )
        for anomaly in newest(judged, Kind.JUDGEMENT, "validated_at", start, most)
    ]


def _judgement_place(anomaly: Anomaly) -> Place:
    return Place.of(anomaly.validated_at, Kind.JUDGEMENT, anomaly.pk)


def reason_in_words(reason: dict) -> str:
    """One reason of a judgement, with what it did to the confidence."""
    adjustment = reason.get("adjustment")
    return reason["text"] if adjustment is None else f"{reason['text']} ({adjustment:+.2g})"


def told_predictions(machines: Machines) -> QuerySet:
    """Predictions that are part of the story: asked for by an anomaly or a person, or with a task of their own."""
    return Prediction.objects.filter(sensor__equipment__in=list(machines)).filter(
        Q(trigger__in=[Trigger.ANOMALY, Trigger.PERSON]) | Q(proposal__decision=Decision.PROPOSED)
    )


def predictions(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = (
        told_predictions(machines)
        .filter(made_at__isnull=False)
        .select_related("sensor", "limit__failure_mode", "anomaly__limit__failure_mode")
        .defer("path", "settings", "input_quality")
    )
    return [
        _prediction_entry(prediction, machines)
        for prediction in newest(rows, Kind.PREDICTION, "made_at", start, most)
    ]


def _prediction_entry(prediction: Prediction, machines: Machines) -> Entry:
    anomaly = prediction.anomaly
    common = {
        "place": prediction_place(prediction),
        "machine": machines[prediction.sensor.equipment_id],
        "because": None
        if anomaly is None or anomaly.validated_at is None
        else Cause(f"the anomaly of {prediction.sensor.key}", _judgement_place(anomaly)),
    }
    if prediction.status == PredictionStatus.NOT_POSSIBLE:
        return Entry(
            title=f"No prediction for {prediction.sensor.key}",
            words=prediction.not_possible_because,
            **common,
        )
    return Entry(
        title=f"Prediction: {risk_in_words(prediction)}",
        words=f"{prediction.sensor.key}{_limit(prediction)}: {prediction.failure_mode}, {_date(prediction)}.",
        details=tuple(filter(None, [prediction.explanation.get("words", "")])),
        level="high" if prediction.p_30d >= 0.5 else "info",
        **common,
    )


def _limit(prediction: Prediction) -> str:
    if prediction.limit is None:
        return ""
    value = value_in_words(prediction.limit_value, prediction.sensor.unit)
    return f" and its {prediction.limit.get_level_display()} limit of {value}"


def _date(prediction: Prediction) -> str:
    if prediction.is_already_beyond:
        return "beyond it already"
    return passing_in_words(prediction.passes_p10_at, prediction.passes_p50_at, prediction.passes_p90_at)


def risk_in_words(prediction: Prediction) -> str:
    """The risk within 30 days, or that it has come true."""
    if prediction.is_already_beyond:
        return "beyond the limit now"
    return f"{probability_in_words(prediction.p_30d)} within 30 days"


def prediction_place(prediction: Prediction) -> Place:
    return Place.of(prediction.made_at, Kind.PREDICTION, prediction.pk)

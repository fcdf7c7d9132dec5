"""Validation: what is known about an anomaly, its judgement by rules and history, and a person's last word."""

from datetime import datetime, timedelta

import numpy as np
from django.db import transaction
from django.utils.formats import date_format
from django.utils.timezone import localtime

from equipment.models import Verdict
from sensors import storage
from sensors.models import Anomaly, AnomalyFinding, AnomalyStatus, Quality, ValidationRule
from sensors.services.senders import Sender, find_sender, who_is_absent
from sensors.signals import anomaly_validated
from sensors.validation import FactValue, Judgement, Operator, Rule, judge, read_condition_value
from sensors.wording import interval_in_words
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, User

HISTORY = timedelta(days=1)
STABLE_FROM_READINGS = 10

USUAL_RULES = [
    ("Beyond a limit", "kind", "is", "limit", 0.3, "A limit that people set was passed"),
    ("No data", "kind", "is", "no_data", 0.3, "Nothing came for longer than the sensor may be silent"),
    ("Far from normal", "score", "at_least", "0.8", 0.15, "Very far from what is normal for this sensor"),
    ("Sudden jump", "jump_sigmas", "at_least", "3", 0.1, "A jump out of a stable day"),
    (
        "Poor readings",
        "good_share",
        "below",
        "0.8",
        -0.3,
        "Many readings of the past day were of low quality",
    ),
    ("Under maintenance", "equipment_state", "is", "maintenance", -0.4, "The machine is being worked on"),
    ("Out of service", "equipment_state", "is", "out_of_service", -0.5, "The machine is out of service"),
    ("Just repaired", "hours_since_repair", "below", "2", -0.1, "It was repaired within the last two hours"),
]


class AlreadySettled(Exception):
    """The anomaly needs no look: it was judged, by the agent or by somebody else."""


def seed_validation_rules(organization: Organization) -> None:
    """Give an organisation the usual rules; it changes them as it likes."""
    for name, fact, operator, value, adjustment, reason in USUAL_RULES:
        ValidationRule.objects.get_or_create(
            organization=organization,
            name=name,
            defaults={
                "fact": fact,
                "operator": operator,
                "value": value,
                "adjustment": adjustment,
                "reason": reason,
            },
        )


def judge_anomaly(anomaly: Anomaly) -> Judgement:
    """Weigh an anomaly by its organisation's rules and by what people found before. Writes nothing."""
    found = AnomalyFinding.objects.filter(
        anomaly__sensor_id=anomaly.sensor_id, anomaly__kind=anomaly.kind, found_at__lte=clock.now()
    ).exclude(anomaly=anomaly)
    verdicts = [Verdict(verdict) for verdict in found.values_list("verdict", flat=True)]
    is_silence = anomaly.kind == Anomaly.Kind.NO_DATA
    sender = find_sender(anomaly) if is_silence else None
    return judge(
        gather_facts(anomaly, sender=sender),
        _rules(anomaly.organization_id),
        confirmed_before=sum(verdict.restores for verdict in verdicts),
        false_before=sum(verdict.is_false_alarm for verdict in verdicts),
        remarks=_remarks_on_silence(anomaly, sender) if is_silence else (),
    )


def _remarks_on_silence(silence: Anomaly, sender: Sender | None) -> list[str]:
    """How long it had lasted when it was noticed, and whether the sensor or what is around it is the likelier cause."""
    length = (silence.detected_at - silence.started_at).total_seconds()
    expected = interval_in_words(silence.sensor.expected_interval_s)
    remarks = [f"Nothing new for {interval_in_words(length)}; a reading was expected every {expected}"]
    if (everybody := who_is_absent(silence)) is not None:
        remarks.append(
            f"Nothing at all comes any more, from none of {everybody.keys} senders and {everybody.sensors} sensors: "
            "probably the network they share, or this service; the other sensors are not told one by one"
        )
    elif sender is not None and sender.sensors > 1:
        remarks.append(_remark_on_sender(sender))
    if sender is not None and (why_not := _why_key_is_refused(sender.api_key)):
        remarks.append(why_not)
    return remarks


def _remark_on_sender(sender: Sender) -> str:
    name = sender.api_key.name
    if sender.is_absent:
        return (
            f"All {sender.sensors} sensors of {name} are silent: probably the gateway or its network; "
            "the others are not told one by one"
        )
    if sender.silent > 1:
        return f"{sender.silent} of the {sender.sensors} sensors of {name} are silent"
    return f"The other sensors of {name} are not silent: probably this sensor"


def _why_key_is_refused(api_key: ApiKey) -> str | None:
    if not api_key.is_active:
        return f"The key {api_key.name}, with which its readings came, is disabled: what is sent with it is refused"
    if api_key.expires_at is not None and api_key.expires_at <= clock.now():
        expired_at = date_format(localtime(api_key.expires_at), "j M Y, H:i")
        return f"The key {api_key.name}, with which its readings came, expired on {expired_at}"
    return None


def _rules(organization_id: int) -> list[Rule]:
    return [
        Rule(
            fact=rule.fact,
            operator=(operator := Operator(rule.operator)),
            value=read_condition_value(rule.fact, operator, rule.value),
            adjustment=rule.adjustment,
            reason=rule.reason,
        )
        for rule in ValidationRule.objects.filter(organization_id=organization_id, is_active=True)
    ]


def gather_facts(anomaly: Anomaly, *, sender: Sender | None = None) -> dict[str, FactValue]:
    """What rules can ask for; None where it is not known. `sender` is that of a silent sensor."""
    sensor, now = anomaly.sensor, clock.now()
    repaired_at = max((baseline.started_at for baseline in sensor.baselines.all()), default=None)
    return {
        "kind": anomaly.kind,
        "direction": anomaly.direction or None,
        "level": anomaly.level or None,
        "quantity": sensor.quantity,
        "criticality": sensor.equipment.criticality,
        "equipment_state": sensor.equipment.state,
        "duration_minutes": ((anomaly.ended_at or now) - anomaly.started_at) / timedelta(minutes=1),
        "hours_since_repair": _hours_between(repaired_at, now),
        "silent_share": None if sender is None else sender.silent_share,
        **(_facts_of_readings(anomaly) if anomaly.kind != Anomaly.Kind.NO_DATA else {}),
    }


def _facts_of_readings(anomaly: Anomaly) -> dict[str, FactValue]:
    """What an excursion's readings tell; silence has none, and what came before it says nothing of it."""
    day = storage.read_readings(
        anomaly.sensor_id,
        after=anomaly.started_at - HISTORY,
        until=anomaly.started_at - timedelta(microseconds=1),
    )
    return {
        "score": anomaly.score,
        "good_share": float(np.mean(day.quality == Quality.GOOD)) if len(day) else None,
        "jump_sigmas": _jump_sigmas(day, anomaly.peak_value),
    }


def _jump_sigmas(day: storage.Rows, peak: float) -> float | None:
    """Distance of the peak from the day's mean in standard deviations; None unless the day was long and stable.

    Stable: its two halves' means lie closer together than one standard deviation.
    """
    values = day.values[(day.quality != Quality.BAD) & ~np.isnan(day.values)]
    if len(values) < STABLE_FROM_READINGS:
        return None
    spread, middle = float(np.std(values)), len(values) // 2
    if spread == 0 or abs(values[:middle].mean() - values[middle:].mean()) >= spread:
        return None
    return abs(peak - float(values.mean())) / spread


def _hours_between(earlier: datetime | None, later: datetime) -> float | None:
    return None if earlier is None else (later - earlier) / timedelta(hours=1)


def validate_anomaly(anomaly: Anomaly, judgement: Judgement) -> None:
    """Keep the agent's judgement, and tell the others. Runs in the anomaly's transaction."""
    anomaly.status, anomaly.confidence = judgement.status, judgement.confidence
    anomaly.reasons, anomaly.validated_at = judgement.reasons, clock.now()
    anomaly.save(update_fields=["status", "confidence", "reasons", "validated_at"])
    anomaly_validated.send(sender=Anomaly, anomaly=anomaly)


@transaction.atomic
def settle_anomaly(*, anomaly: Anomaly, is_credible: bool, user: User) -> Anomaly:
    """A person decides what the rules could not; raises AlreadySettled when there is nothing left to decide."""
    locked = Anomaly.objects.select_for_update(no_key=True).get(pk=anomaly.pk)
    if locked.status != AnomalyStatus.NEEDS_A_LOOK:
        raise AlreadySettled(f"This anomaly is {locked.get_status_display().lower()} already.")
    locked.status = AnomalyStatus.CREDIBLE if is_credible else AnomalyStatus.SUSPECTED_FALSE
    locked.confidence, locked.settled_by, locked.validated_at = float(is_credible), user, clock.now()
    locked.reasons = [
        *locked.reasons,
        {"text": f"{user.display_name} said {'credible' if is_credible else 'false'}", "adjustment": None},
    ]
    locked.save(update_fields=["status", "confidence", "settled_by", "validated_at", "reasons"])
    anomaly_validated.send(sender=Anomaly, anomaly=locked)
    return locked

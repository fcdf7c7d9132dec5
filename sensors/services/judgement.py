"""Validation: the judgement of an anomaly by rules and by what people found before, and a person's last word."""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet
from django.utils.formats import date_format
from django.utils.timezone import localtime

from equipment.models import Verdict
from sensors.models import Anomaly, AnomalyFinding, AnomalyStatus
from sensors.services.facts import gather_facts
from sensors.services.rules import active_rules
from sensors.services.senders import Sender, find_sender, who_is_absent
from sensors.signals import anomaly_validated
from sensors.validation import Facts, Findings, Judgement, Rule, judge
from sensors.wording import interval_in_words
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, User

# Findings of anomalies whose sums lie so near count as findings of alike ones.
ALIKE = 0.1


class AlreadySettled(Exception):
    """The anomaly needs no look: it was judged, by the agent or by somebody else."""


def judge_anomaly(anomaly: Anomaly) -> Judgement:
    """Weigh an anomaly by its organisation's rules and by what people found before. Writes nothing."""
    return judge_by(anomaly, active_rules(anomaly.organization_id))


def judge_by(anomaly: Anomaly, rules: Iterable[Rule], *, facts: Facts | None = None) -> Judgement:
    """The same by these rules; `facts` are gathered where they are not given."""
    is_silence = anomaly.kind == Anomaly.Kind.NO_DATA
    sender = find_sender(anomaly) if is_silence else None
    found = list(_findings(anomaly).values_list("verdict", "anomaly__sensor", "anomaly__rule_sum"))
    of_sensor = _count(verdict for verdict, sensor_id, _ in found if sensor_id == anomaly.sensor_id)

    def of_alike(rule_sum: float) -> Findings:
        sums = ((verdict, of_other) for verdict, _, of_other in found if of_other is not None)
        return _count(verdict for verdict, of_other in sums if abs(of_other - rule_sum) <= ALIKE)

    return judge(
        gather_facts(anomaly, sender=sender) if facts is None else facts,
        rules,
        confirmed_before=of_sensor.confirmed,
        false_before=of_sensor.false,
        of_alike=of_alike,
        remarks=_remarks_on_silence(anomaly, sender) if is_silence else (),
    )


def _count(verdicts: Iterable[str]) -> Findings:
    """How often there was something, and how often nothing.

    That the sensor was at fault counts for neither: it says nothing of the machine, and is a fact of the sensor.
    """
    known = [Verdict(verdict) for verdict in verdicts]
    return Findings(
        confirmed=sum(verdict.restores for verdict in known), false=known.count(Verdict.NO_FAULT_FOUND)
    )


def _findings(anomaly: Anomaly) -> QuerySet[AnomalyFinding]:
    """What was found by now of the organisation's other anomalies of this kind."""
    return AnomalyFinding.objects.filter(
        organization_id=anomaly.organization_id, anomaly__kind=anomaly.kind, found_at__lte=clock.now()
    ).exclude(anomaly=anomaly)


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


def validate_anomaly(anomaly: Anomaly, judgement: Judgement) -> None:
    """Keep the agent's judgement, and tell the others. Runs in the anomaly's transaction."""
    anomaly.status, anomaly.confidence = judgement.status, judgement.confidence
    anomaly.rule_sum, anomaly.is_corroborated = judgement.rule_sum, judgement.is_corroborated
    anomaly.reasons, anomaly.validated_at = judgement.reasons, clock.now()
    anomaly.save(
        update_fields=["status", "confidence", "rule_sum", "is_corroborated", "reasons", "validated_at"]
    )
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

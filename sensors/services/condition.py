"""The parts of machines' health that sensors know: their condition, and their alarms."""

from collections import defaultdict

from django.db.models import Count, Q

from equipment.models import Equipment, Part
from equipment.services.health import HealthReport, report_health
from sensors.alarms.states import State
from sensors.condition import OF_ALARM, Trouble, anomaly_penalty, told
from sensors.models import Alarm, Anomaly, AnomalyStatus
from sensors.services.absences import held_sensors
from sensors.wording import state_in_words
from smartmaint.accounts.models import Organization
from smartmaint.work import Tally

OF_SILENCE = anomaly_penalty(kind=Anomaly.Kind.NO_DATA, level="", score=1.0)
CALM = (State.OUT_OF_SERVICE, State.SUPPRESSED_BY_DESIGN)


def report_condition(organization: Organization | None = None) -> Tally:
    """Report condition and alarms of the machines (of one organisation, or of all)."""
    # A count of events is no sensor of the machine: without others nothing is known while nothing is reported.
    active = Q(sensors__is_active=True, sensors__event_count=None)
    counted = Equipment.objects.for_one_or_all(organization).annotate(
        number=Count("sensors", filter=active),
        measured=Count("sensors", filter=active & Q(sensors__latest__isnull=False)),
    )
    sensors = {
        key: (number, measured) for key, number, measured in counted.values_list("pk", "number", "measured")
    }
    news = report_health(part=Part.CONDITION, reports=_conditions(sensors))
    news += report_health(part=Part.ALARMS, reports=_alarms(sensors))
    return Tally(settled=news)


def _conditions(sensors: dict[int, tuple[int, int]]) -> list[HealthReport]:
    troubles: dict[int, list[Trouble]] = defaultdict(list)
    silent: dict[int, int] = defaultdict(int)
    anomalies = (
        Anomaly.objects.open()
        .filter(status=AnomalyStatus.CREDIBLE, sensor__is_active=True, sensor__equipment__in=sensors)
        .select_related("sensor", "limit")
    )
    for anomaly in anomalies:
        machine = anomaly.sensor.equipment_id
        silent[machine] += anomaly.kind == Anomaly.Kind.NO_DATA
        penalty = anomaly_penalty(kind=anomaly.kind, level=anomaly.level, score=anomaly.score)
        troubles[machine].append(Trouble(f"{anomaly.sensor.key} {state_in_words(anomaly)}", penalty))
    for machine, sensor in held_sensors().filter(equipment__in=sensors).values_list("equipment", "key"):
        silent[machine] += 1
        troubles[machine].append(Trouble(f"{sensor} is silent with its sender", OF_SILENCE))
    return [
        _condition(key, number, measured, silent[key], troubles[key])
        for key, (number, measured) in sensors.items()
    ]


def _condition(key: int, number: int, measured: int, silent: int, troubles: list[Trouble]) -> HealthReport:
    if not number and not troubles:
        return HealthReport(key, None, "It has no sensors of its own.")
    if number and not measured and not troubles:
        return HealthReport(key, None, "None of its sensors has sent a reading yet.")
    if measured and silent >= measured:
        return HealthReport(key, None, "Nothing comes from its sensors.")
    return HealthReport(key, *told(troubles, nothing="Nothing out of the ordinary is noticed."))


def _alarms(sensors: dict[int, tuple[int, int]]) -> list[HealthReport]:
    troubles: dict[int, list[Trouble]] = defaultdict(list)
    alarms = Alarm.objects.open().filter(is_active=True, equipment__in=sensors).exclude(state__in=CALM)
    for alarm in alarms.select_related("failure_mode"):
        words = f"{alarm.get_severity_display().lower()}: {alarm.what}"
        if alarm.state == State.SHELVED:
            words += ", shelved"
        troubles[alarm.equipment_id].append(Trouble(words, OF_ALARM[alarm.severity]))
    return [
        HealthReport(key, *told(troubles[key], nothing="No alarm stands."))
        if number or troubles[key]
        else HealthReport(key, None, "Without sensors nothing raises an alarm.")
        for key, (number, _) in sensors.items()
    ]

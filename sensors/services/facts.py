"""What is known about an anomaly when it is judged: of its readings, its machine, and what is around it."""

from datetime import datetime, timedelta

import numpy as np
from django.db.models import Q

from equipment.models import Verdict
from sensors import storage
from sensors.models import Anomaly, AnomalyFinding, EventCount, MachineEvent, Quality
from sensors.services.event_counts import count_of
from sensors.services.senders import Sender
from sensors.validation import FactValue, time_of_its_events
from smartmaint import clock

HISTORY = timedelta(days=1)
STABLE_FROM_READINGS = 10
# A controller that said nothing for so long, nor those of its sisters, may well not be connected.
EVENTS_KNOWN = timedelta(days=90)
NEAREST_EVENT = timedelta(days=30)
TELLING_EVENTS = (MachineEvent.Kind.FAULT, MachineEvent.Kind.ERROR, MachineEvent.Kind.WARNING)
AT_THE_SAME_TIME = timedelta(hours=6)
FAULTS_REMEMBERED = timedelta(days=90)


def gather_facts(anomaly: Anomaly, *, sender: Sender | None = None) -> dict[str, FactValue]:
    """What rules can ask for; None where it is not known. `sender` is that of a silent sensor."""
    sensor, now = anomaly.sensor, clock.now()
    baselines = (baseline.started_at for baseline in sensor.baselines.all())
    repaired_at = max((started_at for started_at in baselines if started_at <= now), default=None)
    facts: dict[str, FactValue] = {
        "kind": anomaly.kind,
        "pattern": anomaly.pattern or None,
        "direction": anomaly.direction or None,
        "level": anomaly.level or None,
        "quantity": sensor.quantity,
        "criticality": sensor.equipment.criticality,
        "equipment_state": sensor.equipment.state_as_part,
        "duration_minutes": (min(anomaly.ended_at or now, now) - anomaly.started_at) / timedelta(minutes=1),
        "hours_since_repair": None if repaired_at is None else (now - repaired_at) / timedelta(hours=1),
        "silent_share": None if sender is None else sender.silent_share,
        "sensor_faults": count_sensor_faults(sensor.pk, now),
    }
    if anomaly.kind == Anomaly.Kind.NO_DATA:
        return facts
    count = count_of(anomaly)
    return (
        facts
        | _facts_of_readings(anomaly)
        | _facts_of_events(anomaly, count, now)
        | _facts_of_others(anomaly, count, now)
    )


def count_sensor_faults(sensor_id: int, now: datetime) -> float:
    """How often people found lately that not the machine but this sensor was at fault."""
    faults = AnomalyFinding.objects.filter(
        anomaly__sensor=sensor_id,
        verdict=Verdict.SENSOR_FAULT,
        found_at__gt=now - FAULTS_REMEMBERED,
        found_at__lte=now,
    )
    return float(faults.count())


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


def _facts_of_events(anomaly: Anomaly, count: EventCount | None, now: datetime) -> dict[str, FactValue]:
    """What the machine's controller reported around the anomaly, as far as it had come in.

    None of it is known of a machine that reported nothing for a quarter of a year, nor did its sisters: there "no
    event" would speak against every anomaly.
    """
    machine, noticed_at = anomaly.sensor.equipment, anomaly.noticed_at
    telling = Q(kind__in=TELLING_EVENTS)
    if count is not None:
        telling |= count.rule.counted  # which it consists of, whatever their kind
    told = MachineEvent.objects.filter(
        telling, organization_id=anomaly.organization_id, at__lte=now, received_at__lte=now
    )
    alike = told.filter(equipment__equipment_class=machine.equipment_class_id, at__gt=now - EVENTS_KNOWN)
    if not alike.exists():
        return {}
    own = told.filter(equipment=machine)
    earlier = own.filter(at__lte=noticed_at, at__gte=noticed_at - NEAREST_EVENT)
    later = own.filter(at__gt=noticed_at, at__lte=noticed_at + NEAREST_EVENT)
    begin, end = time_of_its_events(noticed_at, anomaly.ended_at)
    before, after = earlier.filter(at__gte=begin).count(), later.filter(at__lte=end).count()
    nearest = [
        abs(at - noticed_at)
        for events in (earlier.order_by("-at"), later.order_by("at"))
        for at in events.values_list("at", flat=True)[:1]
    ]
    return {
        "events_before": float(before),
        "events_after": float(after),
        "events_around": float(before + after),
        "hours_to_event": min(nearest, default=NEAREST_EVENT) / timedelta(hours=1),
    }


def _facts_of_others(anomaly: Anomaly, count: EventCount | None, now: datetime) -> dict[str, FactValue]:
    """Whether the machine's other sensors, and machines of its kind at its site, show something at the same time.

    A count of events is no sensor of the machine: what it tells are events, which are facts of their own. Counts of one
    rule are sisters of each other; all counts are of one quantity, whatever they count.
    """
    machine, started_at = anomaly.sensor.equipment, anomaly.started_at
    at_the_same_time = Anomaly.objects.filter(
        organization_id=anomaly.organization_id,
        started_at__gte=started_at - AT_THE_SAME_TIME,
        started_at__lte=min(started_at + AT_THE_SAME_TIME, now),
        detected_at__lte=now,
    ).exclude(kind=Anomaly.Kind.NO_DATA)
    own = at_the_same_time.filter(sensor__equipment=machine, sensor__event_count=None)
    own = own.exclude(sensor=anomaly.sensor_id)
    if count is None:
        shows_it = Q(sensor__quantity=anomaly.sensor.quantity, sensor__event_count=None)
    else:
        shows_it = Q(sensor__event_count__rule=count.rule_id)
    sisters = at_the_same_time.filter(
        shows_it,
        sensor__equipment__site=machine.site_id,
        sensor__equipment__equipment_class=machine.equipment_class_id,
    ).exclude(sensor__equipment=machine)
    return {
        "other_sensors": float(own.order_by().values("sensor").distinct().count()),
        "sister_machines": float(sisters.order_by().values("sensor__equipment").distinct().count()),
    }

"""What the process tests ask of a running product's database.

These run inside `manage.py shell` on that database, and answer in types that JSON has.
"""

import time
from collections import Counter
from datetime import timedelta

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site
from maintenance.models import Booking, Decision, MaintenanceLog, MaintenanceTask, Proposal
from predictions.models import Outcome, Prediction, PredictionOutcome, PredictionStatus, Trigger
from sensors.models import Anomaly, Baseline, Reading, ReadingBatch
from smartmaint import clock
from smartmaint.accounts.models import Organization, Role, Scope
from smartmaint.accounts.services import add_member, create_organization, issue_api_key
from smartmaint.health import queues
from tests.plants import make_limit, make_sensor, make_technician, set_policy

LIMIT = 7.1
PASSWORD = "correct horse battery"
QUIET_SECONDS = 60.0
# Long enough that a tick which was on its way has had its effect.
QUIET_FOR_SECONDS = 2.5


def lay_out(*, machines: int, technicians: int) -> dict[str, object]:
    """A plant of pumps with one vibration sensor and one limit each; tasks are approved by themselves."""
    organization = create_organization(name="Riverside Foods", time_zone="Europe/Berlin")
    set_policy(organization, approval="automatic", daily_budget=None)
    site = Site.objects.create(organization=organization, name="Works")
    pumps = EquipmentClass.objects.get(organization=organization, code="PU")
    vibration = FailureMode.objects.get(organization=organization, equipment_class=pumps, code="VIB")
    keys = []
    for number in range(1, machines + 1):
        machine = Equipment.objects.create(
            organization=organization,
            site=site,
            tag=f"PU-{number:03}",
            name=f"Pump {number}",
            equipment_class=pumps,
            criticality=Criticality.B,
        )
        sensor = make_sensor(machine, f"pump-{number}/vibration")
        make_limit(sensor, value=LIMIT, failure_mode=vibration)
        keys.append(sensor.key)
    for number in range(technicians):
        make_technician(organization, username=f"technician-{number}")
    add_member(organization=organization, role=Role.MANAGER, username="mina", password=PASSWORD)
    _, secret = issue_api_key(
        organization=organization,
        name="gateway",
        scopes=[Scope.INGEST, Scope.READ],
        expires_at=clock.now() + timedelta(days=1),
    )
    return {"sensors": keys, "secret": secret}


def story_when_quiet() -> dict[str, object]:
    """Wait until no row is pending, nor becomes it again; then tell what there is, of everything."""
    deadline = time.monotonic() + QUIET_SECONDS
    quiet_since = None
    while quiet_since is None or time.monotonic() - quiet_since < QUIET_FOR_SECONDS:
        if any(model.objects.pending().exists() for model in queues()):
            quiet_since = None
        elif quiet_since is None:
            quiet_since = time.monotonic()
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return _story() | {"queues": _queues()}


def _queues() -> dict[str, list[int]]:
    """Rows that are pending and rows that were given up, of every queue that has any."""
    counts = {
        model._meta.label: [model.objects.pending().count(), model.objects.stuck().count()]
        for model in queues()
    }
    return {label: numbers for label, numbers in counts.items() if any(numbers)}


def _story() -> dict[str, object]:
    """Per sensor the steps of its one excursion, and how often each was taken."""
    organization = Organization.objects.get()
    return {
        "readings": [
            [key, ts.isoformat(), value]
            for key, ts, value in Reading.objects.for_organization(organization)
            .order_by("sensor__key", "ts")
            .values_list("sensor__key", "ts", "value")
        ],
        "newly_stored": sum(ReadingBatch.objects.values_list("inserted", flat=True)),
        "anomalies": _per_sensor(Anomaly.objects.all(), "sensor__key", "kind", "level", "status"),
        "open_anomalies": Anomaly.objects.open().count(),
        "anomaly_predictions": _per_sensor(
            Prediction.objects.filter(trigger=Trigger.ANOMALY), "sensor__key", "status"
        ),
        "undone_predictions": Prediction.objects.filter(status=PredictionStatus.PENDING).count(),
        "undecided_predictions": Prediction.objects.made().filter(proposal=None).count(),
        "proposals": _per_sensor(
            Proposal.objects.filter(decision=Decision.PROPOSED), "prediction__sensor__key"
        ),
        "tasks": _per_sensor(MaintenanceTask.objects.all(), "equipment__sensors__key", "type", "status"),
        "bookings": _per_sensor(Booking.objects.filter(is_active=True), "task__equipment__sensors__key"),
        "all_bookings": Booking.objects.count(),
        "logs": _per_sensor(MaintenanceLog.objects.all(), "equipment__sensors__key", "verdict"),
        "baselines": _per_sensor(Baseline.objects.all(), "sensor__key"),
        "true_positives": _per_sensor(
            PredictionOutcome.objects.filter(
                outcome=Outcome.TRUE_POSITIVE, prediction__proposal__decision=Decision.PROPOSED
            ),
            "prediction__sensor__key",
        ),
        "unscored": PredictionOutcome.objects.filter(outcome="", happened_at__isnull=False).count(),
    }


def _per_sensor(rows, sensor_key: str, *fields: str) -> dict[str, int]:
    """How many rows there are of each sensor and combination of fields."""
    return dict(Counter(" ".join(values) for values in rows.values_list(sensor_key, *fields)))

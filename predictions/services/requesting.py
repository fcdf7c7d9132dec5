"""Asking for predictions: after a credible anomaly, on a period, or because a person wants one."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery

from predictions.models import Prediction, PredictionQuerySet, PredictionStatus, Trigger
from sensors.models import Anomaly, AnomalyFinding, AnomalyStatus, Baseline, Limit, Sensor
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.queues import queue_now

PERIOD = timedelta(hours=1)
# A probability of a sensor that fell silent is asked anew once, and is then answered with "not possible".
WITHOUT_NEWS = timedelta(days=1)
PERIODIC_BATCH = 20_000


@transaction.atomic
def request_prediction(*, anomaly: Anomaly) -> list[Prediction]:
    """Ask for a prediction of every failure limit of a credible anomaly's sensor: one waits per limit, never two.

    A sensor without a failure limit gets one that tells what follows such anomalies. It is asked for when an anomaly
    was judged, and again when it is over: until then the last word is of a machine that was beyond its limit. Silence
    asks for none: there is nothing new to forecast from. Nor does one of a machine that was repaired or looked at
    since: it tells of the machine as it was.
    """
    if anomaly.status != AnomalyStatus.CREDIBLE or anomaly.kind == Anomaly.Kind.NO_DATA:
        return []
    if _was_followed_up(anomaly):
        return []
    return _request(sensor=anomaly.sensor, trigger=Trigger.ANOMALY, anomaly=anomaly)


def _was_followed_up(anomaly: Anomaly) -> bool:
    """Whether people repaired the machine, or told what they found there, since it began."""
    repairs = Baseline.objects.filter(sensor=anomaly.sensor_id, started_at__gt=anomaly.started_at)
    findings = AnomalyFinding.objects.filter(
        anomaly__sensor=anomaly.sensor_id, found_at__gt=anomaly.started_at
    )
    return repairs.exists() or findings.exists()


@transaction.atomic
def request_prediction_by_person(*, sensor: Sensor) -> list[Prediction]:
    """Ask for a prediction of every failure limit of a sensor, from all readings until now."""
    return _request(sensor=sensor, trigger=Trigger.PERSON)


def _request(*, sensor: Sensor, trigger: Trigger, anomaly: Anomaly | None = None) -> list[Prediction]:
    limits = list(Limit.objects.outermost().filter(sensor=sensor).order_by("pk"))
    if limits or anomaly is None:
        waiting = _lock_waiting(limits, trigger, anomaly)
    else:
        waiting = _lock_waiting_without_limit(anomaly)
    for prediction in waiting:
        _hurry(prediction, trigger, anomaly)
    return waiting


def _lock_waiting(limits: list[Limit], trigger: Trigger, anomaly: Anomaly | None) -> list[Prediction]:
    """The one waiting prediction of each limit, locked: its own or the one that somebody else asked for.

    Between the insert, which finds one waiting, and the lock that one may be made: then the limit needs another.
    """
    waiting: list[Prediction] = []
    while len(waiting) < len(limits):
        _insert_waiting(limits, trigger=trigger, requested_at=clock.now(), anomaly=anomaly)
        waiting = list(_waiting().filter(limit__in=limits).order_by("pk").select_for_update(no_key=True))
    return waiting


def _lock_waiting_without_limit(anomaly: Anomaly) -> list[Prediction]:
    """As `_lock_waiting`, of a sensor that has no failure limit."""
    waiting: list[Prediction] = []
    while not waiting:
        prediction = Prediction(
            organization_id=anomaly.organization_id,
            sensor_id=anomaly.sensor_id,
            anomaly=anomaly,
            trigger=Trigger.ANOMALY,
            requested_at=clock.now(),
        )
        prediction.mark_due()
        Prediction.objects.bulk_create([prediction], ignore_conflicts=True)
        mine = _waiting().filter(sensor=anomaly.sensor_id, limit=None)
        waiting = list(mine.select_for_update(no_key=True, of=("self",)))
    return waiting


def _hurry(prediction: Prediction, trigger: Trigger, anomaly: Anomaly | None) -> None:
    """Have a waiting prediction made now, by the more urgent of its reasons.

    Marking it due takes it out of a back-off, and overtakes a worker that read its readings before this moment.
    """
    prediction.anomaly = prediction.anomaly or anomaly
    if trigger.rank < Trigger(prediction.trigger).rank:
        prediction.trigger = trigger
    prediction.mark_due()
    prediction.save()


def request_due_predictions(organization: Organization | None = None) -> int:
    """Ask for what is due by its period, the longest wait first; returns how many predictions were asked for.

    It is asked for all active organisations, or for one.

    Due are limits whose last prediction is an hour old or older and whose sensor has news since; and predictions that
    were given up an hour ago: what made them fail may be gone.
    """
    whose = Q(organization__is_active=True) if organization is None else Q(organization=organization)
    return _insert_periodic(clock.now(), whose) + _try_given_up_again(whose)


def _insert_periodic(now: datetime, whose: Q) -> int:
    """One waiting prediction per due limit, by one statement; returns how many there are more."""
    alike = Prediction(trigger=Trigger.PERIOD, requested_at=now)
    alike.mark_due()
    own = ("organization", "sensor", "limit")
    shared = [
        field for field in Prediction._meta.concrete_fields if not field.primary_key and field.name not in own
    ]
    longest_wait_first = (
        _due_limits(now).filter(whose).order_by(F("last_requested_at").asc(nulls_first=True), "pk")
    )
    chosen = Limit.objects.filter(pk__in=longest_wait_first.values("pk")[:PERIODIC_BATCH])
    # In the order in which others insert them, or the two could wait for each other.
    limits, parameters = (
        chosen.order_by("pk").values_list("organization_id", "sensor_id", "pk").query.sql_with_params()
    )
    columns = ", ".join(f"{name}_id" for name in own) + "".join(f", {field.column}" for field in shared)
    places = "".join(f", %s::{field.db_type(connection)}" for field in shared)
    values = [
        field.get_db_prep_save(getattr(alike, field.attname), connection=connection) for field in shared
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Prediction._meta.db_table} ({columns}) "
            f"SELECT due.*{places} FROM ({limits}) due ON CONFLICT DO NOTHING",
            [*values, *parameters],
        )
        return cursor.rowcount


def _due_limits(now: datetime) -> QuerySet[Limit]:
    # Pending rows are left out, so the newest made is the newest asked for, and an index finds it.
    last = Prediction.objects.settled().filter(limit=OuterRef("pk")).order_by("-made_at")
    has_news = Q(sensor__latest__received_at__gt=F("last_requested_at"))
    went_silent = Q(last_status=PredictionStatus.MADE, last_requested_at__lte=now - WITHOUT_NEWS)
    return (
        Limit.objects.outermost()
        .filter(~Exists(_waiting().filter(limit=OuterRef("pk"))), sensor__latest__isnull=False)
        .annotate(
            last_requested_at=Subquery(last.values("requested_at")[:1]),
            last_status=Subquery(last.values("status")[:1]),
        )
        .filter(
            Q(last_requested_at__isnull=True) | Q(has_news, last_requested_at__lte=now - PERIOD) | went_silent
        )
    )


@transaction.atomic
def _try_given_up_again(whose: Q) -> int:
    given_up = (
        _waiting()
        .stuck()
        .filter(whose)
        .filter(Q(limit__in=Limit.objects.outermost()) | Q(limit=None), parked_at__lte=queue_now() - PERIOD)
        .select_for_update(skip_locked=True, no_key=True, of=("self",))
    )
    return Prediction.objects.filter(pk__in=[prediction.pk for prediction in given_up]).try_again()


def _waiting() -> PredictionQuerySet:
    return Prediction.objects.filter(status=PredictionStatus.PENDING)


def _insert_waiting(
    limits: list[Limit], *, trigger: Trigger, requested_at: datetime, anomaly: Anomaly | None = None
) -> None:
    """One waiting prediction per limit; where there is one, it stays as it is."""
    predictions = [
        Prediction(
            organization_id=limit.organization_id,
            sensor_id=limit.sensor_id,
            limit=limit,
            anomaly=anomaly,
            trigger=trigger,
            requested_at=requested_at,
        )
        for limit in limits
    ]
    for prediction in predictions:
        prediction.mark_due()
    Prediction.objects.bulk_create(predictions, ignore_conflicts=True)

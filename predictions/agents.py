"""The agents of predictions: they make what was asked for, ask anew each hour, and score what came true."""

import time
from dataclasses import asdict
from datetime import timedelta

import structlog
from django.conf import settings
from django.db.models import Q

from predictions.models import Prediction, PredictionOutcome, Trigger
from predictions.services import health
from predictions.services.closing import close_past_horizons
from predictions.services.making import enter_predictions, forecast_pending
from predictions.services.requesting import request_due_predictions
from predictions.services.scoring import compute_score, score_prediction
from smartmaint.agents import agent
from smartmaint.work import Tally, each, run_pending

# What an anomaly that comes now may have to wait for is one of these: a second or two.
PERIODIC_TOGETHER = 250
URGENT_TOGETHER = 50
BUDGET_SECONDS = 20.0
CLOSING_BUDGET_SECONDS = 60.0

log = structlog.get_logger(__name__)


@agent(every=2, at_once=settings.FORECASTS_AT_ONCE)
def make_predictions() -> Tally:
    """Make the predictions that were asked for: all urgent ones, then some of the periodic ones, and again.

    One that comes after an anomaly, or that a person asked for, so waits for one batch of periodic ones at most, and
    shares its own with none of them.
    """
    tally, deadline = Tally(), time.monotonic() + BUDGET_SECONDS
    while True:
        urgent = _make(~Q(trigger=Trigger.PERIOD), together=URGENT_TOGETHER, budget_seconds=BUDGET_SECONDS)
        periodic = _make(Q(trigger=Trigger.PERIOD), together=PERIODIC_TOGETHER, budget_seconds=0)
        tally += urgent + periodic
        if periodic == Tally() or time.monotonic() >= deadline:
            return tally


def _make(which: Q, *, together: int, budget_seconds: float) -> Tally:
    """Work on one part of the queue, and tell how far it is."""
    began = time.monotonic()
    tally = run_pending(
        Prediction,
        work=forecast_pending,
        settle_all=enter_predictions,
        order_by=("id",),
        batch_size=together,
        budget_seconds=budget_seconds,
        only=which,
        lease=timedelta(seconds=settings.FORECAST_LEASE_SECONDS),
    )
    if tally != Tally():
        log.info(
            "predictions_entered",
            **asdict(tally),
            waiting=Prediction.objects.due().count(),
            seconds=round(time.monotonic() - began, 3),
        )
    return tally


@agent(every=60)
def request_predictions() -> Tally:
    """Ask for the predictions that are due by their period."""
    return Tally(settled=request_due_predictions())


@agent(every=60, at_once=1)
def report_forecasts() -> Tally:
    """Tell of each machine's health what is foretold."""
    return health.report_forecasts()


@agent(every=5)
def score_predictions() -> Tally:
    """Score predictions by what people found, or by what did not happen."""
    return run_pending(PredictionOutcome, work=each(compute_score), settle=score_prediction)


@agent(every=600, at_once=1)
def close_horizons() -> Tally:
    """Have predictions scored whose horizon has passed."""
    return Tally(settled=close_past_horizons(budget_seconds=CLOSING_BUDGET_SECONDS))

"""The agents of predictions: they make what was asked for, ask anew each hour, and score what came true."""

from django.db.models import Case, IntegerField, Value, When

from predictions.models import Prediction, PredictionOutcome, Trigger
from predictions.services.making import forecast_pending, make_prediction
from predictions.services.requesting import request_due_predictions
from predictions.services.scoring import compute_score, request_scores_of_past_horizons, score_prediction
from smartmaint.agents import agent
from smartmaint.work import Tally, each, run_pending

PERIODIC_LAST = Case(
    When(trigger=Trigger.PERIOD, then=Value(1)), default=Value(0), output_field=IntegerField()
)


@agent(every=2, alone=True)
def make_predictions() -> Tally:
    """Make the predictions that were asked for, those after anomalies first.

    Few at a time: one that comes after an anomaly waits for the batch before it, and for the rest of its own.
    """
    return run_pending(
        Prediction,
        work=forecast_pending,
        settle=make_prediction,
        order_by=(PERIODIC_LAST, "id"),
        batch_size=4,
        budget_seconds=4,
    )


@agent(every=60)
def request_predictions() -> Tally:
    """Ask for the predictions that are due by their period."""
    return Tally(settled=request_due_predictions())


@agent(every=5)
def score_predictions() -> Tally:
    """Score predictions by what people found, or by what did not happen."""
    return run_pending(PredictionOutcome, work=each(compute_score), settle=score_prediction)


@agent(every=600)
def close_horizons() -> Tally:
    """Have predictions scored whose horizon has passed."""
    return Tally(settled=request_scores_of_past_horizons())

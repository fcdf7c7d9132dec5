"""From histories to models, many at once: the place where one solver for a whole fleet would go."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from predictions.forecasting.guards import is_constant, seasons_shown, too_short
from predictions.forecasting.history import LEVEL_BUCKETS, History
from predictions.forecasting.latent import Drift, LatentModel
from predictions.forecasting.prophet_model import fit_prophet
from predictions.forecasting.request import ForecastRequest
from predictions.forecasting.result import ForecastError, attempt

DRIFT_VERSION = "drift.1"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A history that no model can be made from, and why."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class FitInput:
    """A request whose history passed the guards of time: something was read, and recently."""

    request: ForecastRequest
    history: History


Fit = LatentModel | Refusal | ForecastError


def fit_all(inputs: Sequence[FitInput]) -> list[Fit]:
    """One model per input, in order: Prophet if the history allows, else a constant or a borrowed drift."""
    return [attempt(one.request.key, partial(_fit, one.request, one.history)) for one in inputs]


def _fit(request: ForecastRequest, history: History) -> LatentModel | Refusal:
    shortage = too_short(history)
    if shortage is not None:
        return _borrow(request, history, shortage)
    if is_constant(history):
        return _constant(request, history)
    return fit_prophet(history, seasons=seasons_shown(history), seed=request.seed)


def _borrow(request: ForecastRequest, history: History, shortage: str) -> Drift | Refusal:
    """Cold start: the present level is the series' own, how it goes on is that of comparable series."""
    borrowed = request.borrowed
    if borrowed is None:
        return Refusal(f"{shortage} No comparable equipment to borrow a drift from.")
    buckets = min(LEVEL_BUCKETS, len(history.values))
    return Drift(
        name="borrowed_drift",
        version=DRIFT_VERSION,
        started_us=request.now_us,
        level=history.level,
        level_sd=borrowed.noise_sd / buckets**0.5,
        drift_per_day=borrowed.drift_per_day,
        drift_per_day_sd=borrowed.drift_per_day_sd,
        noise_sd=borrowed.noise_sd,
        source=borrowed.source,
    )


def _constant(request: ForecastRequest, history: History) -> Drift:
    return Drift(
        name="constant",
        version=DRIFT_VERSION,
        started_us=request.now_us,
        level=history.level,
        level_sd=0.0,
        drift_per_day=0.0,
        drift_per_day_sd=0.0,
        noise_sd=0.0,
        source="the series itself, which does not move",
    )

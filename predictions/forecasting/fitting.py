"""From histories to models, many at once: those that need a fit are solved together."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from predictions.forecasting.guards import Season, is_constant, seasons_shown, too_short
from predictions.forecasting.history import LEVEL_BUCKETS, History
from predictions.forecasting.latent import Drift, LatentModel, TrendSeason
from predictions.forecasting.prophet_model import fit_prophet
from predictions.forecasting.request import ForecastRequest
from predictions.forecasting.result import ForecastError, attempt
from predictions.forecasting.together import fit_together

DRIFT_VERSION = "drift.1"

logger = logging.getLogger(__name__)


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
    """One model per input, in order: Prophet's if the history allows, else a constant or a borrowed drift.

    Those with the same buckets and seasons are fitted together. Prophet itself fits what the fleet's solver leaves.
    """
    simple = [attempt(one.request.key, partial(_without_fit, one.request, one.history)) for one in inputs]
    alike: dict[tuple[int, tuple[Season, ...]], list[int]] = defaultdict(list)
    for position, one in enumerate(inputs):
        if simple[position] is None:
            alike[one.history.bucket_s, seasons_shown(one.history)].append(position)
    fits = dict(enumerate(simple))
    for (_, seasons), positions in alike.items():
        fits |= zip(positions, _fit_alike([inputs[position] for position in positions], seasons), strict=True)
    return [fit for fit in fits.values() if fit is not None]


def _without_fit(request: ForecastRequest, history: History) -> LatentModel | Refusal | None:
    """What can be said without a fit; None when the history needs and allows one."""
    shortage = too_short(history)
    if shortage is not None:
        return _borrow(request, history, shortage)
    return _constant(request, history) if is_constant(history) else None


def _fit_alike(inputs: Sequence[FitInput], seasons: tuple[Season, ...]) -> list[Fit]:
    """Fit series of one bucket and the same seasons."""
    try:
        found = fit_together([one.history for one in inputs], seasons=seasons)
    except Exception:
        logger.exception("Fitting %d series together failed: each is fitted alone", len(inputs))
        found = [_fit_alone(one, seasons) for one in inputs]
    return [
        model
        if model is not None
        else attempt(
            one.request.key, partial(fit_prophet, one.history, seasons=seasons, seed=one.request.seed)
        )
        for one, model in zip(inputs, found, strict=True)
    ]


def _fit_alone(one: FitInput, seasons: tuple[Season, ...]) -> TrendSeason | None:
    """None where that fails too: Prophet itself is slow, and for those alone that need it."""
    try:
        return fit_together([one.history], seasons=seasons)[0]
    except Exception:
        logger.exception("Fitting %s failed: Prophet fits it", one.request.key)
        return None


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

"""Many requests to many forecasts: guards, one fit a series, one set of futures for all of its limits.

What looks across series (the fit, the contest for the next two weeks, the drift-diffusion) is done for all of them at
once before each series concludes by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from predictions.forecasting.ahead import NOTHING, LookAhead, look_ahead
from predictions.forecasting.explanation import explain_already_beyond, explain_forecast
from predictions.forecasting.failure_curve import mix
from predictions.forecasting.fitting import Fit, FitInput, Refusal, fit_all
from predictions.forecasting.futures import PATHS, Futures, draw_futures
from predictions.forecasting.guards import no_reading, stale, too_short
from predictions.forecasting.history import LOOK_BACK_DAYS, History, read_history
from predictions.forecasting.intervals_of_fleet import blend
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.passage import first_passage
from predictions.forecasting.request import BorrowedBehaviour, ForecastRequest, LimitTarget
from predictions.forecasting.result import (
    DAYS_AHEAD,
    HORIZON_DAYS,
    Forecast,
    ForecastError,
    SeriesResult,
    attempt,
)

MIXTURE_VERSION = "mix.2"  # of paths with the drift-diffusion, and of the contest for the next two weeks


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A request with its history, and the reason why it cannot be forecast at all, when there is one."""

    request: ForecastRequest
    history: History
    refusal: Refusal | None

    @property
    def needs_fit(self) -> bool:
        """Some limit is not passed yet, and nothing speaks against a forecast."""
        return self.refusal is None and not all(map(self.history.has_passed, self.request.limits))


Lend = Callable[[str], BorrowedBehaviour | None]


def forecast(requests: Sequence[ForecastRequest], *, lend: Lend | None = None) -> list[SeriesResult]:
    """One result per request, in order: a Forecast per limit, in the order of the limits, or an error.

    `lend` is asked, by their key, for those alone that a forecast needs and whose history is too short for one.
    """
    read = [attempt(request.key, partial(_read, request, lend)) for request in requests]
    to_fit = {
        index: FitInput(series.request, series.history)
        for index, series in enumerate(read)
        if isinstance(series, Series) and series.needs_fit
    }
    fits = dict(zip(to_fit, fit_all(list(to_fit.values())), strict=True))
    seen = look_ahead({index: (to_fit[index], fit) for index, fit in fits.items()})
    return [
        series
        if isinstance(series, ForecastError)
        else attempt(
            series.request.key, partial(_conclude, series, fits.get(index), seen.get(index, NOTHING))
        )
        for index, series in enumerate(read)
    ]


def _read(request: ForecastRequest, lend: Lend | None) -> Series:
    history = read_history(request)
    reason = no_reading(history) or stale(history, now_us=request.now_us)
    series = Series(request, history, Refusal(reason) if reason else None)
    if lend is None or not series.needs_fit or too_short(history) is None:
        return series
    return replace(series, request=replace(request, borrowed=lend(request.key)))


def _conclude(series: Series, fit: Fit | None, seen: LookAhead) -> SeriesResult:
    """A Forecast per limit from what the fit came to; None means that none was needed or possible."""
    if isinstance(fit, ForecastError):
        return fit
    limits = series.request.limits
    if series.refusal is not None:
        return [_not_possible(series, series.refusal, limit) for limit in limits]
    if fit is None:
        return [_already_beyond(series, limit) for limit in limits]
    foresee = _foresight(series, fit, seen)
    has_passed = series.history.has_passed
    return [_already_beyond(series, limit) if has_passed(limit) else foresee(limit) for limit in limits]


def _foresight(
    series: Series, fit: LatentModel | Refusal, seen: LookAhead
) -> Callable[[LimitTarget], Forecast]:
    """What answers for a limit that is not crossed yet; the futures are drawn once for all of them."""
    if isinstance(fit, Refusal):
        return partial(_not_possible, series, fit)
    request = series.request
    futures = draw_futures(
        model=fit, now_us=request.now_us, bucket_s=series.history.bucket_s, seed=request.seed
    )
    quantiles = futures.path_quantiles
    if seen.near is not None:
        quantiles = blend(quantiles, seen.near)
    return partial(_modelled, series, fit, futures, seen, quantiles)


def _already_beyond(series: Series, limit: LimitTarget) -> Forecast:
    now_us = series.request.now_us
    return Forecast(
        limit_key=limit.key,
        status="made",
        reason="The newest reading is at or beyond the limit.",
        already_beyond=True,
        model="observed",
        model_version="observed.1",
        settings=_settings(series) | {"on_delay_s": limit.on_delay_s},
        probability=dict.fromkeys(DAYS_AHEAD, 1.0),
        crossing_p10_us=now_us,
        crossing_p50_us=now_us,
        crossing_p90_us=now_us,
        explanation=explain_already_beyond(history=series.history, limit=limit, unit=series.request.unit),
        **_evidence(series.history),
    )


def _not_possible(series: Series, refusal: Refusal, limit: LimitTarget) -> Forecast:
    return Forecast(
        limit_key=limit.key,
        status="not_possible",
        reason=refusal.reason,
        already_beyond=False,
        model="none",
        model_version="guards.1",
        settings=_settings(series),
        explanation={"words": refusal.reason},
        **_evidence(series.history),
    )


def _modelled(
    series: Series,
    model: LatentModel,
    futures: Futures,
    seen: LookAhead,
    quantiles: dict[str, list[float]],
    limit: LimitTarget,
) -> Forecast:
    request, history = series.request, series.history
    curve = mix(
        first_passage(futures=futures, limit=limit),
        seen.companions.get(limit.key),
        now_us=request.now_us,
        recalibration=request.recalibration,
    )
    explanation = explain_forecast(
        request=request,
        history=history,
        model=model,
        curve=curve,
        seen=seen,
        limit=limit,
    )
    return Forecast(
        limit_key=limit.key,
        status="made",
        reason=explanation["words"],
        already_beyond=False,
        model=model.name,
        model_version=f"{model.version}+{MIXTURE_VERSION}",
        settings=_settings(series) | {"paths": PATHS, "model": model.settings(), **request.learned()},
        probability=curve.probabilities(),
        crossing_p10_us=curve.quantile_us(0.1, now_us=request.now_us),
        crossing_p50_us=curve.quantile_us(0.5, now_us=request.now_us),
        crossing_p90_us=curve.quantile_us(0.9, now_us=request.now_us),
        path_ts_us=futures.path_ts_us.tolist(),
        path_quantiles=quantiles,
        explanation=explanation,
        **_evidence(history),
    )


def _settings(series: Series) -> dict[str, Any]:
    return {"horizon_days": HORIZON_DAYS, "look_back_days": LOOK_BACK_DAYS, "seed": series.request.seed}


def _evidence(history: History) -> dict[str, Any]:
    """The fields of a Forecast that tell what it was made from."""
    return {
        "data_from_us": int(history.ts_us[0]) if len(history.ts_us) else None,
        "data_to_us": history.newest_us,
        "n_points": len(history.ts_us),
        "n_masked": history.n_masked,
        "bucket_s": history.bucket_s,
        "input_quality": history.input_quality,
    }

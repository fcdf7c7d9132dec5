"""Prophet fits one history; only its parameters leave this module, as a TrendSeason."""

import logging
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import prophet
from cmdstanpy.utils import get_logger
from prophet import Prophet

from predictions.forecasting.buckets import DAY_S
from predictions.forecasting.guards import Season
from predictions.forecasting.history import History
from predictions.forecasting.latent import SeasonalCurve, TrendSeason
from predictions.forecasting.solver.design import CHANGEPOINT_PRIOR_SCALE, CHANGEPOINT_RANGE, CHANGEPOINTS

SEASONALITY_PRIOR_SCALE = 10.0
FIT_TIMEOUT_S = 60

# Two lines a fit would bury everything else in a worker's log. The first call of get_logger sets the level to
# DEBUG and adds a handler, so it must come before ours.
get_logger().setLevel(logging.WARNING)


def fit_prophet(history: History, *, seasons: tuple[Season, ...], seed: int) -> TrendSeason:
    """Maximum a posteriori fit of trend and seasons.

    Values are scaled to 0..1 first: by its own default Prophet divides by the largest value, so that its
    priors, and the forecast, would differ between a temperature in kelvin and the same in degrees Celsius.
    Raises RuntimeError or TimeoutError when the optimiser fails, ValueError when its result is not finite.
    """
    low, scale = float(history.values.min()), float(np.ptp(history.values))
    frame = pd.DataFrame(
        {
            "ds": pd.to_datetime(history.ts_us + history.lag_us, unit="us"),
            "y": (history.values - low) / scale,
        },
    )
    model = _prepare(len(frame), seasons)
    # Prophet's own clean-up leaves an empty directory behind for every fit.
    with TemporaryDirectory(prefix="forecast-") as directory:
        model.fit(frame, seed=seed % 2**31, output_dir=directory, timeout=FIT_TIMEOUT_S)
    return _to_natural_units(model, history, seasons, low, scale)


def _prepare(points: int, seasons: tuple[Season, ...]) -> Prophet:
    model = Prophet(
        growth="linear",
        n_changepoints=min(CHANGEPOINTS, int(points * CHANGEPOINT_RANGE) - 1),
        changepoint_range=CHANGEPOINT_RANGE,
        changepoint_prior_scale=CHANGEPOINT_PRIOR_SCALE,
        daily_seasonality=False,
        weekly_seasonality=False,
        yearly_seasonality=False,
        uncertainty_samples=0,
    )
    for season in seasons:
        model.add_seasonality(
            season.name, season.period_s / DAY_S, season.order, prior_scale=SEASONALITY_PRIOR_SCALE
        )
    return model


def _to_natural_units(
    model: Prophet, history: History, seasons: tuple[Season, ...], low: float, scale: float
) -> TrendSeason:
    """Prophet counts time from 0 to 1 over the history, and the values likewise."""
    span_days = history.span_days
    parameters = {
        name: np.asarray(model.params[name]).ravel() for name in ("k", "m", "delta", "beta", "sigma_obs")
    }
    if not all(np.isfinite(values).all() for values in parameters.values()):
        raise ValueError("Prophet's fit is not finite.")
    change_times = np.asarray(model.changepoints_t)
    ends = np.cumsum([2 * season.order for season in seasons])[:-1]
    coefficients = np.split(parameters["beta"] * scale, ends) if seasons else []
    return TrendSeason(
        name="prophet",
        version=f"{prophet.__version__}+paths.2",
        origin_us=int(history.ts_us[0]) + history.lag_us,
        fitted_days=span_days,
        start_level=low + float(parameters["m"][0]) * scale,
        start_slope=float(parameters["k"][0]) * scale / span_days,
        change_days=change_times * span_days,
        slope_changes=parameters["delta"] * scale / span_days,
        changes_per_day=len(change_times) / span_days,
        seasons=tuple(
            SeasonalCurve(season.name, season.period_s, part)
            for season, part in zip(seasons, coefficients, strict=True)
        ),
        noise_sd=float(parameters["sigma_obs"][0]) * scale,
        fit_settings={
            "growth": "linear",
            "changepoints": len(change_times),
            "changepoint_range": CHANGEPOINT_RANGE,
            "changepoint_prior_scale": CHANGEPOINT_PRIOR_SCALE,
            "seasonality_prior_scale": SEASONALITY_PRIOR_SCALE,
            "seasons": {season.name: season.order for season in seasons},
        },
    )

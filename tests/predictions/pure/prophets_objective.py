"""What Prophet minimises, written out from its Stan program, and Prophet itself on an hourly series of 0..1."""

from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from prophet import Prophet

from predictions.forecasting.guards import Season
from predictions.forecasting.solver import FleetFit
from predictions.forecasting.solver.design import season_waves

Floats = NDArray[np.float64]
START = pd.Timestamp("2026-01-05 07:00")


def objective(
    values: Floats,
    time: Floats,
    waves: Floats,
    change_times: Floats,
    *,
    k: float,
    m: float,
    delta: Floats,
    beta: Floats,
    sigma: float,
) -> float:
    """Negative logarithm of the posterior density, but for a constant; `values` and `time` (n,), `waves` (n, w)."""
    trend = m + k * time + np.maximum(time[:, None] - change_times, 0.0) @ delta
    errors = values - trend - waves @ beta
    likelihood = len(values) * np.log(sigma) + errors @ errors / (2 * sigma**2)
    priors = (k**2 + m**2) / (2 * 5**2) + np.abs(delta).sum() / 0.05 + beta @ beta / (2 * 10**2)
    return float(likelihood + priors + sigma**2 / (2 * 0.5**2))


def parameters_of(fit: FleetFit, series: int) -> dict[str, Any]:
    """The parameters of one series of a fleet, as `objective` takes them."""
    changes = fit.changes[series]
    return {
        "k": fit.k[series],
        "m": fit.m[series],
        "delta": fit.delta[series, :changes],
        "beta": fit.beta[series],
        "sigma": fit.sigma[series],
    }


def objective_of(fit: FleetFit, series: int, values: Floats, **other: Any) -> float:
    """The objective of one series (points,) at its fitted parameters, or at `other` ones."""
    present = np.flatnonzero(~np.isnan(values))
    return objective(
        values[present],
        (present - present[0]) / (present[-1] - present[0]),
        season_waves(present, fit.bucket_s, fit.seasons),
        fit.change_times[series, : fit.changes[series]],
        **(parameters_of(fit, series) | other),
    )


def prophet_of(
    values: Floats,
    *,
    bucket_s: int,
    seasons: tuple[Season, ...],
    uncertainty_samples: int = 0,
    **options: Any,
) -> Prophet:
    """Prophet fitted to a series (points,) from START; `options` go to its optimiser."""
    present = np.flatnonzero(~np.isnan(values))
    model = Prophet(
        daily_seasonality=False,
        weekly_seasonality=False,
        yearly_seasonality=False,
        uncertainty_samples=uncertainty_samples,
    )
    for season in seasons:
        model.add_seasonality(season.name, season.period_s / 86_400, season.order)
    history = pd.DataFrame({"ds": instants(present, bucket_s), "y": values[present]})
    with TemporaryDirectory(prefix="forecast-") as directory:
        return model.fit(history, seed=1, output_dir=directory, **options)


def instants(index: NDArray[np.intp], bucket_s: int) -> pd.DatetimeIndex:
    """The buckets' instants, from START."""
    return START + pd.to_timedelta(index * bucket_s, unit="s")


def objective_of_prophet(model: Prophet) -> float:
    """The objective at the parameters that Prophet found."""
    parameters = {name: np.asarray(value).ravel() for name, value in model.params.items()}
    return objective(
        model.history["y_scaled"].to_numpy(),
        model.history["t"].to_numpy(),
        model.make_all_seasonality_features(model.history)[0].to_numpy(),
        model.changepoints_t,
        k=parameters["k"].item(),
        m=parameters["m"].item(),
        delta=parameters["delta"],
        beta=parameters["beta"],
        sigma=parameters["sigma_obs"].item(),
    )

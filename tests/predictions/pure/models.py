"""Models of a series whose future is known."""

import numpy as np

from predictions.forecasting.buckets import DAY_S, DAY_US
from predictions.forecasting.latent import Drift, SeasonalCurve, TrendSeason
from tests.predictions.pure.series import NOW_US

DRIFT = Drift("borrowed_drift", "drift.1", NOW_US, 10.0, 0.5, 0.1, 0.02, 2.0, "twelve pumps")


def trend_season(**more: object) -> TrendSeason:
    """Ten days of history, which end now: a slope of 1 that changes by -2 on the fourth day, and a daily cycle."""
    parts = {
        "name": "prophet",
        "version": "1",
        "origin_us": NOW_US - 10 * DAY_US,
        "fitted_days": 10.0,
        "start_level": 5.0,
        "start_slope": 1.0,
        "change_days": np.array([4.0]),
        "slope_changes": np.array([-2.0]),
        "changes_per_day": 0.1,
        "seasons": (SeasonalCurve("daily", DAY_S, np.array([3.0, 0.0])),),
        "noise_sd": 0.0,
        "fit_settings": {},
    }
    return TrendSeason(**parts | more)

"""Series to forecast, with times that end now."""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_US, HOUR_S, SECOND_US
from predictions.forecasting.request import ForecastRequest, LimitTarget

NOW_US = 20_000 * DAY_US
HOUR_US = HOUR_S * SECOND_US


def times(*, days: float, step_s: int = HOUR_S) -> NDArray[np.int64]:
    """Instants `step_s` apart over the `days` before now, now included."""
    count = int(days * DAY_US) // (step_s * SECOND_US) + 1
    return NOW_US - np.arange(count, dtype=np.int64)[::-1] * step_s * SECOND_US


def days_before_now(ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Negative days relative to now."""
    return (ts_us - NOW_US) / DAY_US


def noise(count: int, *, sd: float, seed: int = 1) -> NDArray[np.float64]:
    """Reproducible normal noise."""
    return np.random.default_rng(seed).normal(0.0, sd, size=count)


def high(value: float) -> LimitTarget:
    """A limit crossed from below."""
    return LimitTarget("high", value, "high")


def low(value: float) -> LimitTarget:
    """A limit crossed from above."""
    return LimitTarget("low", value, "low")


def ask(
    ts_us: NDArray[np.int64], values: NDArray[np.float64], *limits: LimitTarget, **more: object
) -> ForecastRequest:
    """A request at NOW_US with a fixed seed."""
    return ForecastRequest(
        **{
            "key": "pump-7/vibration",
            "ts_us": ts_us,
            "values": values,
            "limits": limits,
            "now_us": NOW_US,
            "seed": 7,
        }
        | more
    )

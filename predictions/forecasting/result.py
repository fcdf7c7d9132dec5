"""What a caller gets back: plain Python types, ready to be stored as they are."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

HORIZON_DAYS = 90
DAYS_AHEAD = (1, 7, 14, 30, 90)
PATH_QUANTILES = {"p05": 0.05, "p10": 0.10, "p50": 0.50, "p90": 0.90, "p95": 0.95}

Result = TypeVar("Result")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast of one series against one limit.

    `probability` maps days ahead (1, 7, 14, 30, 90) to the probability that the latent level has crossed the
    limit by then. `crossing_p10_us`, `_p50_us` and `_p90_us` are the times by which one, five and nine in ten
    futures have crossed; None means not within the horizon. `path_quantiles` holds the quantiles of the value
    that a sensor would show, measurement noise included, at the instants `path_ts_us`: every three hours for
    two days, which shows a daily cycle, then every second day at the hour of `now`. Paths are never capped: a
    linear trend may leave what is physically possible. When `status` is "not_possible", `reason` says why and
    the numbers are empty.
    """

    limit_key: str
    status: Literal["made", "not_possible"]
    reason: str
    already_beyond: bool
    model: str
    model_version: str
    settings: dict[str, Any]
    data_from_us: int | None
    data_to_us: int | None
    n_points: int
    n_masked: int
    bucket_s: int
    input_quality: dict[str, Any]
    probability: dict[int, float] = field(default_factory=dict)
    crossing_p10_us: int | None = None
    crossing_p50_us: int | None = None
    crossing_p90_us: int | None = None
    path_ts_us: list[int] = field(default_factory=list)
    path_quantiles: dict[str, list[float]] = field(default_factory=dict)
    explanation: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForecastError:
    """A series whose forecast failed unexpectedly; the others of the call are not affected."""

    key: str
    message: str


SeriesResult = list[Forecast] | ForecastError


def attempt(key: str, compute: Callable[[], Result]) -> Result | ForecastError:
    """What `compute` returns, or the series' own error: one series must not take the others with it."""
    try:
        return compute()
    except Exception as error:
        logger.exception("Forecasting series %s failed", key)
        return ForecastError(key, f"{type(error).__name__}: {error}")

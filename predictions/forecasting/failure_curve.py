"""P(failure) day by day: Prophet's paths and a drift-diffusion, mixed, and corrected by what came true.

The two err differently. Paths of trend and season see a limit that only the daily peak touches, and they hold on to
the course of the whole history; the drift-diffusion on daily medians follows a machine that bends. A quarter of the one
and three quarters of the other was best on held-out machines (docs/forecasting-quality.md).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.buckets import DAY_S, DAY_US, HOUR_S, SECOND_US, bucket_medians
from predictions.forecasting.cycles import WEEK_DAYS
from predictions.forecasting.drift_diffusion import failure_probabilities
from predictions.forecasting.history import History
from predictions.forecasting.latent import LatentModel, TrendSeason
from predictions.forecasting.recalibration import Recalibration
from predictions.forecasting.request import LimitTarget
from predictions.forecasting.result import DAYS_AHEAD, HORIZON_DAYS

COMPANION_SHARE = 0.75
DECIMALS = 6  # a probability of 1e-290 is none
DAYS_FOR_FULL_SHARE = 30
# Whole days at which the companion is computed; between them its curve is a straight line.
NODES_D = (1, 2, 3, 5, 7, 10, 14, 18, 22, 26, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90)
# Prophet's paths tell the hours of the first two days; after that the days.
INSTANTS_D = np.concatenate((np.arange(48.0) / 24, np.arange(2.0, HORIZON_DAYS + 1)))


@dataclass(frozen=True, slots=True, eq=False)
class Companion:
    """What the drift-diffusion says: `probabilities` at NODES_D, from so many daily medians."""

    probabilities: NDArray[np.float64]
    days: int

    @property
    def share(self) -> float:
        """Its weight in the mixture: less than three quarters where it has seen less than thirty days."""
        return COMPANION_SHARE * min(1.0, self.days / DAYS_FOR_FULL_SHARE)


@dataclass(frozen=True, slots=True, eq=False)
class FailureCurve:
    """P(failure) by each of INSTANTS_D: `corrected`, never falling; `mixed` before, and both parts of that."""

    corrected: NDArray[np.float64]
    mixed: NDArray[np.float64]
    of_prophet: NDArray[np.float64]
    of_companion: NDArray[np.float64] | None
    companion_share: float

    def by_days(self, days: int) -> float:
        """P(failure) within so many whole days."""
        return float(self.corrected[INSTANTS_D.searchsorted(days)])

    def probabilities(self) -> dict[int, float]:
        """P(failure) within 1, 7, 14, 30 and 90 days."""
        return {days: self.by_days(days) for days in DAYS_AHEAD}

    def quantile_us(self, share: float, *, now_us: int) -> int | None:
        """The instant by which it has failed with the probability `share`; None beyond the horizon.

        Between two instants of the curve it rises evenly.
        """
        place = int(np.searchsorted(self.corrected, share))
        if place == len(self.corrected):
            return None
        if place == 0:
            return now_us
        low, high = self.corrected[place - 1], self.corrected[place]
        begin, end = INSTANTS_D[place - 1], INSTANTS_D[place]
        days = begin + (end - begin) * (share - low) / (high - low)
        return now_us + int(days * DAY_US)

    def parts_by_days(self, days: int) -> tuple[float, float]:
        """P(failure) within so many whole days by Prophet's paths and by the companion; both are there."""
        place = INSTANTS_D.searchsorted(days)
        assert self.of_companion is not None
        return float(self.of_prophet[place]), float(self.of_companion[place])

    def figures(self) -> dict[str, Any]:
        """Both parts and their mixture by 1, 7, 14, 30 and 90 days, and the weight of the second, in plain types."""
        parts: dict[str, Any] = {
            "of_prophets_paths": _by_days(self.of_prophet),
            "before_recalibration": _by_days(self.mixed),
        }
        if self.of_companion is not None:
            parts["of_drift_diffusion"] = _by_days(self.of_companion)
        return parts | {"companion_share": self.companion_share}


@dataclass(frozen=True, slots=True, eq=False)
class CurveInput:
    """One limit, the history that moves towards it, and the model of that history."""

    history: History
    model: LatentModel
    limit: LimitTarget
    now_us: int

    @property
    def sign(self) -> float:
        """1 for a limit above; -1 turns one below, and the readings, upside down."""
        return 1.0 if self.limit.direction == "high" else -1.0


def companions(asked: Sequence[CurveInput]) -> list[Companion | None]:
    """The drift-diffusion for each history and limit, in order; None where it cannot tell anything.

    The model tells how far above (or below) the median of a day its daily cycle reaches: that much sooner is the
    limit met.
    """
    rows = [one.sign * daily_medians(one.history, now_us=one.now_us) for one in asked]
    found: list[Companion | None] = [None] * len(asked)
    alike: dict[int, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        alike[len(row)].append(place)
    for places in alike.values():
        limits = [
            asked[place].sign * asked[place].limit.value - _daily_reach(asked[place]) for place in places
        ]
        told = failure_probabilities(
            np.stack([rows[place] for place in places]),
            limits=np.array(limits),
            steps_ahead=NODES_D,
            cycle=WEEK_DAYS,
        )
        for place, probabilities in zip(places, told, strict=True):
            if np.isfinite(probabilities).all():
                found[place] = Companion(probabilities, int(np.isfinite(rows[place]).sum()))
    return found


def daily_medians(history: History, *, now_us: int) -> NDArray[np.float64]:
    """Median (days,) of each 24 hours before now, the newest last, NaN where nothing was read.

    Counted back from now the newest day is a whole one, and clocks that are set forward or back do not matter.
    """
    backwards, medians = bucket_medians(ts_us=now_us - history.ts_us, values=history.values, bucket_s=DAY_S)
    row = np.full(int(backwards[-1] // DAY_US) + 1, np.nan)
    row[-1 - backwards // DAY_US] = medians
    return row


def mix(
    crossed_us: NDArray[np.int64],
    companion: Companion | None,
    *,
    now_us: int,
    recalibration: Recalibration,
) -> FailureCurve:
    """The mixture, corrected by resolved outcomes, as a curve that never falls.

    `crossed_us` (paths,) is when Prophet's paths first pass the limit.
    """
    of_prophet = shares_crossed(crossed_us, now_us=now_us)
    of_companion, share, mixed = None, 0.0, of_prophet
    if companion is not None:
        of_companion = np.round(
            np.interp(INSTANTS_D, (0, *NODES_D), (0.0, *companion.probabilities)), DECIMALS
        )
        share = companion.share
        mixed = (1 - share) * of_prophet + share * of_companion
    corrected = recalibration.apply(mixed, np.maximum(INSTANTS_D, 1.0))
    never_falling = np.round(np.clip(np.maximum.accumulate(corrected), 0.0, 1.0), DECIMALS)
    return FailureCurve(never_falling, np.round(mixed, DECIMALS), of_prophet, of_companion, share)


def _by_days(curve: NDArray[np.float64]) -> dict[str, float]:
    return {str(days): float(curve[INSTANTS_D.searchsorted(days)]) for days in DAYS_AHEAD}


def shares_crossed(crossed_us: NDArray[np.int64], *, now_us: int) -> NDArray[np.float64]:
    """Share of the paths that have passed the limit by each of INSTANTS_D."""
    instants = now_us + np.round(INSTANTS_D * DAY_S).astype(np.int64) * SECOND_US
    ordered = np.sort(crossed_us)
    return np.searchsorted(ordered, instants, side="right") / len(ordered)


def _daily_reach(asked: CurveInput) -> float:
    """How far the daily cycle goes beyond its median, towards the limit."""
    if not isinstance(asked.model, TrendSeason):
        return 0.0
    hours = asked.now_us + np.arange(DAY_S // HOUR_S, dtype=np.int64) * HOUR_S * SECOND_US
    daily = [asked.sign * curve.at(hours) for curve in asked.model.seasons if curve.period_s == DAY_S]
    return sum(float(curve.max() - np.median(curve)) for curve in daily)

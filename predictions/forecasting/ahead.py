"""What is looked at for all series at once, between their fits and their forecasts."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from predictions.forecasting.failure_curve import Companion, CurveInput, companions
from predictions.forecasting.fitting import Fit, FitInput
from predictions.forecasting.intervals_of_fleet import NearPath, PathInput, near_paths
from predictions.forecasting.latent import TrendSeason

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class LookAhead:
    """The next two weeks of a series by the winner of its contest, and the drift-diffusion by the keys of limits.

    `has_failed` tells that neither could be computed, for a reason that the log has.
    """

    near: NearPath | None = None
    companions: Mapping[str, Companion | None] = field(default_factory=dict)
    has_failed: bool = False


NOTHING = LookAhead()
FAILED = LookAhead(has_failed=True)


def look_ahead(fits: Mapping[int, tuple[FitInput, Fit]]) -> dict[int, LookAhead]:
    """By the same keys, for those whose own history was fitted: one that borrows or does not move has nothing to add.

    If it fails for all together, each series is looked at alone, and of the one that fails it is known that it did.
    """
    fitted = {index: (one, fit) for index, (one, fit) in fits.items() if isinstance(fit, TrendSeason)}
    try:
        return _look_ahead(fitted)
    except Exception:
        logger.exception("Looking ahead for %d series together failed: each is tried alone", len(fitted))
    seen: dict[int, LookAhead] = {}
    for index, pair in fitted.items():
        try:
            seen |= _look_ahead({index: pair})
        except Exception:
            logger.exception("Looking ahead for series %s failed", pair[0].request.key)
            seen[index] = FAILED
    return seen


def _look_ahead(fitted: Mapping[int, tuple[FitInput, TrendSeason]]) -> dict[int, LookAhead]:
    inputs = [one for one, _ in fitted.values()]
    near = near_paths(
        [
            PathInput(
                one.request.key,
                one.history,
                one.request.now_us,
                one.request.champion,
                one.request.with_prophet,
            )
            for one in inputs
        ]
    )
    asked = [
        (index, CurveInput(one.history, model, limit, one.request.now_us))
        for index, (one, model) in fitted.items()
        for limit in one.request.limits
        if not one.history.has_passed(limit)
    ]
    by_limit: dict[int, dict[str, Companion | None]] = {index: {} for index in fitted}
    for (index, curve), found in zip(asked, companions([curve for _, curve in asked]), strict=True):
        by_limit[index][curve.limit.key] = found
    return {index: LookAhead(path, by_limit[index]) for index, path in zip(fitted, near, strict=True)}

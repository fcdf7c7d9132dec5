"""Is something going on right now that a forecast cannot know? A rise of two hours has no place in a trend of weeks."""

import numpy as np
from numpy.typing import NDArray

from predictions.forecasting.history import History
from predictions.forecasting.latent import LatentModel
from predictions.forecasting.normal import MAD_TO_SD
from sensors.unit_signs import with_unit

NOISE_SDS = 5.0
NEWEST_READINGS = 3
READINGS_FOR_SPREAD = 48


def excursion_in_words(history: History, *, model: LatentModel, unit: str) -> str | None:
    """What speaks of an excursion that goes on: the newest readings are away from where the model has them.

    The model, in the `unit` of the series, is asked for their own moments: a cycle may go far in an hour. Two views:
    the newest buckets, also one that was left out as an outlier; and the newest three readings, which within the
    hour are ahead of any bucket, against the spread from reading to reading as well.
    """
    if history.hides_newest:
        return (
            f"The newest readings, {with_unit(history.newest_value, unit)} at last, stand out from those before them "
            "and were left out: they may be an error, or the beginning of a failure."
        )
    newest = float(np.median(history.raw_values[-NEWEST_READINGS:]))
    tolerance = NOISE_SDS * model.noise_sd
    of_level = _expected(model, history.level_ts_us)
    of_newest = _expected(model, history.raw_ts_us[-NEWEST_READINGS:])
    by_level, by_newest = abs(history.level - of_level), abs(newest - of_newest)
    if by_level <= tolerance and by_newest <= tolerance + NOISE_SDS * _spread(history):
        return None
    away, expected = (history.level, of_level) if by_level > by_newest else (newest, of_newest)
    return (
        f"An excursion is going on: the newest readings are at {with_unit(away, unit)}, where the course of the "
        f"history is at {with_unit(expected, unit)}. How it goes on is not known from the past."
    )


def _expected(model: LatentModel, ts_us: NDArray[np.int64]) -> float:
    return float(np.median([model.course(start_us=int(at), step_us=1, count=1) for at in ts_us]))


def _spread(history: History) -> float:
    """Standard deviation of single readings, from the differences between neighbours; robust to a rise."""
    steps = np.diff(history.raw_values[-READINGS_FOR_SPREAD:])
    return MAD_TO_SD * float(np.median(np.abs(steps))) / 2**0.5 if len(steps) else 0.0

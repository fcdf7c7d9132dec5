"""A whole series scored as the product scores it: row by row, each by what came before it only."""

import numpy as np
import numpy.typing as npt

from sensors.detection.detector import DEFAULT_SETTINGS, Block, DetectorSettings, DetectorState, detect_many


def score_series(
    ts_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    settings: DetectorSettings = DEFAULT_SETTINGS,
) -> npt.NDArray[np.float64]:
    """Scores in [0, 1] of readings in the order in which they came, shape (n,).

    From .5 on something was news; the shipped threshold is there. What is no number, and what is not newer than
    all before it (a second reading of one moment, a clock that stepped back), is not judged and scores 0.
    """
    scores = np.zeros(len(ts_us))
    if not len(ts_us):
        return scores
    newest = np.maximum.accumulate(ts_us)
    is_newer = np.concatenate([[True], ts_us[1:] > newest[:-1]])
    rows = np.flatnonzero(is_newer & np.isfinite(values))
    block = Block(np.zeros(len(rows), np.int64), ts_us[rows], values[rows], np.zeros(len(rows), np.int8))
    scores[rows] = detect_many([DetectorState.empty()], block, [()], settings).scores
    return scores

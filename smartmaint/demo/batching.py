"""Readings of many sensors, cut into requests as a gateway posts them."""

from collections.abc import Iterator, Sequence

import numpy as np

from sensors.ingest.parsed import MAX_READINGS, ParsedReadings, from_columns
from smartmaint.demo.physics import Simulated


def in_requests(series: Sequence[tuple[str, Simulated]], *, historical: bool) -> Iterator[ParsedReadings]:
    """Cut the readings of many sensors into requests of the usual size, in order of time."""
    keys = np.repeat(
        np.array([key for key, _ in series], dtype=object), [len(one.ts_us) for _, one in series]
    )
    ts_us = np.concatenate([np.array([], dtype=np.int64), *(one.ts_us for _, one in series)])
    values = np.concatenate([np.array([]), *(one.values for _, one in series)])
    quality = np.concatenate([np.array([], dtype=np.int8), *(one.quality for _, one in series)])
    order = np.argsort(ts_us, kind="stable")
    for first in range(0, len(order), MAX_READINGS):
        rows = order[first : first + MAX_READINGS]
        yield from_columns(
            keys=keys[rows].tolist(),
            ts_us=ts_us[rows],
            values=values[rows],
            quality=quality[rows],
            historical=historical,
        )

"""When does a forecast first name the right week, or cycle, of a failure, and keep to it?

python benchmarks/run_to_failure.py --ims FOLDER --cmapss FOLDER [--plots FOLDER] [--json]

The product's own forecast of a fleet is asked at one moment after another of each life and sees what lay before it.
Pure computation: it starts no product and reads no database.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.run_to_failure_data import CMAPSS_FILE, IMS_FILE, Life, bearings, engines
from benchmarks.run_to_failure_plots import draw_bearings, draw_engines
from benchmarks.run_to_failure_told import Told
from predictions.forecasting.buckets import DAY_US, SECOND_US
from predictions.forecasting.fleet import forecast
from predictions.forecasting.request import ForecastRequest

WEEK_DAYS = 3.5  # half a week to either side
CYCLES = 10.0
IMS_EVERY_S, CMAPSS_EVERY_S = 12 * 3_600.0, 5 * 86_400.0
AT_ONCE = 250
NO_DATE = np.nan


def foretell(lives: Sequence[Life], *, every_s: float) -> list[Told]:
    """Ask at every so many seconds of each life, until what was to come came, or until its last reading."""
    asked = [(place, now_us) for place, life in enumerate(lives) for now_us in _moments(life, every_s)]
    rows: list[tuple[int, int, list[float], bool]] = []
    for begin in range(0, len(asked), AT_ONCE):
        some = asked[begin : begin + AT_ONCE]
        answers = forecast([_request(lives[place], now_us) for place, now_us in some])
        for (place, now_us), answer in zip(some, answers, strict=True):
            if not isinstance(answer, list):
                raise RuntimeError(f"{lives[place].name}: {answer.message}")
            [made] = answer
            dates = (made.crossing_p10_us, made.crossing_p50_us, made.crossing_p90_us)
            days = [NO_DATE if date is None else (date - now_us) / DAY_US for date in dates]
            rows.append((place, now_us, days, made.status == "made"))
    return [_told(life, [row for row in rows if row[0] == place]) for place, life in enumerate(lives)]


def _told(life: Life, rows: list[tuple[int, int, list[float], bool]]) -> Told:
    return Told(
        life,
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.float64).reshape(-1, 3).T,
        np.array([row[3] for row in rows], dtype=bool),
    )


def _moments(life: Life, every_s: float) -> list[int]:
    end_us = int(life.ts_us[-1]) if life.failed_us is None else life.failed_us
    step_us = int(every_s * SECOND_US)
    return list(range(life.asked_from_us + step_us, end_us, step_us))


def _request(life: Life, now_us: int) -> ForecastRequest:
    seen = life.ts_us <= now_us
    return ForecastRequest(
        key=life.name,
        ts_us=life.ts_us[seen],
        values=life.values[seen],
        limits=[life.limit],
        now_us=now_us,
        seed=now_us // SECOND_US % 2**31,
        expected_interval_s=life.interval_s,
    )


def figures_of(told: Told, tolerance_days: float) -> dict[str, Any]:
    """One life: when it came, when the forecast settled, and what it said wrongly before."""
    error = told.days[1] - told.true_days
    dated = np.isfinite(told.days[1])
    life = told.life
    has_end = life.failed_us is not None
    return {
        "name": told.life.name,
        "limit": round(told.life.limit.value, 4),
        "asked": len(told.asked_us),
        "not_possible": int((~told.was_possible).sum()),
        "life_days": None if not has_end else round(float(life.failed_us - life.ts_us[0]) / DAY_US, 1),
        "settled_days_before": told.settled(tolerance_days) if has_end else None,
        "dates_told": int(dated.sum()),
        "too_early": int((error < -tolerance_days).sum()) if has_end else int(dated.sum()),
        "too_late": int((error > tolerance_days).sum()) if has_end else 0,
    }


def summary_of(all_told: Sequence[Told], tolerance_days: float) -> dict[str, Any]:
    """Over lives that ended: how many settled, how long before, and the error of the median at some distances."""
    ended = [told for told in all_told if told.life.failed_us is not None]
    settled = [told.settled(tolerance_days) for told in ended]
    before = np.array([days for days in settled if days is not None])
    return {
        "lives": len(ended),
        "settled": len(before),
        "settled_days_before": {
            f"p{share}": float(np.percentile(before, share)) for share in (10, 50, 90) if len(before)
        },
        "at_distance": {str(days): _at_distance(ended, days, tolerance_days) for days in (10, 20, 30, 50)},
    }


def _at_distance(ended: Sequence[Told], days: int, tolerance_days: float) -> dict[str, Any]:
    """At the last question that was asked so many days before, or earlier: who was right, early, late, without date."""
    errors, inside = [], 0
    for told in ended:
        places = np.flatnonzero(told.true_days >= days)
        if not len(places):
            continue
        place = places[-1]
        true = told.true_days[place]
        errors.append(told.days[1, place] - true)
        low, high = np.nan_to_num(told.days[[0, 2], place], nan=np.inf)
        inside += bool(low <= true <= high)
    known = np.array(errors)
    return {
        "asked": len(known),
        "right": int((np.abs(known) <= tolerance_days).sum()),
        "too_early": int((known < -tolerance_days).sum()),
        "too_late": int((known > tolerance_days).sum()),
        "without_date": int(np.isnan(known).sum()),
        "between_p10_and_p90": inside,
        "median_error": round(float(np.nanmedian(known)), 1) if np.isfinite(known).any() else None,
    }


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ims", type=Path, help=f"folder with {IMS_FILE}")
    parser.add_argument("--cmapss", type=Path, help=f"folder with {CMAPSS_FILE}")
    parser.add_argument("--plots", type=Path, help="write a picture of each into this folder")
    parser.add_argument("--json", action="store_true", help="nothing but figures, on standard output")
    options = parser.parse_args(arguments)
    found: dict[str, Any] = {}
    began = perf_counter()
    if _is_there("bearings", options.ims, IMS_FILE):
        told = foretell(bearings(options.ims), every_s=IMS_EVERY_S)
        found["bearings"] = {"each": [figures_of(one, WEEK_DAYS) for one in told]}
        if options.plots:
            draw_bearings(told, WEEK_DAYS, options.plots / "bearings.svg")
    if _is_there("engines", options.cmapss, CMAPSS_FILE):
        lives, learned = engines(options.cmapss)
        told = foretell(lives, every_s=CMAPSS_EVERY_S)
        found["engines"] = {
            "learned": learned,
            "all": summary_of(told, CYCLES),
            "each": [figures_of(one, CYCLES) for one in told],
        }
        if options.plots:
            draw_engines(told, CYCLES, options.plots / "engines.svg")
    found["seconds"] = round(perf_counter() - began, 1)
    print(json.dumps(found, indent=None if options.json else 1))
    return 0


def _is_there(what: str, folder: Path | None, file: str) -> bool:
    if folder is not None and (folder / file).exists():
        return True
    print(f"{what}: skipped, there is no {file} in the folder that was named.", file=sys.stderr)
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How honest forecasts are: error and coverage on hourly files, Brier score of failure probabilities.

python benchmarks/forecast_quality.py --hourly ETTh1.csv --nab FOLDER --assets FOLDER --other-assets FOLDER --json

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

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predictions.forecasting.accuracy import coverage, scaled_error
from predictions.forecasting.backtest import cut_windows, forecast_naively, forecast_ours
from predictions.forecasting.buckets import DAY_S, DAY_US
from predictions.forecasting.cycles import seasonal_error
from predictions.forecasting.drift_diffusion import failure_probabilities
from predictions.forecasting.fleet import forecast
from predictions.forecasting.grid import to_grid
from predictions.forecasting.recalibration import fit_recalibration
from predictions.forecasting.request import ForecastRequest, LimitTarget

HORIZONS = (24, 168)
CONTEXT = 28 * 24
STRIDE = 14 * 24
DAY = 24
# Where a file has two weeks.
SHORT_CONTEXT = 8 * 24
DAILY_FROM = 0.1
HOUR_US = 3_600_000_000
DAYS_AHEAD = (7, 14, 30, 60, 90)
BINS = 10
WEEK = 7

Assets = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]


def path_figures(file: Path, *, time_column: str, horizon: int) -> dict[str, float]:
    """Over all columns of an hourly file: MASE, the ratio to the seasonal naive forecast, coverage, its range."""
    frame = pd.read_csv(file)
    ts_us = pd.to_datetime(frame.pop(time_column)).to_numpy("datetime64[us]").astype(np.int64)
    ours_mase, naive_mase, covered_80, covered_95 = [], [], [], []
    began = perf_counter()
    for name in frame.columns:
        grid = to_grid(ts_us, frame[name].to_numpy(dtype=np.float64))
        windows = cut_windows(grid, context=CONTEXT, horizon=horizon, stride=STRIDE)
        unit = seasonal_error(windows.contexts, windows.cycle)
        path, quantiles = forecast_ours(windows)
        ours_mase.append(scaled_error(windows.truths, path, unit))
        naive_mase.append(scaled_error(windows.truths, forecast_naively(windows)[0], unit))
        covered_80.append(coverage(windows.truths, quantiles[0.1], quantiles[0.9]))
        covered_95.append(coverage(windows.truths, quantiles[0.025], quantiles[0.975]))
    return {
        "mase": float(np.mean(ours_mase)),
        "mase_of_seasonal_naive": float(np.mean(naive_mase)),
        "ratio_to_seasonal_naive": float(np.mean(ours_mase) / np.mean(naive_mase)),
        "coverage_80": float(np.mean(covered_80)),
        "coverage_80_least": min(covered_80),
        "coverage_80_most": max(covered_80),
        "coverage_95": float(np.mean(covered_95)),
        "coverage_95_least": min(covered_95),
        "coverage_95_most": max(covered_95),
        "seconds": perf_counter() - began,
    }


def cycle_figures(folder: Path) -> dict[str, float]:
    """A day ahead on NAB's series by the hour that have a daily cycle: the files' mean error, all windows' coverage.

    Raises ValueError where there is none.
    """
    covered_80, covered_95, ours_mase, naive_mase, windows_in_all = [], [], [], [], 0
    for file in sorted((folder / "data").glob("*/*.csv")):
        ts_us, values = by_the_hour(file)
        if daily_share(ts_us, values) < DAILY_FROM:
            continue
        hours = int((ts_us[-1] - ts_us[0]) // HOUR_US) + 1
        windows = cut_windows(
            to_grid(ts_us, values),
            context=CONTEXT if hours > CONTEXT + DAY else SHORT_CONTEXT,
            horizon=DAY,
            stride=DAY,
        )
        unit = seasonal_error(windows.contexts, windows.cycle)
        path, quantiles = forecast_ours(windows)
        is_there = np.isfinite(windows.truths)
        windows_in_all += len(windows.truths)
        for covered, low, high in ((covered_80, 0.1, 0.9), (covered_95, 0.025, 0.975)):
            is_inside = (windows.truths >= quantiles[low]) & (windows.truths <= quantiles[high])
            covered.append(is_inside[is_there])
        ours_mase.append(scaled_error(windows.truths, path, unit))
        naive_mase.append(scaled_error(windows.truths, forecast_naively(windows)[0], unit))
    if not covered_80:
        raise ValueError(f"{folder / 'data'} holds no series with a daily cycle.")
    shares = [float(inside.mean()) for inside in covered_80]
    return {
        "series": float(len(covered_80)),
        "windows": float(windows_in_all),
        "mase": float(np.nanmean(ours_mase)),
        "mase_of_seasonal_naive": float(np.nanmean(naive_mase)),
        "coverage_80": float(np.concatenate(covered_80).mean()),
        "coverage_80_least": min(shares),
        "coverage_80_most": max(shares),
        "coverage_95": float(np.concatenate(covered_95).mean()),
    }


def by_the_hour(file: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Medians of each hour that holds a reading, and when those hours begin."""
    frame = pd.read_csv(file)
    ts_us = pd.to_datetime(frame.timestamp).to_numpy("datetime64[us]").astype(np.int64)
    medians = pd.Series(frame.value.to_numpy(dtype=np.float64)).groupby(ts_us // HOUR_US).median()
    return medians.index.to_numpy(dtype=np.int64) * HOUR_US, medians.to_numpy()


def daily_share(ts_us: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """The share of the variance that the mean course of a day explains."""
    hours = pd.Series(values).groupby(ts_us // HOUR_US % 24)
    return float(np.var(hours.transform("mean")) / np.var(values)) if np.var(values) > 0 else 0.0


def read_assets(folder: Path) -> Assets:
    """Values since the last maintenance (assets, days) aligned at today, limits (assets,), failed by (assets, days).

    The folder holds `history.csv` (asset, day, value), `assets.csv` (asset, limit, last_maintenance_day, today) and
    `truth.csv` (asset, failure_day).
    """
    history = pd.read_csv(folder / "history.csv")
    about = pd.read_csv(folder / "assets.csv").merge(pd.read_csv(folder / "truth.csv"), on="asset")
    recent = history.merge(about, on="asset")
    recent = recent[recent.day >= recent.last_maintenance_day]
    ages = (recent.today - recent.day).to_numpy()
    values = np.full((len(about), int(ages.max()) + 1), np.nan)
    rows = np.searchsorted(about.asset.to_numpy(), recent.asset.to_numpy())
    values[rows, values.shape[1] - 1 - ages] = recent.value.to_numpy()
    remaining = (about.failure_day - about.today).to_numpy(dtype=np.float64)
    failed = np.stack([remaining <= days for days in DAYS_AHEAD], axis=1)
    return values, about.limit.to_numpy(dtype=np.float64), failed


def failure_figures(folder: Path, other_folder: Path) -> dict[str, float]:
    """Brier scores at 30 and 90 days and calibration error on one set of assets, recalibrated on the other.

    Assets of which no two days in a row were read since their maintenance are left out.
    """
    probabilities, failed, seconds = _told_and_come(folder)
    learned_from, other_failed, _ = _told_and_come(other_folder)
    days = np.broadcast_to(np.array(DAYS_AHEAD, dtype=np.float64), learned_from.shape)
    recalibration = fit_recalibration(learned_from.ravel(), other_failed.ravel(), days.ravel())
    corrected = recalibration.apply(probabilities, np.array(DAYS_AHEAD, dtype=np.float64))
    figures = {"assets": float(len(failed)), "seconds": seconds}
    for name, found in (("", probabilities), ("_recalibrated", corrected)):
        for at_days in (30, 90):
            column = DAYS_AHEAD.index(at_days)
            figures[f"brier_{at_days}d{name}"] = float(((found - failed)[:, column] ** 2).mean())
        figures[f"calibration_error{name}"] = calibration_error(found.ravel(), failed.ravel())
    return figures


def product_figures(folder: Path) -> dict[str, float]:
    """Brier scores of what the product says, and of the two parts of its mixture, on the machines that it forecasts.

    Each is forecast from its readings since the last maintenance, without kin to borrow from, so that some are refused.
    """
    values, limits, failed = read_assets(folder)
    now_us = 20_000 * DAY_US
    days = now_us - np.arange(values.shape[1], dtype=np.int64)[::-1] * DAY_US
    asked = [
        ForecastRequest(
            key=str(asset),
            ts_us=days[np.isfinite(own)],
            values=own[np.isfinite(own)],
            limits=[LimitTarget("limit", float(limit), "high")],
            now_us=now_us,
            seed=asset,
            expected_interval_s=float(DAY_S),
        )
        for asset, (own, limit) in enumerate(zip(values, limits, strict=True))
    ]
    answers = [result[0] if isinstance(result, list) else None for result in forecast(asked)]
    made = [place for place, answer in enumerate(answers) if answer is not None and answer.status == "made"]
    figures = {"assets": float(len(values)), "made": float(len(made))}
    for at_days in (30, 90):
        truth = failed[made, DAYS_AHEAD.index(at_days)]
        told: dict[str, list[float]] = {"": [], "_of_prophets_paths": [], "_of_drift_diffusion": []}
        for place in made:
            said = answers[place].probability[at_days]
            parts = answers[place].explanation.get("probabilities", {})
            told[""].append(said)
            for name in ("of_prophets_paths", "of_drift_diffusion"):
                told[f"_{name}"].append(parts.get(name, {}).get(str(at_days), said))
        figures |= {
            f"brier_{at_days}d{name}": float(((np.array(those) - truth) ** 2).mean())
            for name, those in told.items()
        }
    return figures


def calibration_error(probabilities: NDArray[np.float64], outcomes: NDArray[np.bool_]) -> float:
    """Mean gap between claimed and true share over ten bins, weighted by how many predictions are in each."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = [
        abs(probabilities[bins == one].mean() - outcomes[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    return float(sum(gaps))


def _told_and_come(folder: Path) -> tuple[NDArray[np.float64], NDArray[np.bool_], float]:
    """P(failure) and whether it failed, (assets, days) each, and the seconds it took."""
    values, limits, failed = read_assets(folder)
    began = perf_counter()
    told = failure_probabilities(values, limits=limits, steps_ahead=DAYS_AHEAD, cycle=WEEK)
    seconds = perf_counter() - began
    is_told = np.isfinite(told).all(axis=1)
    return told[is_told], failed[is_told], seconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/forecast_quality.py", description=__doc__)
    parser.add_argument("--hourly", type=Path, help="CSV file, hourly, one series a column")
    parser.add_argument("--time", default="date", help="its column with the time (default: %(default)s)")
    parser.add_argument("--nab", type=Path, help="folder with NAB's data/")
    parser.add_argument("--assets", type=Path, help="folder of synthetic degrading machines to score on")
    parser.add_argument("--other-assets", type=Path, help="folder of others, to recalibrate on")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args(arguments)
    if options.assets and not options.other_assets:
        parser.error("--assets needs --other-assets")
    figures: dict[str, dict[str, float]] = {}
    if options.hourly:
        for horizon in HORIZONS:
            figures[f"paths_{horizon}h"] = path_figures(
                options.hourly, time_column=options.time, horizon=horizon
            )
    if options.nab:
        try:
            figures["daily_cycles_24h"] = cycle_figures(options.nab)
        except ValueError as error:
            parser.error(str(error))
    if options.assets:
        figures["failure"] = failure_figures(options.assets, options.other_assets)
        figures["product"] = product_figures(options.assets)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, numbers in figures.items():
            print(name, *(f"  {key:26} {number:.4f}" for key, number in numbers.items()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

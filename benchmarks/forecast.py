"""How fast the fleet's solver is, how close to Prophet itself, and how long a whole fleet's refresh takes.

It starts no product; the refresh has a database of its own, the rest needs none.

python benchmarks/forecast.py --json
"""

import os
import sys
from pathlib import Path

# Prophet gets a process per core, the fleet one in all: the libraries must not add threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import json
import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.series import invented, plain_fleet, real, with_gaps
from predictions.forecasting.bands import deviations
from predictions.forecasting.buckets import HOUR_S
from predictions.forecasting.guards import SEASONS
from predictions.forecasting.solver import FleetFit, fit_fleet
from tests.predictions.pure.prophets_objective import (
    instants,
    objective_of,
    objective_of_prophet,
    prophet_of,
)

HORIZON = 7 * 24
SHARES = (0.05, 0.1, 0.5, 0.9, 0.95)
PROPHETS_DRAWS = 1_000  # its default, of which it makes an interval of 80 %
ROUNDS = 3

Floats = NDArray[np.float64]
Figures = dict[str, float]


@dataclass(frozen=True)
class Choice:
    """What the command line asks for."""

    folder: Path
    fleet: int
    prophets: int
    compared: int
    exact: int
    processes: int
    sensors: int


def measure_speed(choice: Choice, pool: Executor) -> Figures:
    """Fits and quantiles of a week ahead, series a second: one process of ours, one per core of Prophet."""
    fleet = plain_fleet(choice.fleet)
    gappy, sample = with_gaps(fleet), fleet[: choice.prophets]
    figures = {
        "series_per_s": len(fleet) / seconds(lambda: week_ahead(fleet)),
        "series_per_s_other_gaps_each": len(fleet) / seconds(lambda: week_ahead(gappy)),
        "prophet_series_per_s": len(sample)
        / seconds(lambda: list(pool.map(week_ahead_by_prophet, sample)), rounds=1),
    }
    figures["speed_ratio_to_prophet"] = figures["series_per_s"] / figures["prophet_series_per_s"]
    return figures


def measure_closeness(choice: Choice, pool: Executor) -> Figures:
    """Differences to Prophet's own forecast, over the week ahead, as shares of each series' range."""
    windows = real(choice.folder)
    if not windows:
        say(f"No real series: {choice.folder} lacks ett and nab. Only invented ones are compared.")
    windows += invented(choice.compared - len(windows))
    say(f"comparing {len(windows)} series")
    found = pd.DataFrame(pool.map(compare, windows))
    exact = pd.DataFrame(
        pool.map(partial(compare, algorithm="Newton"), windows[:: len(windows) // choice.exact])
    )
    return {
        "compared_series": float(len(found)),
        "converged_share": float(found["converged"].mean()),
        "difference_to_prophet_median": float(found["difference"].median()),
        "difference_to_prophet_p90": float(found["difference"].quantile(0.9)),
        "difference_to_prophet_worst": float(found["difference"].max()),
        "interval_difference_to_prophet_median": float(found["interval_difference"].median()),
        "objective_of_prophet_above_ours_median": float(found["objective_above"].median()),
        "objective_of_prophet_above_ours_least": float(found["objective_above"].min()),
        "exact_prophet_series": float(len(exact)),
        "difference_to_exact_prophet_median": float(exact["difference"].median()),
        "difference_to_exact_prophet_worst": float(exact["difference"].max()),
        "objective_of_exact_prophet_above_ours_median": float(exact["objective_above"].median()),
        "objective_of_exact_prophet_above_ours_least": float(exact["objective_above"].min()),
    }


def measure_refresh(choice: Choice, pool: Executor) -> Figures:
    """A fleet's hourly refresh from the database to the ledger, in a process of its own (see `refresh.py`)."""
    command = [sys.executable, "-m", "benchmarks", "refresh", "--sensors", str(choice.sensors), "--json"]
    ran = subprocess.run(
        command, cwd=Path(__file__).resolve().parent.parent, check=True, stdout=subprocess.PIPE
    )
    return json.loads(ran.stdout)


# A new measurement is a function here; its figures join the others.
MEASUREMENTS: dict[str, Callable[[Choice, Executor], Figures]] = {
    "speed": measure_speed,
    "closeness": measure_closeness,
    "refresh": measure_refresh,
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python benchmarks/forecast.py", description=__doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data",
        help="holds ett/ and nab/ (default: ../shared/data beside the project)",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), help="a single measurement")
    counts = {
        "fleet": (2_000, "series of the fleet"),
        "prophets": (24, "of them that Prophet does, too"),
        "compared": (200, "series whose forecasts are compared"),
        "exact": (24, "of them compared with Prophet run to its optimum, some 5 s each"),
        "processes": (os.cpu_count() or 1, "that Prophet gets"),
        "sensors": (10_000, "of the fleet that is refreshed, each with one limit"),
    }
    for name, (default, meaning) in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{meaning} (default: %(default)s)")
    options = parser.parse_args(arguments)
    choice = Choice(options.folder, *(getattr(options, name) for name in counts))
    figures: Figures = {}
    with ProcessPoolExecutor(choice.processes, initializer=silence) as pool:
        # What is made once in a process, the tables of quantiles here and Prophet's library there, is not counted.
        week_ahead(plain_fleet(1))
        list(pool.map(week_ahead_by_prophet, plain_fleet(2 * choice.processes)))
        for name, measure in MEASUREMENTS.items():
            if options.only in (None, name):
                say(f"measuring {name}")
                figures |= measure(choice, pool)
    print(json.dumps(figures, indent=2) if options.json else table(figures))
    return 0


def fit_hourly(values: Floats) -> FleetFit:
    return fit_fleet(values, bucket_s=HOUR_S, seasons=SEASONS)


def quantiles(fit: FleetFit, index: NDArray[np.intp], shares: tuple[float, ...]) -> Floats:
    """Quantiles (k, s, h) of what sensors would read at the indices (h,) of a grid: noise and slope changes to come.

    Those that Prophet draws its intervals from, for all series at once; the product asks one model after the other.
    """
    ahead = (index - fit.last[:, None]) / (fit.last - fit.first)[:, None]
    size = np.abs(fit.delta).sum(axis=1) / np.maximum(fit.changes, 1)
    return fit.latent(index) + deviations(
        time=ahead, rate=fit.changes.astype(np.float64), size=size, noise=fit.sigma, shares=shares
    )


def week_ahead(values: Floats) -> Floats:
    """Quantiles (5, s, 168) of each series' next week."""
    return quantiles(fit_hourly(values), np.arange(HORIZON) + values.shape[1], SHARES)


def week_ahead_by_prophet(values: Floats, **options: str) -> tuple[pd.DataFrame, float]:
    """Prophet's forecast of the next week with its interval of 80 %, and the objective where it stopped."""
    model = prophet_of(
        values, bucket_s=HOUR_S, seasons=SEASONS, uncertainty_samples=PROPHETS_DRAWS, **options
    )
    ahead = pd.DataFrame({"ds": instants(np.arange(HORIZON) + len(values), HOUR_S)})
    return model.predict(ahead), objective_of_prophet(model)


def compare(values: Floats, **options: str) -> dict[str, float]:
    """One series (hours,) of 0..1 by both."""
    fit = fit_hourly(values[None])
    ahead = np.arange(HORIZON) + len(values)
    theirs, objective = week_ahead_by_prophet(values, **options)
    bounds = quantiles(fit, ahead, (0.1, 0.9))[:, 0]
    return {
        "converged": float(fit.converged[0]),
        "difference": float(np.abs(fit.latent(ahead)[0] - theirs["yhat"]).mean()),
        "interval_difference": float(
            np.abs(bounds - theirs[["yhat_lower", "yhat_upper"]].to_numpy().T).mean()
        ),
        "objective_above": objective - objective_of(fit, 0, values),
    }


def seconds(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of some runs."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def silence() -> None:
    """Two lines a fit would bury the figures."""
    for name in ("prophet", "cmdstanpy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(figures: Figures) -> str:
    return "\n".join(f"{name:<60}{value:>14,.5f}" for name, value in figures.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

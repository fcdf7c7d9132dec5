"""How much the detector sees, how often it cries wolf, and how fast it is. It starts nothing and needs no database.

python benchmarks/detection.py --nab FOLDER --json
"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    os.environ.setdefault("SECRET_KEY", "only for benchmarks")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartmaint.settings")
    import django

    django.setup()

import argparse
import json
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.nab import Labelled, normalised, read_corpus
from sensors.detection.detector import (
    DEFAULT_SETTINGS,
    Block,
    DetectorSettings,
    DetectorState,
    detect_many,
)
from sensors.detection.excursions import Excursion
from sensors.detection.following import ProfileSettings
from sensors.detection.series import score_series
from smartmaint.demo.blueprint import Behaviour, MachinePlan
from smartmaint.demo.physics import instants, simulate
from smartmaint.demo.plant import HISTORY_DAYS, RIVERSIDE, SEED

NAB = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "nab"
RARITIES = (2.4, 2.7, 3.0, 3.3, 3.6)
SENSORS, READINGS_A_BATCH, BATCHES = 1_000, 10_000, 30
DAY_US = 86_400_000_000
EPOCH_US = 1_790_000_000_000_000
MONTH_DAYS = 730 / 24
OTHER_SEEDS = 9
_LATER_US = 29 * 3_600_000_000

Series = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int8]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--nab", type=Path, default=NAB, metavar="FOLDER", help="with data/ and labels/ of NAB"
    )
    parser.add_argument("--only", choices=("nab", "plant", "quiet", "speed"), help="one part")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures: dict[str, object] = {}
    for name, measure in (
        ("nab", lambda: measure_nab(read_corpus(chosen.nab))),
        ("plant", measure_plant),
        ("quiet", measure_quiet),
        ("speed", measure_speed),
    ):
        if chosen.only in (None, name):
            figures[name] = measure()
    print(json.dumps(figures, indent=2) if chosen.json else _table(figures))
    return 0


def measure_nab(files: list[Labelled]) -> dict[str, object]:
    """The score as shipped, on all files and on each half, and that of the rarity which the other half would choose."""
    halves = {"even": files[::2], "odd": files[1::2]}
    shipped = _score(files, DEFAULT_SETTINGS)
    by_rarity = {
        rarity: _score(files, DetectorSettings(profile=ProfileSettings(rarity=rarity))) for rarity in RARITIES
    }
    chosen_on = {
        name: max(RARITIES, key=lambda rarity, half=half: normalised(half, by_rarity[rarity]))
        for name, half in halves.items()
    }
    other = {"even": "odd", "odd": "even"}
    return {
        "files": len(files),
        "shipped": normalised(files, shipped),
        **{f"shipped, {name} files": normalised(half, shipped) for name, half in halves.items()},
        **{
            f"{other[name]} files, rarity {rarity} chosen on {name} ones": normalised(
                halves[other[name]], by_rarity[rarity]
            )
            for name, rarity in chosen_on.items()
        },
        **{f"all files at rarity {rarity}": normalised(files, by_rarity[rarity]) for rarity in RARITIES},
    }


def _score(files: list[Labelled], settings: DetectorSettings) -> dict[str, NDArray[np.float64]]:
    return {file.name: score_series(file.ts_us, file.values, settings) for file in files}


def measure_plant() -> dict[str, object]:
    """Excursions unlike the past on the demo's machines that have no trouble written into their 90 days.

    With the seed of the demo, and with others, which begin at another hour of the week each.
    """
    healthy = [machine for machine in RIVERSIDE.machines if machine.sensors and _is_healthy(machine)]
    months = len(healthy) * HISTORY_DAYS / MONTH_DAYS
    own = _patterns(healthy, seed=SEED, epoch_us=EPOCH_US)
    others = [
        _patterns(healthy, seed=seed, epoch_us=EPOCH_US + seed * _LATER_US)
        for seed in range(1, OTHER_SEEDS + 1)
    ]
    rates = [sum(patterns.values()) / months for patterns in others]
    return {
        "machines": len(healthy),
        "sensors": sum(len(machine.sensors) for machine in healthy),
        "a machine-month": sum(own.values()) / months,
        "patterns": dict(own),
        f"{OTHER_SEEDS} other seeds, a machine-month": sum(rates) / len(rates),
        "other seeds, the most of one": max(rates),
        "other seeds, patterns": dict(sum(others, Counter())),
    }


def _patterns(machines: Sequence[MachinePlan], *, seed: int, epoch_us: int) -> Counter[str]:
    """What is noticed at the machines within the demo's 90 days, by what it looks like."""
    series = []
    for machine in machines:
        for sensor in machine.sensors:
            ts_us = instants(epoch_us - HISTORY_DAYS * DAY_US, epoch_us, sensor.expected_interval_s)
            read = simulate(machine, sensor, ts_us, zone=RIVERSIDE.zone, epoch_us=epoch_us, seed=seed)
            series.append((read.ts_us, read.values, read.quality))
    return Counter(excursion.pattern for of_sensor in _detect(series) for excursion in of_sensor)


def _is_healthy(machine: MachinePlan) -> bool:
    quiet = Behaviour(level=0.0)
    return not machine.stops and all(
        (one.growths, one.disturbances, one.noise_factor, one.stuck_since_day, one.silent_since_day)
        == (
            quiet.growths,
            quiet.disturbances,
            quiet.noise_factor,
            quiet.stuck_since_day,
            quiet.silent_since_day,
        )
        for one in (sensor.behaviour for sensor in machine.sensors)
    )


def measure_quiet() -> dict[str, object]:
    """Excursions a sensor-month on invented sensors with which nothing is wrong, 90 days of each of eight."""
    found: dict[str, object] = {}
    for interval, step_us in (("5 min", 300_000_000), ("1 h", 3_600_000_000)):
        ts_us = EPOCH_US + np.arange(90 * DAY_US // step_us) * step_us
        for name in ("white", "wandering", "daily", "weekly", "heavy tails", "rounded"):
            series = [
                (ts_us, _invented(name, ts_us, seed), np.zeros(len(ts_us), np.int8)) for seed in range(8)
            ]
            found[f"{name}, {interval}"] = sum(map(len, _detect(series))) / (8 * 90 / MONTH_DAYS)
    return found


def _invented(name: str, ts_us: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, len(ts_us))
    daily = 50 + 5 * np.sin(ts_us / DAY_US * 2 * np.pi)
    match name:
        case "wandering":
            wander = np.empty(len(noise))
            level = 0.0
            for place, step in enumerate(noise):
                level = 0.9 * level + step
                wander[place] = level
            return wander
        case "daily":
            return daily + noise
        case "weekly":
            return daily + noise - 4.0 * np.isin((ts_us // DAY_US + 4) % 7, [0, 6])
        case "heavy tails":
            return random.laplace(0, 1, len(ts_us))
        case "rounded":
            return np.round(daily + 0.3 * noise, 1)
        case _:
            return noise


def _detect(series: Sequence[Series]) -> list[list[Excursion]]:
    states = [DetectorState.empty() for _ in series]
    return detect_many(states, _block(series), [()] * len(series)).excursions


def _block(series: Sequence[Series]) -> Block:
    ts_us, values, quality = (np.concatenate(column) for column in zip(*series, strict=True))
    return Block(np.repeat(np.arange(len(series)), [len(one[0]) for one in series]), ts_us, values, quality)


def measure_speed() -> dict[str, object]:
    """Readings a second in one process, from stored states and back, ten of each of 1,000 sensors a batch.

    The sensors know ten days already; readings come every five minutes, and one sensor in a hundred is at fault.
    """
    random = np.random.default_rng(SEED)
    each = READINGS_A_BATCH // SENSORS
    past = 10 * 288
    ts_us = EPOCH_US + np.arange(past + BATCHES * each) * 300_000_000
    daily = 50 + 5 * np.sin(ts_us / DAY_US * 2 * np.pi)
    values = daily + random.normal(0, 1, (SENSORS, len(ts_us)))
    values[::100, past + 50 :] += 15.0
    states = [DetectorState.empty() for _ in range(SENSORS)]
    limits: list[tuple[()]] = [()] * SENSORS
    detect_many(states, _slice(ts_us, values, 0, past), limits)
    stored = [state.to_bytes() for state in states]
    rates = []
    for batch in range(BATCHES):
        block = _slice(ts_us, values, past + batch * each, past + (batch + 1) * each)
        began = time.perf_counter()
        states = [DetectorState.from_bytes(one) for one in stored]
        detect_many(states, block, limits)
        stored = [state.to_bytes() for state in states]
        rates.append(READINGS_A_BATCH / (time.perf_counter() - began))
    return {
        "readings a second (median of batches)": float(np.median(rates)),
        "slowest batch": min(rates),
        "bytes a state (largest)": max(map(len, stored)),
    }


def _slice(ts_us: NDArray[np.int64], values: NDArray[np.float64], first: int, last: int) -> Block:
    quality = np.zeros(last - first, np.int8)
    return _block([(ts_us[first:last], one[first:last], quality) for one in values])


def _table(figures: dict[str, object]) -> str:
    lines = []
    for part, found in figures.items():
        assert isinstance(found, dict)
        for name, figure in found.items():
            shown = f"{figure:,.2f}" if isinstance(figure, float) else str(figure)
            lines.append(f"{part:7} {name:50} {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""The command reads a file, not the database: no test here may touch one."""

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from django.core.management import CommandError, call_command

HOURS = 12 * 24


def write(folder: Path, values: np.ndarray, **frame: object) -> Path:
    path = folder / "series.csv"
    when = pd.date_range("2026-03-01", periods=len(values), freq="h")
    pd.DataFrame({"when": when, "value": values} | frame).to_csv(path, index=False)
    return path


def run(path: Path, *, context: int = 240, horizon: int = 24, stride: int = 24, **more: object) -> str:
    out = StringIO()
    columns = {"time": "when", "value": "value"} | more
    call_command(
        "backtest_forecast",
        path,
        context=context,
        horizon=horizon,
        stride=stride,
        stdout=out,
        stderr=StringIO(),
        **columns,
    )
    return out.getvalue()


def wave(seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 0.5, HOURS)
    return 20 + 5 * np.sin(2 * np.pi * np.arange(HOURS) / 24) + noise


def test_json_has_the_three_forecasters_and_their_figures(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when": pd.date_range("2026-03-01", periods=HOURS, freq="h"), "value": wave()})
    frame = pd.concat([frame, frame.iloc[50:60]]).sample(frac=1, random_state=1)
    frame.loc[frame.index == 77, "value"] = np.nan
    path = tmp_path / "untidy.csv"
    frame.to_csv(path, index=False)
    figures = json.loads(run(path, json=True))
    assert list(figures) == ["ours", "prophet", "seasonal_naive"]
    for one in figures.values():
        assert list(one) == ["mase", "coverage_80", "coverage_95", "pinball", "seconds"]
        assert all(isinstance(number, float) for number in one.values())
    assert figures["ours"]["mase"] < figures["seasonal_naive"]["mase"]


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no column 'level'; it has when, value"):
        run(write(tmp_path, wave()), value="level")


def test_a_file_without_numbers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="no row has both a time in 'when' and a number in 'value'"):
        run(write(tmp_path, np.full(50, np.nan)))


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="288 points of 3600 s; one window needs 1,024"):
        run(write(tmp_path, wave()), context=1000)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"missing\.csv cannot be read"):
        run(tmp_path / "missing.csv")

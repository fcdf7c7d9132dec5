"""`manage.py score_series`: a score for each line of a file, as the product would score it."""

import csv

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from sensors.detection.series import score_series


def write(path, rows, *, header="timestamp,value"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def read(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def series(days=12):
    moments = np.datetime64("2026-03-01T00:00:00") + np.arange(days * 288) * np.timedelta64(300, "s")
    values = 50 + np.random.default_rng(2).normal(0, 1, len(moments))
    values[-100] += 20.0
    return [
        f"{str(moment).replace('T', ' ')},{value:.4f}" for moment, value in zip(moments, values, strict=True)
    ]


def test_each_line_gets_a_score_in_the_same_order_and_the_spike_is_found(tmp_path, capsys):
    rows = series()
    call_command("score_series", write(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    scored = read(tmp_path / "out.csv")
    assert [f"{row['timestamp']},{row['value']}" for row in scored] == rows
    scores = np.array([float(row["anomaly_score"]) for row in scored])
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.flatnonzero(scores >= 0.5).tolist() == [len(rows) - 99]
    assert "1 at or above 0.5" in capsys.readouterr().out


def test_what_has_no_number_is_counted_and_where_nothing_can_be_written_that_is_told(tmp_path, capsys):
    rows = [*series(2), "2026-03-05 00:00:00,abc"]
    path = write(tmp_path / "in.csv", rows)
    call_command("score_series", path, tmp_path / "out.csv")
    assert "577 readings, 1 without a number, " in capsys.readouterr().out
    with pytest.raises(CommandError, match=r"nowhere/out\.csv cannot be written"):
        call_command("score_series", path, tmp_path / "nowhere" / "out.csv")


def test_a_score_hangs_on_the_lines_before_it_only(tmp_path):
    rows = series()
    call_command("score_series", write(tmp_path / "whole.csv", rows), tmp_path / "a.csv")
    call_command("score_series", write(tmp_path / "part.csv", rows[:-50]), tmp_path / "b.csv")
    assert read(tmp_path / "a.csv")[: len(rows) - 50] == read(tmp_path / "b.csv")


def test_twice_the_same_moment_a_clock_that_steps_back_and_what_is_no_number_score_nothing(tmp_path):
    rows = series()
    rows[2000:2000] = [rows[1999], rows[1990], rows[1999].split(",")[0] + ",n/a"]
    call_command("score_series", write(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    scored = read(tmp_path / "out.csv")
    assert len(scored) == len(rows)
    assert [float(row["anomaly_score"]) for row in scored[2000:2003]] == [0, 0, 0]


def test_columns_can_be_named(tmp_path):
    path = write(tmp_path / "in.csv", ["2026-03-01T00:00:00Z,x,1.5"], header="when,who,much")
    call_command("score_series", path, tmp_path / "out.csv", "--time", "when", "--value", "much")
    assert read(tmp_path / "out.csv") == [
        {"when": "2026-03-01T00:00:00Z", "much": "1.5", "anomaly_score": "0.000000"}
    ]


def test_an_empty_series_is_written_empty(tmp_path):
    call_command("score_series", write(tmp_path / "in.csv", []), tmp_path / "out.csv")
    assert read(tmp_path / "out.csv") == []
    assert score_series(np.empty(0, np.int64), np.empty(0)).shape == (0,)


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        ("time,value", "2026-03-01T00:00:00Z,1", "no column timestamp"),
        ("timestamp,value", "yesterday,1", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_words(tmp_path, header, row, words):
    path = write(tmp_path / "in.csv", [row], header=header)
    with pytest.raises(CommandError, match=words):
        call_command("score_series", path, tmp_path / "out.csv")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandError, match=r"nowhere\.csv cannot be read"):
        call_command("score_series", tmp_path / "nowhere.csv", tmp_path / "out.csv")

"""What `make run` shows while the demo is loaded."""

import io
import sys

from smartmaint.demo.progress import SECONDS_BETWEEN_LINES, Lines, progress


def test_a_log_gets_a_line_at_once_and_then_every_few_seconds():
    said: list[str] = []
    now = [100.0]
    lines = Lines(2_000, said.append, clock=lambda: now[0])
    lines.step("Organisations")
    lines.store(500)
    now[0] += SECONDS_BETWEEN_LINES
    lines.store(500)
    lines.step("Predictions")
    now[0] += SECONDS_BETWEEN_LINES
    lines.store(1_000)
    assert said == [
        "Organisations (0% of 2,000 readings)",
        "Organisations (50% of 2,000 readings)",
        "Predictions (100% of 2,000 readings)",
    ]


def test_only_a_terminal_gets_a_bar(monkeypatch):
    said: list[str] = []
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(10, say=said.append) as bar:
        bar.step("Loading")
        bar.store(10)
    assert "Loading: 100%" in terminal.getvalue()
    assert said == []

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress(10, say=said.append) as lines:
        lines.step("Loading")
    assert said == ["Loading (0% of 10 readings)"]

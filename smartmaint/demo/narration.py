"""The story as it happens: what the read API knows that it did not know before, in words."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from smartmaint.demo.gateway import Gateway

LOOKED_AT = 30

_LEVELS = {"LL": "low-low", "L": "low", "H": "high", "HH": "high-high"}
_CLOSED = {"completed", "cancelled"}

Row = dict[str, Any]


class Narrator:
    """Asks for news, and remembers what it has told."""

    def __init__(self, gateway: Gateway, *, units: dict[str, str]) -> None:
        self.gateway = gateway
        self.units = units
        self.told: dict[str, dict[int, str]] = {"anomalies": {}, "predictions": {}, "tasks": {}}
        self.tasks: list[Row] = []

    def listen(self) -> None:
        """Take what is there as known."""
        for _ in self.news():
            pass

    def news(self) -> Iterator[str]:
        """What is new or has changed since the last call, the oldest first."""
        for what, told in self.told.items():
            for row in reversed(self._look(what)):
                words = self._words(what, row)
                if words and words != told.get(row["id"]):
                    yield words
                told[row["id"]] = words

    def open_task(self, equipment: str) -> Row | None:
        """The newest task of a machine that is not closed, as it was at the last look."""
        return next(
            (row for row in self.tasks if row["equipment"] == equipment and row["status"] not in _CLOSED),
            None,
        )

    def _look(self, what: str) -> list[Row]:
        rows = self.gateway.newest(what, count=LOOKED_AT)
        if what == "tasks":
            self.tasks = rows
        return rows

    def _words(self, what: str, row: Row) -> str:
        """A line for people; empty for what they need not hear of."""
        match what:
            case "anomalies":
                return self._anomaly(row)
            case "predictions":
                return self._prediction(row)
        return _task(row)

    def _anomaly(self, row: Row) -> str:
        """Without the peak, which moves with every reading."""
        if row["ended_at"]:
            return f"anomaly {row['id']} is over: {row['sensor']}"
        seen = "is silent" if row["kind"] == "no_data" else "is unlike its own past"
        if row["kind"] == "limit":
            side = "above" if row["direction"] == "high" else "below"
            limit = f"{row['expected_value']:g} {self._unit(row)}".rstrip()
            seen = f"is {side} its {_LEVELS[row['level']]} limit of {limit}"
        judged = row["status"].replace("_", " ")
        if row["confidence"] is not None:
            judged += f", confidence {row['confidence']:.0%}"
        return f"anomaly {row['id']}: {row['sensor']} {seen} ({judged})"

    def _unit(self, row: Row) -> str:
        """Empty for a sensor that people added to the demo, such as a count of events."""
        return self.units.get(row["sensor"], "")

    def _prediction(self, row: Row) -> str:
        if row["trigger"] == "period" or row["status"] == "pending":
            return ""
        about = f"prediction {row['id']}: {row['sensor']}"
        if row["status"] == "not_possible":
            return f"{about}: not possible. {row['not_possible_because']}"
        if row["limit_value"] is None:
            return f"{about}: P(failure) within 30 days = {row['p_30d']:.0%}, by what followed such anomalies"
        limit = f"{row['limit_value']:g} {self._unit(row)}".rstrip()
        if row["is_already_beyond"]:
            return f"{about} is beyond {limit} already: P(failure) 100 %"
        return f"{about} passes {limit} within 30 days with P = {row['p_30d']:.0%}"


def _task(row: Row) -> str:
    words = f"task {row['number']} ({row['priority']}), {row['title']}: {row['status'].replace('_', ' ')}"
    if row["status"] in _CLOSED or not row["technician"]:
        return words
    if not row["booked_from"]:
        return f"{words}, {row['technician']}"
    start, end = (datetime.fromisoformat(row[side]).astimezone() for side in ("booked_from", "booked_to"))
    return f"{words}, booked: {row['technician']}, {start:%a %d %b %H:%M} to {end:%H:%M}"

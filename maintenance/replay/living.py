"""The past, lived again: readings and events arrive, the agents' work is done as it was then, and failures are told."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from equipment.models import Verdict
from maintenance.replay.past import Occurrence, Past
from maintenance.replay.pending import do_pending_work, history_in_domain_time
from maintenance.replay.plant import ReplayPlant, sensor_key
from maintenance.replay.telling import Teller
from predictions.services.closing import close_past_horizons
from predictions.services.requesting import request_due_predictions
from sensors.ingest.events import KINDS, USUAL_KIND, EventRow, ParsedEvents
from sensors.ingest.parsed import MAX_READINGS, from_columns
from sensors.models import Limit
from sensors.services.events import record_events
from sensors.services.ingest import ingest_readings
from sensors.storage import moment
from smartmaint import clock
from smartmaint.queues import apart

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@dataclass(frozen=True)
class Pace:
    """How the past is told: in steps of `tick`, tasks that no failure follows closed after `open_for` with `verdict`.

    A longer step is quicker, and has everything noticed later, never earlier.
    """

    tick: timedelta = timedelta(hours=3)
    open_for: timedelta = timedelta(hours=72)
    verdict: Verdict = Verdict.NOT_INSPECTED


@dataclass(frozen=True)
class _Happening:
    """All that is told of one machine at one moment."""

    machine: str
    modes: tuple[str, ...]
    parts: tuple[str, ...]


class Life:
    """One plant's past on its way through the service."""

    def __init__(self, past: Past, plant: ReplayPlant, *, pace: Pace, with_events: bool) -> None:
        self.past, self.plant, self.pace = past, plant, pace
        self.teller = Teller(plant)
        self.events = past.events if with_events else []
        keys = np.concatenate(
            [np.full(len(series.ts_us), number) for number, series in enumerate(past.series)]
        )
        ts_us = np.concatenate([series.ts_us for series in past.series])
        values = np.concatenate([series.values for series in past.series])
        order = np.argsort(ts_us, kind="stable")
        self.number_of_row, self.ts_us, self.values = keys[order], ts_us[order], values[order]
        self.keys = [sensor_key(series) for series in past.series]
        self.told_readings = self.told_events = 0
        self.horizons_looked_at_us = 0
        self.has_limits = Limit.objects.outermost().filter(organization=plant.organization).exists()

    def live(
        self,
        *,
        after_us: int | None = None,
        is_enough: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], None] = lambda readings: None,
    ) -> int | None:
        """Tell all of it, in order of time; `on_progress` is told how many readings came in.

        Goes on `after_us`, where it was stopped before, and stops as soon as `is_enough`; returns the moment of that,
        or None at the end.
        """
        happenings = self._happenings()
        times = sorted({*self._ticks(), *happenings})
        if after_us is not None:
            times = [at_us for at_us in times if at_us > after_us]
            self.told_readings = int(np.searchsorted(self.ts_us, after_us, side="right"))
            self.told_events = sum(event.at_us <= after_us for event in self.events)
        with history_in_domain_time(), apart():
            for at_us in times:
                self._close_until(at_us)
                with clock.frozen(moment(at_us)):
                    on_progress(self._arrive(at_us))
                    self._ask(at_us)
                    do_pending_work(self.plant.organization, with_health=False)
                    self.teller.acknowledge_alarms()
                    for happening in happenings.get(at_us, ()):
                        self._tell(happening)
                    if at_us in happenings:
                        do_pending_work(self.plant.organization, with_health=False)
                if is_enough() and at_us < times[-1]:
                    return at_us
            with clock.frozen(moment(self.past.ends_us)):
                do_pending_work(self.plant.organization)
        return None

    def _ticks(self) -> Iterable[int]:
        step_us = self.pace.tick // timedelta(microseconds=1)
        begin = self.past.begins_us // HOUR_US * HOUR_US
        return range(begin + step_us, self.past.ends_us + step_us, step_us)

    def _happenings(self) -> dict[int, list[_Happening]]:
        """What is told by moment; work at the moment of a failure is its repair."""
        modes, parts = _by_moment(self.past.failures), _by_moment(self.past.maintenance)
        found: dict[int, list[_Happening]] = defaultdict(list)
        for at_us, machine in sorted({*modes, *parts}):
            if self.past.begins_us <= at_us <= self.past.ends_us:
                happening = _Happening(
                    machine, tuple(modes.get((at_us, machine), ())), tuple(parts.get((at_us, machine), ()))
                )
                found[at_us].append(happening)
        return found

    def _arrive(self, until_us: int) -> int:
        """Readings and events until then; returns how many readings."""
        end = int(np.searchsorted(self.ts_us, until_us, side="right"))
        begin, self.told_readings = self.told_readings, end
        for first in range(begin, end, MAX_READINGS):
            rows = slice(first, min(first + MAX_READINGS, end))
            ingest_readings(
                organization=self.plant.organization,
                parsed=from_columns(
                    keys=[self.keys[number] for number in self.number_of_row[rows].tolist()],
                    ts_us=self.ts_us[rows],
                    values=self.values[rows],
                ),
                format="replay",
            )
        came = []
        while self.told_events < len(self.events) and self.events[self.told_events].at_us <= until_us:
            came.append(_as_row(len(came), self.events[self.told_events]))
            self.told_events += 1
        if came:
            record_events(organization=self.plant.organization, parsed=ParsedEvents(rows=came))
        return end - begin

    def _ask(self, at_us: int) -> None:
        """Ask for what is due by the clock: predictions by the hour, where there are limits, and scores once a day."""
        if self.has_limits:
            request_due_predictions(self.plant.organization)
        if at_us - self.horizons_looked_at_us >= DAY_US:
            close_past_horizons(self.plant.organization)
            self.horizons_looked_at_us = at_us

    def _close_until(self, at_us: int) -> None:
        """Close what nobody looked at, each task when its time is over."""
        until: datetime = moment(at_us)
        while (closing := self.teller.next_closing(open_for=self.pace.open_for)) and closing <= until:
            with clock.frozen(closing):
                self.teller.close_unfollowed(open_for=self.pace.open_for, verdict=self.pace.verdict)
                do_pending_work(self.plant.organization, with_health=False)

    def _tell(self, happening: _Happening) -> None:
        machine = self.plant.machines[happening.machine]
        if happening.modes:
            self.teller.tell_failure(machine, [self.plant.modes[mode] for mode in happening.modes])
        else:
            self.teller.tell_maintenance(machine, happening.parts)


def _by_moment(occurrences: Iterable[Occurrence]) -> dict[tuple[int, str], list[str]]:
    found: dict[tuple[int, str], list[str]] = defaultdict(list)
    for one in occurrences:
        found[one.at_us, one.machine].append(one.what)
    return found


def _as_row(index: int, event: Occurrence) -> EventRow:
    kind = event.kind.lower() if event.kind.lower() in KINDS else USUAL_KIND
    return EventRow(index, event.machine, event.what, event.at_us, kind, event.message)

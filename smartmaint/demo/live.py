"""Live readings: what the plant measures now, posted by the gateway, and the fault that makes a story of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import numpy as np

from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.demo.batching import in_requests
from smartmaint.demo.blueprint import MachinePlan, OrganisationPlan, SensorPlan
from smartmaint.demo.gateway import Gateway
from smartmaint.demo.narration import Narrator
from smartmaint.demo.physics import LIVE_QUIET_S, LIVE_RISE_S, Simulated, instants, simulate
from smartmaint.demo.plant import LIVE_SENSOR

SECOND_US = 1_000_000


class LivePlant:
    """One organisation's sensors, from their last stored reading on.

    A fault builds up in one machine some seconds after the start, and goes when its task is closed: the repair worked.
    """

    def __init__(self, plan: OrganisationPlan, gateway: Gateway, *, epoch_us: int, seed: int) -> None:
        self.plan = plan
        self.gateway = gateway
        self.epoch_us = epoch_us
        self.seed = seed
        self.fault_since_us: int | None = None
        (self.faulty,) = [machine.tag for machine, sensor in plan.sensors if sensor.key == LIVE_SENSOR]

    def begin_fault(self, *, is_there_already: bool) -> None:
        """Let the fault build up from now on, or go on in full where it was left."""
        full_after_us = round((LIVE_QUIET_S + LIVE_RISE_S) * SECOND_US) if is_there_already else 0
        self.fault_since_us = microseconds(clock.now()) - full_after_us

    def end_fault(self) -> None:
        self.fault_since_us = None

    def catch_up(self) -> Iterator[int]:
        """Post what was measured since the last stored readings as historical; yields how many at a time."""
        until_us = microseconds(clock.now())
        since_us = {row["key"]: _after_latest(row) for row in self.gateway.sensors()}
        series = [
            (
                sensor.key,
                self._measure(
                    machine, sensor, instants(since_us[sensor.key], until_us, sensor.expected_interval_s)
                ),
            )
            for machine, sensor in self.plan.sensors
            if since_us.get(sensor.key) is not None
        ]
        for parsed in in_requests(series, historical=True):
            yield self.gateway.post_readings(parsed)["accepted"]

    def post_now(self) -> tuple[dict[str, Any], float]:
        """Post a reading of each sensor; returns the receipt and what the sensor of the story measured."""
        ts_us = np.array([microseconds(clock.now())], dtype=np.int64)
        series = [
            (sensor.key, self._measure(machine, sensor, ts_us)) for machine, sensor in self.plan.sensors
        ]
        (parsed,) = in_requests(series, historical=False)
        return self.gateway.post_readings(parsed), float(dict(series)[LIVE_SENSOR].values[0])

    def _measure(self, machine: MachinePlan, sensor: SensorPlan, ts_us: np.ndarray) -> Simulated:
        return simulate(
            machine,
            sensor,
            ts_us,
            zone=self.plan.zone,
            epoch_us=self.epoch_us,
            seed=self.seed,
            live_since_us=self.fault_since_us if machine.tag == self.faulty else None,
        )


class LiveStory:
    """The plant and its narrator together: ticks of readings, and what became of them."""

    def __init__(self, plant: LivePlant, narrator: Narrator, say: Callable[[str], None]) -> None:
        self.plant = plant
        self.narrator = narrator
        self.say = say
        self.has_begun = False
        self.has_task = False
        self.is_booking_told = False

    def begin(self) -> None:
        """Start the fault, once; an open task says that it is there already."""
        if self.has_begun:
            return
        self.narrator.listen()
        self.has_begun = True
        task = self.narrator.open_task(self.plant.faulty)
        self.has_task = task is not None
        self.plant.begin_fault(is_there_already=self.has_task)
        if task is not None:
            self.say(
                f"{task['number']} for {self.plant.faulty} is still open: its fault goes on until it is closed."
            )
        else:
            self.say(f"In half a minute {self.plant.faulty} begins to shake.")

    def tick(self) -> None:
        """Post a reading of each sensor and tell the news."""
        receipt, value = self.plant.post_now()
        self.say(f"{receipt['accepted']} readings, {LIVE_SENSOR} {value:g}")
        for line in self.narrator.news():
            self.say(line)
        task = self.narrator.open_task(self.plant.faulty)
        if self.has_task and task is None:
            self.plant.end_fault()
            self.say(f"{self.plant.faulty} runs smoothly again. Start anew to see another fault.")
        elif task is not None and task["technician"] and not self.is_booking_told:
            self.is_booking_told = True
            self.say(f"Log in as {task['technician']} to start {task['number']} and to say what you found.")
        self.has_task = task is not None


def _after_latest(sensor: dict[str, Any]) -> int | None:
    """The moment after a sensor's latest reading; None for one that has none."""
    latest = sensor["latest"]
    return latest and microseconds(datetime.fromisoformat(latest["ts"])) + 1

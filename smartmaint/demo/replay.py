"""The past of a plant, lived again: readings arrive in order of time, and the agents' work is done as it was then.

Everything goes through the services and the engine, with the clock of the domain at the moment that is told.
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from sensors.services.ingest import ingest_readings
from sensors.storage import moment
from smartmaint.accounts.models import Organization
from smartmaint.demo.batching import in_requests
from smartmaint.demo.blueprint import MachinePlan, OrganisationPlan, SensorPlan
from smartmaint.demo.load import DAY_US
from smartmaint.demo.physics import Simulated, instants, simulate

# Each queue is worked on until it is empty; an agent would come back every two seconds.
UNTIL_EMPTY_S = 3600.0


class Replay:
    """One organisation's readings on their way in; every sensor remembers how far it is."""

    def __init__(
        self,
        organization: Organization,
        plan: OrganisationPlan,
        *,
        epoch_us: int,
        first_day: float,
        seed: int,
        on_stored: Callable[[int], None],
    ) -> None:
        self.organization = organization
        self.plan = plan
        self.epoch_us = epoch_us
        self.seed = seed
        self.on_stored = on_stored
        self.stored_until_us = {sensor.key: self.us(first_day) for _, sensor in plan.sensors}

    def at(self, day: float) -> datetime:
        """The moment of a day of the plan."""
        return moment(self.us(day))

    def us(self, day: float) -> int:
        """The same in microseconds since 1970."""
        return self.epoch_us + round(day * DAY_US)

    def post_history(self, *, until_us: int, only: Iterable[str] | None = None) -> None:
        """Post what the sensors measured since their last reading as historical: it pages nobody."""
        self._post(until_us, only, historical=True)

    def post_live(self, *, until_us: int, only: Iterable[str]) -> None:
        """Post what the sensors measured since their last reading as it is posted day by day."""
        self._post(until_us, only, historical=False)

    def _post(self, until_us: int, only: Iterable[str] | None, *, historical: bool) -> None:
        keys = set(self.stored_until_us if only is None else only)
        chosen = [(machine, sensor) for machine, sensor in self.plan.sensors if sensor.key in keys]
        series = [(sensor.key, self._measure(machine, sensor, until_us)) for machine, sensor in chosen]
        self.stored_until_us |= dict.fromkeys(keys, until_us)
        for parsed in in_requests(series, historical=historical):
            ingest_readings(organization=self.organization, parsed=parsed)
            self.on_stored(parsed.received)

    def _measure(self, machine: MachinePlan, sensor: SensorPlan, until_us: int) -> Simulated:
        return simulate(
            machine,
            sensor,
            instants(self.stored_until_us[sensor.key], until_us, sensor.expected_interval_s),
            zone=self.plan.zone,
            epoch_us=self.epoch_us,
            seed=self.seed,
        )

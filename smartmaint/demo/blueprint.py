"""The words in which a demo plant is written down: plain, frozen, without a database.

Days are relative to the moment at which the demo is loaded: -62.0 is 62 days before it, 7.5 a week after it.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from maintenance.scheduling import WeeklyShift


@dataclass(frozen=True, slots=True)
class LimitPlan:
    """A limit in the sensor's unit; `level` is LL, L, H or HH, `failure_mode` an ISO 14224 code."""

    level: str
    value: float
    dead_band: float
    failure_mode: str
    on_delay_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Degradation that adds to a reading from one day to another, and is gone after the repair that ends it.

    It adds `amplitude` on the day `reaches_day`. With `tau_days` it grows by e in that time (wear of a
    bearing), otherwise linearly from the first day (fouling).
    """

    amplitude: float
    starts_day: float
    reaches_day: float
    ends_day: float = float("inf")
    tau_days: float | None = None


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A passing trouble: an offset, and noise that is so many times the usual."""

    starts_day: float
    ends_day: float
    offset: float = 0.0
    noise_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a reading comes about; all amounts in the sensor's unit.

    `level` is the reading at 60 % load. `load_gain` is added per unit of load (0 to 1) that acted `lag_s`
    ago, `ambient_gain` per unit of weather (-1 to 1); `wander` is slow drift within +- this; `noise` is a
    standard deviation, and `noise_factor` how many times that a worn-out sensor has. `at_rest` is the
    reading while the machine stands still (without it only the load is gone). `live_rise` is what the
    disturbance of the live demo adds.
    """

    level: float
    load_gain: float = 0.0
    ambient_gain: float = 0.0
    lag_s: float = 0.0
    wander: float = 0.0
    noise: float = 0.0
    decimals: int = 2
    at_rest: float | None = None
    growths: tuple[Growth, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()
    noise_factor: float = 1.0
    stuck_since_day: float = float("inf")
    silent_since_day: float = float("inf")
    live_rise: float = 0.0


@dataclass(frozen=True, slots=True)
class SensorPlan:
    key: str
    name: str
    quantity: str
    unit: str
    physical_min: float
    physical_max: float
    behaviour: Behaviour
    limits: tuple[LimitPlan, ...] = ()
    expected_interval_s: float = 300.0

    def limit(self, level: str) -> LimitPlan:
        """The limit of a level. Raises `KeyError` when the sensor has none."""
        for limit in self.limits:
            if limit.level == level:
                return limit
        raise KeyError(f"{self.key} has no limit {level}")


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """A machine, or a group of machines, in the tree; parents stand before their children.

    `load_pattern` names the week of `smartmaint.demo.load`; `stops` are spans of days at a standstill.
    """

    tag: str
    name: str
    equipment_class: str
    site: str
    parent: str = ""
    criticality: str = "B"
    maker: str = ""
    model: str = ""
    serial_number: str = ""
    load_pattern: str = "continuous"
    stops: tuple[tuple[float, float], ...] = ()
    sensors: tuple[SensorPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class PersonPlan:
    """Somebody who logs in; `role` is viewer, technician, manager or admin."""

    username: str
    name: str
    role: str


@dataclass(frozen=True, slots=True)
class TechnicianPlan:
    """A technician's skills and weekly shifts; without `sites` the technician works at all of them."""

    username: str
    name: str
    skills: frozenset[str]
    shifts: tuple[WeeklyShift, ...]
    sites: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StandardJobPlan:
    """What is usually done about a failure mode of a class of equipment ("" is every class)."""

    equipment_class: str
    failure_mode: str
    title: str
    duration_s: int
    skills: frozenset[str]


@dataclass(frozen=True, slots=True)
class Story:
    """A limit whose passing was predicted in the past, the work that followed, and what was found.

    What was predicted is not written here: the loader asks for a prediction on `predicted_day`, from the
    readings until then. `downtime_h` ends with `completed_day`; where the machine had failed, it had done so
    at its beginning.
    """

    machine: str
    sensor: str
    level: str
    predicted_day: float
    started_day: float
    completed_day: float
    technician: str
    verdict: str
    failure_mode: str
    found_failure_mode: str
    cause: str
    remedy: str
    notes: str
    downtime_h: float = 0.0
    labour_h: float = 1.0

    @property
    def stop(self) -> tuple[float, float]:
        """The span of days in which the machine stood still."""
        return (self.completed_day - self.downtime_h / 24, self.completed_day)


@dataclass(frozen=True, slots=True)
class OrganisationPlan:
    name: str
    slug: str
    zone: ZoneInfo
    sites: tuple[tuple[str, str], ...]
    machines: tuple[MachinePlan, ...]
    people: tuple[PersonPlan, ...]
    technicians: tuple[TechnicianPlan, ...]
    standard_jobs: tuple[StandardJobPlan, ...] = ()
    stories: tuple[Story, ...] = ()
    watched_today: tuple[str, ...] = ()
    """Sensors whose last hours come as they were measured, so that what is wrong now is noticed."""

    @property
    def sensors(self) -> tuple[tuple[MachinePlan, SensorPlan], ...]:
        """Every sensor with its machine, in the order of the plan."""
        return tuple((machine, sensor) for machine in self.machines for sensor in machine.sensors)

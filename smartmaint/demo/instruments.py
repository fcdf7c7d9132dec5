"""The kinds of sensors that the demo plants use, with ranges, noise and limits that are usual for them."""

from collections.abc import Iterable

from smartmaint.demo.blueprint import Behaviour, Disturbance, Growth, LimitPlan, SensorPlan


def vibration(
    tag: str,
    level: float,
    *,
    warning: float,
    alarm: float = 7.1,
    place: str = "vibration",
    gain: float = 0.5,
    noise: float = 0.08,
    on_delay_s: float = 600.0,
    growths: Iterable[Growth] = (),
    disturbances: Iterable[Disturbance] = (),
    live_rise: float = 0.0,
) -> SensorPlan:
    """Vibration velocity in mm/s RMS; the default alarm is the border of zone D for mid-size machines."""
    return SensorPlan(
        key=f"{tag}/{place}",
        name=place.replace("-", " ").capitalize(),
        quantity="vibration velocity",
        unit="mm/s",
        physical_min=0.0,
        physical_max=50.0,
        behaviour=Behaviour(
            level=level,
            load_gain=gain,
            wander=0.06,
            noise=noise,
            at_rest=0.4,
            growths=tuple(growths),
            disturbances=tuple(disturbances),
            live_rise=live_rise,
        ),
        limits=(
            LimitPlan("H", warning, 0.3, "VIB", on_delay_s),
            LimitPlan("HH", alarm, 0.4, "VIB", on_delay_s),
        ),
    )


def temperature(
    tag: str,
    place: str,
    level: float,
    *,
    warning: float,
    alarm: float,
    gain: float = 10.0,
    ambient: float = 2.0,
    noise: float = 0.5,
    failure_mode: str = "OHE",
    growths: Iterable[Growth] = (),
    live_rise: float = 0.0,
) -> SensorPlan:
    """A temperature in degrees Celsius that follows the load of half an hour ago."""
    return SensorPlan(
        key=f"{tag}/{place}",
        name=place.replace("-", " ").capitalize(),
        quantity="temperature",
        unit="Cel",
        physical_min=-50.0,
        physical_max=250.0,
        behaviour=Behaviour(
            level=level,
            load_gain=gain,
            ambient_gain=ambient,
            lag_s=1800.0,
            wander=noise / 2,
            noise=noise,
            decimals=1,
            growths=tuple(growths),
            live_rise=live_rise,
        ),
        limits=(
            LimitPlan("H", warning, abs(warning) * 0.03, failure_mode),
            LimitPlan("HH", alarm, abs(alarm) * 0.03, failure_mode),
        ),
    )


def pressure(
    tag: str,
    place: str,
    level: float,
    limits: Iterable[LimitPlan],
    *,
    gain: float,
    ambient: float = 0.0,
    noise: float,
    growths: Iterable[Growth] = (),
    disturbances: Iterable[Disturbance] = (),
    silent_since_day: float = float("inf"),
) -> SensorPlan:
    """A gauge or differential pressure in bar."""
    return SensorPlan(
        key=f"{tag}/{place}",
        name=place.replace("-", " ").capitalize(),
        quantity="pressure",
        unit="bar",
        physical_min=-1.0,
        physical_max=40.0,
        behaviour=Behaviour(
            level=level,
            load_gain=gain,
            ambient_gain=ambient,
            wander=noise / 2,
            noise=noise,
            decimals=3,
            growths=tuple(growths),
            disturbances=tuple(disturbances),
            silent_since_day=silent_since_day,
        ),
        limits=tuple(limits),
    )


def motor_current(
    tag: str,
    level: float,
    *,
    gain: float,
    warning: float,
    alarm: float,
    noise_factor: float = 1.0,
    live_rise: float = 0.0,
) -> SensorPlan:
    """The current of a motor in ampere."""
    return SensorPlan(
        key=f"{tag}/motor-current",
        name="Motor current",
        quantity="current",
        unit="A",
        physical_min=0.0,
        physical_max=400.0,
        behaviour=Behaviour(
            level=level,
            load_gain=gain,
            wander=level * 0.01,
            noise=level * 0.012,
            decimals=1,
            at_rest=0.5,
            noise_factor=noise_factor,
            live_rise=live_rise,
        ),
        limits=(
            LimitPlan("H", warning, warning * 0.03, "HIO"),
            LimitPlan("HH", alarm, alarm * 0.03, "HIO"),
        ),
    )


def power(tag: str, level: float, *, gain: float, disturbances: tuple[Disturbance, ...] = ()) -> SensorPlan:
    """Electrical power in kW: measured for its cost, so without limits."""
    return SensorPlan(
        key=f"{tag}/power",
        name="Power",
        quantity="power",
        unit="kW",
        physical_min=0.0,
        physical_max=500.0,
        behaviour=Behaviour(
            level,
            load_gain=gain,
            wander=level * 0.01,
            noise=level * 0.01,
            decimals=1,
            at_rest=0.2,
            disturbances=disturbances,
        ),
    )


def flow(
    tag: str,
    level: float,
    *,
    gain: float,
    warning: float,
    alarm: float,
    failure_mode: str = "LOO",
    stuck_since_day: float = float("inf"),
) -> SensorPlan:
    """A volume flow in m3/h that must not fall too low."""
    return SensorPlan(
        key=f"{tag}/flow",
        name="Flow",
        quantity="volume flow",
        unit="m3/h",
        physical_min=0.0,
        physical_max=500.0,
        behaviour=Behaviour(
            level=level,
            load_gain=gain,
            wander=level * 0.01,
            noise=level * 0.008,
            decimals=1,
            stuck_since_day=stuck_since_day,
        ),
        limits=(
            LimitPlan("LL", alarm, level * 0.02, failure_mode),
            LimitPlan("L", warning, level * 0.02, failure_mode),
        ),
    )

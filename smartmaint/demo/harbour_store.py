"""The machines of Harbour Cold Store: refrigeration and a loading dock."""

from smartmaint.demo.blueprint import Disturbance, Growth, LimitPlan, MachinePlan, SensorPlan
from smartmaint.demo.instruments import flow, motor_current, power, pressure, temperature, vibration
from smartmaint.demo.riverside_works import stops_of

SITE = "Harbour Cold Store"


def _chiller(
    number: int,
    serial_number: str,
    *,
    suction_troubles: tuple[Disturbance, ...] = (),
    supply_growths: tuple[Growth, ...] = (),
    discharge_silent_since_day: float = float("inf"),
) -> MachinePlan:
    tag = f"chiller-{number}"
    sensors: tuple[SensorPlan, ...] = (
        pressure(
            tag,
            "suction-pressure",
            2.9,
            (LimitPlan("LL", 1.5, 0.1, "LOO"), LimitPlan("L", 2.0, 0.1, "LOO")),
            gain=-0.3,
            noise=0.03,
            disturbances=suction_troubles,
        ),
        pressure(
            tag,
            "discharge-pressure",
            13.5,
            (LimitPlan("H", 19.0, 0.3, "HIO"), LimitPlan("HH", 21.0, 0.3, "HIO")),
            gain=2.0,
            ambient=0.35,
            noise=0.08,
            silent_since_day=discharge_silent_since_day,
        ),
        temperature(
            tag,
            "supply-temperature",
            -8.0,
            warning=-4.0,
            alarm=-2.0,
            gain=1.5,
            ambient=0.05,
            noise=0.1,
            failure_mode="IHT",
            growths=supply_growths,
        ),
        power(tag, 145.0, gain=90.0),
    )
    return MachinePlan(
        tag,
        f"Ammonia chiller {number}",
        "CH",
        SITE,
        parent="refrigeration",
        criticality="A",
        maker="Polarwerk",
        model="AC-320",
        serial_number=serial_number,
        load_pattern="cold store",
        stops=stops_of(tag),
        sensors=sensors,
    )


FAN_5 = MachinePlan(
    "fan-5",
    "Condenser fan 5",
    "BL",
    SITE,
    parent="refrigeration",
    maker="Ventura",
    model="AX-900",
    serial_number="VT-41377",
    load_pattern="cold store",
    sensors=(
        vibration("fan-5", 2.0, warning=4.5),
        motor_current("fan-5", 14.0, gain=6.0, warning=24.0, alarm=27.0),
    ),
)

PUMP_12 = MachinePlan(
    "pump-12",
    "Glycol pump 12",
    "PU",
    SITE,
    parent="refrigeration",
    maker="Halvorsen",
    model="NK 50-160",
    serial_number="HV-198530",
    load_pattern="cold store",
    sensors=(
        vibration("pump-12", 1.7, warning=6.5),
        temperature("pump-12", "bearing-temperature", 46.0, warning=80.0, alarm=90.0),
        flow("pump-12", 64.0, gain=14.0, warning=42.0, alarm=34.0, stuck_since_day=-6.0),
    ),
)

CONVEYOR_6 = MachinePlan(
    "conveyor-6",
    "Dock conveyor 6",
    "CV",
    SITE,
    parent="dock",
    criticality="C",
    maker="Tandem Drives",
    model="BK-29",
    serial_number="TD-49977",
    load_pattern="two shifts",
    sensors=(
        vibration("conveyor-6", 2.3, warning=5.6, place="gearbox-vibration", gain=0.9),
        temperature("conveyor-6", "gearbox-temperature", 50.0, warning=80.0, alarm=90.0, gain=14.0),
        motor_current("conveyor-6", 16.0, gain=9.0, warning=32.0, alarm=36.0, noise_factor=7.0),
    ),
)

MACHINES = (
    MachinePlan("refrigeration", "Refrigeration plant", "SY", SITE, criticality="A"),
    _chiller(1, "PW-0920", suction_troubles=(Disturbance(-23.0, -20.0, offset=-2.0, noise_factor=4.0),)),
    _chiller(
        2,
        "PW-0921",
        supply_growths=(Growth(3.6, starts_day=-33.0, reaches_day=-11.0, ends_day=-12.0),),
        discharge_silent_since_day=-3.0,
    ),
    FAN_5,
    PUMP_12,
    MachinePlan("dock", "Loading dock", "SY", SITE, criticality="C"),
    CONVEYOR_6,
)

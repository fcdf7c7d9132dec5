"""The machines of Riverside Works: cooling water, compressed air and a packaging line."""

from smartmaint.demo.blueprint import Disturbance, Growth, LimitPlan, MachinePlan, SensorPlan
from smartmaint.demo.instruments import flow, motor_current, power, pressure, temperature, vibration
from smartmaint.demo.riverside_stories import STORIES

SITE = "Riverside Works"


def stops_of(tag: str) -> tuple[tuple[float, float], ...]:
    """When a machine stood still because of its past repairs."""
    return tuple(story.stop for story in STORIES if story.machine == tag and story.downtime_h)


def _works_machine(
    tag: str, name: str, equipment_class: str, made: tuple[str, str, str], *sensors: SensorPlan, **fields: str
) -> MachinePlan:
    maker, model, serial_number = made
    return MachinePlan(
        tag,
        name,
        equipment_class,
        SITE,
        maker=maker,
        model=model,
        serial_number=serial_number,
        stops=stops_of(tag),
        sensors=sensors,
        **fields,
    )


PUMP_7 = _works_machine(
    "pump-7",
    "Cooling water pump 7",
    "PU",
    ("Halvorsen", "NK 80-200", "HV-204417"),
    vibration(
        "pump-7",
        2.1,
        warning=6.5,
        noise=0.06,
        growths=(
            Growth(5.0, starts_day=-130.0, reaches_day=-60.5, ends_day=-62.0, tau_days=25.0),
            Growth(5.0, starts_day=-62.0, reaches_day=7.5, tau_days=30.0),
        ),
    ),
    temperature(
        "pump-7",
        "bearing-temperature",
        58.0,
        warning=85.0,
        alarm=95.0,
        growths=(
            Growth(6.0, starts_day=-130.0, reaches_day=-60.5, ends_day=-62.0, tau_days=25.0),
            Growth(6.0, starts_day=-62.0, reaches_day=7.5, tau_days=30.0),
        ),
    ),
    pressure(
        "pump-7",
        "discharge-pressure",
        4.2,
        (LimitPlan("LL", 2.8, 0.1, "LOO"), LimitPlan("L", 3.2, 0.1, "LOO")),
        gain=0.5,
        noise=0.03,
    ),
    motor_current("pump-7", 41.0, gain=22.0, warning=62.0, alarm=70.0),
    parent="cooling-water",
    criticality="A",
)

PUMP_8 = _works_machine(
    "pump-8",
    "Cooling water pump 8",
    "PU",
    ("Halvorsen", "NK 80-200", "HV-204418"),
    vibration("pump-8", 1.8, warning=6.5),
    temperature("pump-8", "bearing-temperature", 55.0, warning=85.0, alarm=95.0),
    pressure(
        "pump-8",
        "discharge-pressure",
        4.3,
        (LimitPlan("LL", 2.8, 0.1, "LOO"), LimitPlan("L", 3.2, 0.1, "LOO")),
        gain=0.5,
        noise=0.03,
    ),
    motor_current("pump-8", 39.0, gain=21.0, warning=62.0, alarm=70.0),
    parent="cooling-water",
)

HEAT_EXCHANGER_2 = _works_machine(
    "hx-2",
    "Plate heat exchanger 2",
    "HE",
    ("Corvex Thermal", "PX-60", "CT-88213"),
    pressure(
        "hx-2",
        "pressure-drop",
        0.42,
        (LimitPlan("H", 0.95, 0.03, "PLU"), LimitPlan("HH", 1.0, 0.03, "PLU")),
        gain=0.05,
        noise=0.008,
        growths=(
            Growth(0.58, starts_day=-150.0, reaches_day=-66.0, ends_day=-70.0),
            Growth(0.58, starts_day=-70.0, reaches_day=24.0),
        ),
    ),
    temperature(
        "hx-2",
        "outlet-temperature",
        28.0,
        warning=40.0,
        alarm=45.0,
        gain=3.0,
        failure_mode="IHT",
        growths=(
            Growth(2.5, starts_day=-150.0, reaches_day=-66.0, ends_day=-70.0),
            Growth(2.5, starts_day=-70.0, reaches_day=24.0),
        ),
    ),
    flow("hx-2", 118.0, gain=25.0, warning=80.0, alarm=65.0, failure_mode="PDE"),
    parent="cooling-water",
)

COMPRESSOR_1 = _works_machine(
    "comp-1",
    "Screw compressor 1",
    "CO",
    ("Nordluft", "SC 90", "NL-7731-09"),
    temperature(
        "comp-1",
        "discharge-temperature",
        82.0,
        warning=105.0,
        alarm=112.0,
        gain=14.0,
        growths=(Growth(30.0, starts_day=-75.0, reaches_day=-36.0, ends_day=-41.0, tau_days=12.0),),
    ),
    pressure(
        "comp-1",
        "discharge-pressure",
        7.4,
        (LimitPlan("LL", 5.8, 0.1, "LOO"), LimitPlan("L", 6.2, 0.1, "LOO")),
        gain=-0.6,
        noise=0.04,
    ),
    temperature(
        "comp-1",
        "oil-temperature",
        68.0,
        warning=90.0,
        alarm=98.0,
        growths=(Growth(8.0, starts_day=-75.0, reaches_day=-36.0, ends_day=-41.0, tau_days=12.0),),
    ),
    # More than it ever took, since some hours ago: a valve that does not close.
    power("comp-1", 92.0, gain=70.0, disturbances=(Disturbance(-0.2, 3.0, offset=75.0),)),
    parent="compressed-air",
    criticality="A",
    load_pattern="two shifts",
)

CONVEYOR_3 = _works_machine(
    "conveyor-3",
    "Infeed conveyor 3",
    "CV",
    ("Tandem Drives", "BK-37", "TD-51102"),
    vibration(
        "conveyor-3",
        2.6,
        warning=5.6,
        place="gearbox-vibration",
        gain=0.9,
        noise=0.1,
        disturbances=(Disturbance(-28.9, -28.0, offset=5.0),),
    ),
    temperature("conveyor-3", "gearbox-temperature", 55.0, warning=80.0, alarm=90.0, gain=14.0),
    motor_current("conveyor-3", 18.0, gain=12.0, warning=32.0, alarm=36.0),
    parent="packaging-1",
    load_pattern="two shifts",
)

FILLER_1 = _works_machine(
    "filler-1",
    "Filler main drive",
    "EM",
    ("Elmotec", "IE4-30", "EM-160-3391"),
    vibration(
        "filler-1",
        1.9,
        warning=4.5,
        growths=(Growth(5.2, starts_day=-90.0, reaches_day=-47.5, ends_day=-47.0, tau_days=9.0),),
    ),
    temperature("filler-1", "winding-temperature", 78.0, warning=120.0, alarm=130.0, gain=22.0),
    motor_current("filler-1", 24.0, gain=14.0, warning=40.0, alarm=45.0),
    parent="packaging-1",
    criticality="A",
    load_pattern="two shifts",
)

FAN_4 = _works_machine(
    "fan-4",
    "Exhaust fan 4",
    "BL",
    ("Ventura", "RV-710", "VT-40981"),
    vibration("fan-4", 2.2, warning=4.5, gain=0.4, on_delay_s=10.0, live_rise=6.5),
    temperature("fan-4", "bearing-temperature", 52.0, warning=80.0, alarm=90.0, gain=8.0, live_rise=9.0),
    motor_current("fan-4", 33.0, gain=15.0, warning=50.0, alarm=56.0, live_rise=5.0),
    parent="packaging-1",
    criticality="A",
)

MACHINES = (
    MachinePlan("cooling-water", "Cooling water system", "SY", SITE, criticality="A"),
    PUMP_7,
    PUMP_8,
    HEAT_EXCHANGER_2,
    MachinePlan("compressed-air", "Compressed air system", "SY", SITE, criticality="A"),
    COMPRESSOR_1,
    MachinePlan("packaging-1", "Packaging line 1", "SY", SITE, criticality="A"),
    CONVEYOR_3,
    FILLER_1,
    FAN_4,
)

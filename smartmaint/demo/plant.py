"""The organisations of the demo: a food plant that tells a story, and a quarry that must not see it."""

from zoneinfo import ZoneInfo

from smartmaint.demo import harbour_store, riverside_works
from smartmaint.demo.blueprint import MachinePlan, OrganisationPlan
from smartmaint.demo.instruments import motor_current, temperature, vibration
from smartmaint.demo.people import (
    NORTHWIND_PEOPLE,
    NORTHWIND_TECHNICIANS,
    RIVERSIDE_PEOPLE,
    RIVERSIDE_TECHNICIANS,
    STANDARD_JOBS,
)
from smartmaint.demo.riverside_stories import STORIES

HISTORY_DAYS = 90
SEED = 20261122

# The sensor that crosses its limit first, the one that follows, and the one that the live demo disturbs.
FIRST_TO_CROSS = "pump-7/vibration"
SECOND_TO_CROSS = "hx-2/pressure-drop"
LIVE_SENSOR = "fan-4/vibration"
# What has been wrong since this morning.
WRONG_TODAY = "comp-1/power"

RIVERSIDE = OrganisationPlan(
    name="Riverside Foods",
    slug="riverside-foods",
    zone=ZoneInfo("Europe/Berlin"),
    sites=(
        (riverside_works.SITE, "Mill Lane 4, Riverside"),
        (harbour_store.SITE, "Quay 11, Riverside Harbour"),
    ),
    machines=(*riverside_works.MACHINES, *harbour_store.MACHINES),
    people=RIVERSIDE_PEOPLE,
    technicians=RIVERSIDE_TECHNICIANS,
    standard_jobs=STANDARD_JOBS,
    stories=STORIES,
    watched_today=(WRONG_TODAY,),
)

NORTHWIND = OrganisationPlan(
    name="Northwind Quarry",
    slug="northwind-quarry",
    zone=ZoneInfo("Europe/Oslo"),
    sites=(("Northwind Pit", "Quarry Road 1, Northwind"),),
    machines=(
        MachinePlan(
            "crusher-1",
            "Crusher drive 1",
            "EM",
            "Northwind Pit",
            criticality="A",
            maker="Elmotec",
            model="IE3-250",
            serial_number="EM-315-0077",
            load_pattern="two shifts",
            sensors=(
                vibration("crusher-1", 2.8, warning=5.6),
                motor_current("crusher-1", 210.0, gain=120.0, warning=300.0, alarm=340.0),
            ),
        ),
        MachinePlan(
            "belt-1",
            "Belt conveyor 1",
            "CV",
            "Northwind Pit",
            maker="Tandem Drives",
            model="BK-77",
            serial_number="TD-50210",
            load_pattern="two shifts",
            sensors=(temperature("belt-1", "gearbox-temperature", 52.0, warning=80.0, alarm=90.0),),
        ),
    ),
    people=NORTHWIND_PEOPLE,
    technicians=NORTHWIND_TECHNICIANS,
    standard_jobs=STANDARD_JOBS,
)

ORGANISATIONS = (RIVERSIDE, NORTHWIND)

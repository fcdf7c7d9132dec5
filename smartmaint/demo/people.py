"""Who works at the demo plants, when, and what is usually done about a failure."""

from collections.abc import Iterable
from datetime import time

from maintenance.scheduling import WeeklyShift
from smartmaint.demo.blueprint import PersonPlan, StandardJobPlan, TechnicianPlan

MONDAY, WEDNESDAY, SATURDAY, SUNDAY = 0, 2, 5, 6
_WORKDAYS = range(5)
_HOUR_S = 3600


def _shifts(weekdays: Iterable[int], start: time, end: time) -> tuple[WeeklyShift, ...]:
    return tuple(WeeklyShift(weekday, start, end) for weekday in weekdays)


def _skills(names: str) -> frozenset[str]:
    return frozenset(names.split())


RIVERSIDE_PEOPLE = (
    PersonPlan("sofia", "Sofia Marchetti", "manager"),
    PersonPlan("henrik", "Henrik Dahl", "admin"),
    PersonPlan("viewer", "Leila Haddad", "viewer"),
)

# Early, late and night on workdays, twelve-hour shifts at the weekend: somebody is always there.
RIVERSIDE_TECHNICIANS = (
    TechnicianPlan(
        "ana",
        "Ana Kovač",
        _skills("mechanical vibration hydraulic"),
        _shifts(_WORKDAYS, time(6), time(14)),
        sites=frozenset({"Riverside Works"}),
    ),
    TechnicianPlan(
        "priya",
        "Priya Raman",
        _skills("refrigeration electrical instrumentation mechanical"),
        _shifts(_WORKDAYS, time(14), time(22)),
    ),
    TechnicianPlan(
        "mateusz",
        "Mateusz Nowak",
        _skills("mechanical vibration electrical"),
        _shifts(_WORKDAYS, time(22), time(6)),
    ),
    TechnicianPlan(
        "amara",
        "Amara Okafor",
        _skills("mechanical vibration electrical instrumentation"),
        _shifts((SATURDAY, SUNDAY), time(6), time(18)) + _shifts((WEDNESDAY,), time(8), time(16)),
    ),
    TechnicianPlan(
        "jonas",
        "Jonas Lindqvist",
        _skills("mechanical vibration hydraulic refrigeration"),
        _shifts((SATURDAY, SUNDAY), time(18), time(6)) + _shifts((MONDAY,), time(8), time(16)),
    ),
)

NORTHWIND_PEOPLE = (PersonPlan("greta", "Greta Lund", "manager"),)
NORTHWIND_TECHNICIANS = (
    TechnicianPlan(
        "olu", "Olu Adeyemi", _skills("mechanical electrical"), _shifts(_WORKDAYS, time(7), time(16))
    ),
)


def _job(equipment_class: str, failure_mode: str, title: str, hours: float, skills: str) -> StandardJobPlan:
    return StandardJobPlan(equipment_class, failure_mode, title, round(hours * _HOUR_S), _skills(skills))


STANDARD_JOBS = (
    _job("PU", "VIB", "Replace the bearings and align the coupling", 4, "mechanical vibration"),
    _job("PU", "OHE", "Check lubrication and bearing temperature", 2, "mechanical"),
    _job("PU", "LOO", "Inspect impeller, valves and suction strainer", 3, "mechanical"),
    _job("PU", "HIO", "Check the motor load and the operating point", 1.5, "electrical"),
    _job("EM", "VIB", "Replace the motor bearings", 5, "mechanical vibration"),
    _job("EM", "OHE", "Clean the motor and measure the windings", 2, "electrical"),
    _job("EM", "HIO", "Measure the motor and its drive", 1.5, "electrical"),
    _job("CO", "OHE", "Clean the oil cooler, check the oil level", 3, "mechanical"),
    _job("CO", "LOO", "Check valves, belt and air filter", 2, "mechanical"),
    _job("BL", "VIB", "Clean and balance the impeller", 2, "mechanical vibration"),
    _job("BL", "OHE", "Grease the bearings", 1, "mechanical"),
    _job("BL", "HIO", "Check the motor and the damper", 1, "electrical"),
    _job("CV", "VIB", "Inspect the gearbox and change its oil", 2, "mechanical vibration"),
    _job("CV", "OHE", "Check the gearbox oil and the load", 1.5, "mechanical"),
    _job("CV", "HIO", "Check chain tension and the motor", 1.5, "mechanical electrical"),
    _job("HE", "PLU", "Open and clean the plates", 6, "mechanical"),
    _job("HE", "IHT", "Check heat transfer and flow", 2, "mechanical"),
    _job("HE", "PDE", "Check the strainer and the valves", 1.5, "mechanical"),
    _job("CH", "LOO", "Check the refrigerant charge and the suction side", 2, "refrigeration"),
    _job("CH", "HIO", "Clean the condenser and bleed air", 3, "refrigeration"),
    _job("CH", "IHT", "Check the heat transfer of the evaporator", 3, "refrigeration"),
    _job("", "AIR", "Check the sensor, its cable and its plug", 1, "instrumentation"),
    _job("", "UNK", "Inspect the machine", 1, "mechanical"),
)

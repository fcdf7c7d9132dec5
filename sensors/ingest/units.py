"""Units of measurement: UCUM codes and the spellings that plants use, and conversion within one dimension.

Each unit is a (dimension, factor, offset) with base = value * factor + offset. Factors are exact by
definition (BIPM, The International System of Units, 9th edition; NIST SP 811, appendix B) unless a comment
says otherwise.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class UnknownUnit(ValueError):
    """No unit of that code or spelling is known."""

    code = "unknown_unit"


class UnitMismatch(ValueError):
    """The two units measure different things."""

    code = "unit_mismatch"


class Unit(NamedTuple):
    """`base = value * factor + offset`, where base is the dimension's own unit."""

    dimension: str
    factor: float
    offset: float = 0.0


_INCH = 0.0254
_FOOT = 0.3048
_POUND = 0.45359237
_STANDARD_GRAVITY = 9.80665
_POUND_FORCE = _POUND * _STANDARD_GRAVITY
_US_GALLON = 231 * _INCH**3
_FAHRENHEIT_ZERO = 273.15 - 32 / 1.8

# dimension -> {spellings, separated by blanks: (factor, offset) or factor}; the first spelling is the UCUM
# code
_TABLE: dict[str, dict[str, float | tuple[float, float]]] = {
    "temperature": {
        "K kelvin": 1,
        "Cel °C degC C ℃": (1, 273.15),
        "[degF] degF °F F ℉": (1 / 1.8, _FAHRENHEIT_ZERO),
    },
    "pressure": {
        "Pa": 1,
        "hPa mbar": 100,
        "kPa": 1e3,
        "MPa": 1e6,
        "bar": 1e5,
        "atm": 101325,
        "[psi] psi": _POUND_FORCE / _INCH**2,
        # columns of mercury and water: the conventional values
        "mm[Hg] mmHg": 133.322387415,
        "cm[H2O] cmH2O": 98.0665,
        "[in_i'H2O] inH2O": 249.08891,
    },
    "velocity": {
        "m/s": 1,
        "cm/s": 1e-2,
        "mm/s": 1e-3,
        "um/s µm/s": 1e-6,
        "km/h": 1 / 3.6,
        "m/min": 1 / 60,
        "[in_i]/s in/s ips": _INCH,
        "[ft_i]/min ft/min fpm": _FOOT / 60,
    },
    "acceleration": {
        "m/s2 m/s² m/s^2": 1,
        "mm/s2 mm/s² mm/s^2": 1e-3,
        "[g] g0 gn": _STANDARD_GRAVITY,
    },
    "length": {
        "m": 1,
        "cm": 1e-2,
        "mm": 1e-3,
        "um µm μm": 1e-6,
        "km": 1e3,
        "[in_i] in": _INCH,
        "[mil_i] mil": _INCH / 1000,
        "[ft_i] ft": _FOOT,
    },
    "current": {"A": 1, "mA": 1e-3, "uA µA μA": 1e-6, "kA": 1e3},
    "voltage": {"V": 1, "mV": 1e-3, "kV": 1e3},
    "resistance": {"Ohm Ω ohm": 1, "kOhm kΩ": 1e3, "MOhm MΩ": 1e6},
    "power": {"W": 1, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "[HP] hp": 550 * _FOOT * _POUND_FORCE},
    "apparent power": {"V.A VA": 1, "kV.A kVA": 1e3, "MV.A MVA": 1e6},
    "energy": {
        "J": 1,
        "kJ": 1e3,
        "MJ": 1e6,
        "GJ": 1e9,
        "W.h Wh": 3.6e3,
        "kW.h kWh": 3.6e6,
        "MW.h MWh": 3.6e9,
    },
    "frequency": {"Hz": 1, "kHz": 1e3, "MHz": 1e6},
    # Apart from frequency on purpose: 50 Hz of supply and 50 revolutions a second are different quantities.
    "rotational speed": {"{rev}/min rpm RPM /min 1/min r/min": 1, "{rev}/s rps /s 1/s": 60},
    "volume flow": {
        "m3/s m³/s m^3/s": 1,
        "m3/h m³/h m^3/h": 1 / 3600,
        "m3/min m³/min m^3/min": 1 / 60,
        "L/s l/s": 1e-3,
        "L/min l/min lpm": 1e-3 / 60,
        "L/h l/h": 1e-3 / 3600,
        "[gal_us]/min gpm": _US_GALLON / 60,
        "[cft_i]/min cfm": _FOOT**3 / 60,
    },
    "mass flow": {"kg/s": 1, "kg/min": 1 / 60, "kg/h": 1 / 3600, "t/h": 1000 / 3600, "g/s": 1e-3},
    "volume": {"m3 m³ m^3": 1, "L l": 1e-3, "mL ml": 1e-6, "[gal_us] gal": _US_GALLON},
    "mass": {"kg": 1, "g": 1e-3, "mg": 1e-6, "t": 1e3, "[lb_av] lb": _POUND},
    "force": {"N": 1, "kN": 1e3, "[lbf_av] lbf": _POUND_FORCE},
    "torque": {"N.m Nm N·m": 1, "kN.m kNm kN·m": 1e3, "[ft_i].[lbf_av] ft.lbf": _FOOT * _POUND_FORCE},
    "fraction": {"1": 1, "% percent": 1e-2, "[ppth] ‰": 1e-3, "[ppm] ppm": 1e-6, "[ppb] ppb": 1e-9},
    "time": {"s": 1, "ms": 1e-3, "us µs μs": 1e-6, "min": 60, "h": 3600, "d": 86400},
    "mass concentration": {
        "kg/m3 kg/m³ g/L g/l": 1,
        "g/m3 g/m³ mg/L mg/l": 1e-3,
        "mg/m3 mg/m³ ug/L µg/L": 1e-6,
    },
    "level": {"dB": 1, "B": 10},
    "sound pressure level": {"dB[SPL] dB(A) dBA": 1},
    "angle": {"rad": 1, "deg °": math.pi / 180},
    "acidity": {"[pH] pH": 1},
    "conductivity": {"S/m": 1, "mS/cm": 0.1, "uS/cm µS/cm μS/cm": 1e-4},
}


def _spellings() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for dimension, rows in _TABLE.items():
        for spellings, conversion in rows.items():
            factor, offset = conversion if isinstance(conversion, tuple) else (conversion, 0.0)
            for spelling in spellings.split():
                units[spelling] = Unit(dimension, factor, offset)
    return units


_UNITS = _spellings()


def unit(code: str) -> Unit:
    """The unit of a code or spelling, which is case-sensitive as in UCUM. Raises `UnknownUnit`."""
    try:
        return _UNITS[code]
    except KeyError:
        raise UnknownUnit(f'The unit "{code}" is not known.') from None


def convert(values: npt.ArrayLike, from_unit: str, to_unit: str) -> npt.NDArray[np.float64]:
    """`values` (any shape, in `from_unit`) in `to_unit`, as a new float64 array; NaN stays NaN.

    The same spelling on both sides is always possible, also of a unit that is not in the table. Raises
    `UnknownUnit` or `UnitMismatch`.
    """
    converted = np.array(values, dtype=np.float64)
    if from_unit == to_unit:
        return converted
    source, target = unit(from_unit), unit(to_unit)
    if source.dimension != target.dimension:
        raise UnitMismatch(
            f'"{from_unit}" is a unit of {source.dimension}, "{to_unit}" one of {target.dimension}.'
        )
    if (source.factor, source.offset) == (target.factor, target.offset):
        return converted
    # One division at the end, and offsets added only where there are any: 20 °C is 68 °F to the last digit
    # that counts.
    converted *= source.factor
    converted += source.offset - target.offset
    converted /= target.factor
    return converted

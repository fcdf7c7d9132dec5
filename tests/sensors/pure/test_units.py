import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.units import _UNITS, UnitMismatch, UnknownUnit, convert, unit


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (20, "Cel", "[degF]", 68),
        (-40, "°C", "degF", -40),
        (0, "K", "Cel", -273.15),
        (212, "°F", "Cel", 100),
        (1, "bar", "kPa", 100),
        (1, "[psi]", "Pa", 6894.757293168361),
        (1, "atm", "mbar", 1013.25),
        (7.1, "mm/s", "m/s", 0.0071),
        (1, "[in_i]/s", "mm/s", 25.4),
        (1, "[g]", "m/s2", 9.80665),
        (1, "[mil_i]", "um", 25.4),
        (250, "mA", "A", 0.25),
        (400, "V", "kV", 0.4),
        (1, "[HP]", "W", 745.6998715822702),
        (1, "kW.h", "MJ", 3.6),
        (2.5, "kHz", "Hz", 2500),
        (1500, "rpm", "{rev}/s", 25),
        (1500, "1/min", "rpm", 1500),
        (36, "m3/h", "L/s", 10),
        (1, "[gal_us]/min", "L/min", 3.785411784),
        (3.6, "t/h", "kg/s", 1),
        (1, "[lb_av]", "kg", 0.45359237),
        (1, "[ft_i].[lbf_av]", "N.m", 1.3558179483314004),
        (12, "%", "1", 0.12),
        (90, "min", "h", 1.5),
        (5, "mg/L", "g/m3", 5),
        (3, "dB", "B", 0.3),
        (180, "deg", "rad", np.pi),
    ],
)
def test_known_conversions(value, from_unit, to_unit, expected):
    assert convert([value], from_unit, to_unit)[0] == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_same_unit_copies_even_when_it_is_not_known():
    values = np.array([1.0, np.nan])
    converted = convert(values, "furlong", "furlong")
    np.testing.assert_array_equal(converted, values)
    assert converted is not values


def test_aliases_of_a_unit_change_no_digit():
    assert convert([0.1, 20.3], "Cel", "°C").tolist() == [0.1, 20.3]


def test_nan_stays_nan_and_the_shape_is_kept():
    converted = convert([[1.0, np.nan], [2.0, 3.0]], "bar", "mbar")
    np.testing.assert_array_equal(converted, [[1000.0, np.nan], [2000.0, 3000.0]])


def test_different_dimensions_do_not_convert():
    with pytest.raises(UnitMismatch, match='"bar" is a unit of pressure, "Cel" one of temperature'):
        convert([1], "bar", "Cel")


def test_a_unit_that_is_not_known_is_named():
    with pytest.raises(UnknownUnit, match='"furlong"'):
        convert([1], "furlong", "m")


def test_codes_are_case_sensitive():
    assert unit("mW").factor == 1e-3
    assert unit("MW").factor == 1e6


@given(
    st.sampled_from([(a, b) for a in _UNITS for b in _UNITS if _UNITS[a].dimension == _UNITS[b].dimension]),
    st.floats(-1e6, 1e6),
)
def test_there_and_back_again_is_the_same_value(pair, value):
    from_unit, to_unit = pair
    returned = convert(convert([value], from_unit, to_unit), to_unit, from_unit)[0]
    assert returned == pytest.approx(value, rel=1e-9, abs=1e-6)

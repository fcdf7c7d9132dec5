"""Values as people read them."""

import math

import pytest

from sensors.unit_signs import number, with_unit


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (80.254, "Cel", "80.25 °C"),
        (0.0, "1", "0"),
        (9999.4, "Pa", "9999 Pa"),
        (9999.6, "Pa", "10,000 Pa"),
        (101_325.0, "Pa", "101,300 Pa"),
        (-101_325.0, "Pa", "-101,300 Pa"),
        (9_994_999.0, "Pa", "9,995,000 Pa"),
        (9_999_999.0, "Pa", "1e7 Pa"),
        (123_456_789.0, "Pa", "1.235e8 Pa"),
        (0.00001234, "m", "1.234e-5 m"),
        (math.inf, "m", "inf m"),
        (math.nan, "1", "nan"),
    ],
)
def test_a_value_is_written_to_four_digits(value, code, words):
    assert with_unit(value, code) == words


def test_a_limit_keeps_the_digits_that_people_gave_it():
    assert [number(value, digits=6) for value in (7.1, 101_325.0, 12_345.6, 2e6)] == [
        "7.1",
        "101,325",
        "12,345.6",
        "2,000,000",
    ]

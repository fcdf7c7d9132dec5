"""How people write values and units; UCUM codes are for machines."""

FIVE_DIGITS, EIGHT_DIGITS = 1e4, 1e7
SIGNS = {"1": "", "Cel": "°C", "[degF]": "°F", "um": "µm"}


def unit_sign(code: str) -> str:
    """The sign of a UCUM unit, such as °C for Cel; the code itself where people write the same."""
    return SIGNS.get(code, code)


def with_unit(value: float, code: str) -> str:
    """A value as it is read, to four digits, such as 80.25 °C."""
    return f"{number(value)} {unit_sign(code)}".rstrip()


def number(value: float, *, digits: int = 4) -> str:
    """A number as people read it, to so many digits: 0.0123, 80.25, 101,300; from ten million on 1.013e7."""
    text = f"{value:.{digits}g}"
    if FIVE_DIGITS <= abs(float(text)) < EIGHT_DIGITS:
        return f"{float(text):,.10g}"
    mantissa, has_exponent, exponent = text.partition("e")
    return f"{mantissa}e{int(exponent)}" if has_exponent else text

"""How people write units; UCUM codes are for machines."""

SIGNS = {"1": "", "Cel": "°C", "[degF]": "°F", "um": "µm"}


def unit_sign(code: str) -> str:
    """The sign of a UCUM unit, such as °C for Cel; the code itself where people write the same."""
    return SIGNS.get(code, code)


def with_unit(value: float, code: str) -> str:
    """A value as it is read, to four digits, such as 80.25 °C."""
    return f"{value:.4g} {unit_sign(code)}".rstrip()

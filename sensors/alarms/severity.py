"""How severe an alarm is, from what was passed and how much the machine matters. Pure."""

SEVERITIES = ("critical", "major", "minor", "warning")

# Of a machine of criticality B; A is one step more severe, C one less.
OUTERMOST, INNER, UNUSUAL = "major", "minor", "warning"
_STEPS = {"A": -1, "B": 0, "C": 1}


def severity_of(*, kind: str, level: str, criticality: str) -> str:
    """The severity of an anomaly on a machine of a criticality (A, B, C).

    `kind` is limit, no_data, or what the detector calls a reading unlike its own past; `level` is LL, L, H, HH or
    empty. Passing the outermost level, where the machine counts as failed, weighs most; an inner one, or silence, less;
    what is merely unusual least. So most alarms are minor or warnings, as EEMUA 191 wants them.
    """
    if kind == "limit":
        base = OUTERMOST if level in {"LL", "HH"} else INNER
    else:
        base = INNER if kind == "no_data" else UNUSUAL
    place = SEVERITIES.index(base) + _STEPS[criticality]
    return SEVERITIES[min(max(place, 0), len(SEVERITIES) - 1)]


def worse_of(one: str, other: str) -> str:
    return min(one, other, key=SEVERITIES.index)


def is_worse(one: str, than: str) -> bool:
    return SEVERITIES.index(one) < SEVERITIES.index(than)

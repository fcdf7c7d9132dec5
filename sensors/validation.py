"""The weighing of an anomaly: facts, rules over them, and a confidence with its reasons. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import get_args

from sensors.detection.excursions import Pattern

PRIOR = 0.5
CREDIBLE_FROM = 0.7
SUSPECTED_FALSE_BELOW = 0.4
# The sum of the rules counts as much as so many findings.
PRIOR_FINDINGS = 10
# An error of the controller belongs to an excursion from a day and a half before that is noticed until half a day
# after, and as long as it lasts; but for two days at most, since in more a machine reports something by chance. When it
# began is known less well: a level that shifts does so in noise.
EVENT_BEFORE = timedelta(hours=36)
EVENT_AFTER = timedelta(hours=12)
EVENT_WHILE_IT_LASTS = timedelta(hours=48)

FactValue = float | str | None
Facts = Mapping[str, FactValue]


@dataclass(frozen=True)
class Fact:
    """Something known of an anomaly that a rule can ask for."""

    name: str
    label: str
    is_number: bool
    choices: tuple[str, ...] = ()


FACTS = {
    fact.name: fact
    for fact in (
        Fact(
            "kind",
            "kind (limit, profile, no_data)",
            is_number=False,
            choices=("limit", "profile", "no_data"),
        ),
        Fact(
            "pattern",
            "what it looks like (spike, shift, drift, noise, course, stuck, rate)",
            is_number=False,
            choices=tuple(filter(None, get_args(Pattern))),
        ),
        Fact("direction", "direction (high, low)", is_number=False, choices=("high", "low")),
        Fact("level", "limit passed (LL, L, H, HH)", is_number=False, choices=("LL", "L", "H", "HH")),
        Fact("quantity", "quantity measured", is_number=False),
        Fact("criticality", "criticality of the machine (A, B, C)", is_number=False, choices=("A", "B", "C")),
        Fact("equipment_state", "state of the machine", is_number=False),
        Fact("score", "score of the detector (0 to 1)", is_number=True),
        Fact("duration_minutes", "minutes since it started", is_number=True),
        Fact("good_share", "share of good readings in the past day (0 to 1)", is_number=True),
        Fact("jump_sigmas", "jump in standard deviations, when the past day was stable", is_number=True),
        Fact("hours_since_repair", "hours since the last repair", is_number=True),
        Fact(
            "silent_share",
            "of no data: share of its sender's sensors that are silent (0 to 1)",
            is_number=True,
        ),
        Fact(
            "events_around",
            "events of the machine, from 36 h before until 12 h after or while it lasts",
            is_number=True,
        ),
        Fact("events_before", "events of the machine in the 36 h before", is_number=True),
        Fact("events_after", "events of the machine in the 12 h after, or while it lasts", is_number=True),
        Fact("hours_to_event", "hours to the nearest event of the machine", is_number=True),
        Fact("other_sensors", "other sensors of the machine that show something", is_number=True),
        Fact("sister_machines", "machines of its kind at the site that show it", is_number=True),
        Fact("sensor_faults", "times the sensor was found at fault, 90 days", is_number=True),
    )
}


class Operator(Enum):
    """How a fact is compared with a rule's value."""

    IS = "is"
    IS_NOT = "is_not"
    AT_LEAST = "at_least"
    BELOW = "below"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ")


@dataclass(frozen=True)
class Rule:
    """When `fact` `operator` `value` holds, confidence moves by `adjustment`."""

    fact: str
    operator: Operator
    value: float | str
    adjustment: float
    reason: str


@dataclass(frozen=True)
class Findings:
    """How many anomalies proved right, and how many false."""

    confirmed: int = 0
    false: int = 0


@dataclass(frozen=True)
class Judgement:
    """Confidence in [0, 1], the status that follows from it, and each reason with its adjustment (None: a remark).

    `rule_sum` is the confidence before it was calibrated; `is_corroborated` says whether the machine's controller
    reported an error around it, None where it is not known to report any.
    """

    confidence: float
    rule_sum: float
    status: str
    reasons: list[dict[str, float | str | None]]
    is_corroborated: bool | None = None


def time_of_its_events(noticed_at: datetime, ended_at: datetime | None) -> tuple[datetime, datetime]:
    """From when until when an event of the machine belongs to an excursion; `ended_at` is None while it lasts."""
    latest = noticed_at + EVENT_WHILE_IT_LASTS
    until = latest if ended_at is None else min(max(ended_at, noticed_at + EVENT_AFTER), latest)
    return noticed_at - EVENT_BEFORE, until


def read_condition_value(fact: str, operator: Operator, text: str) -> float | str:
    """Return a rule's value as its fact needs it; raise ValueError, with words for the person who wrote it."""
    if not FACTS[fact].is_number:
        if operator in {Operator.AT_LEAST, Operator.BELOW}:
            raise ValueError(f"{FACTS[fact].label} is no number: compare it with is or is not.")
        choices = FACTS[fact].choices
        if choices and text.strip() not in choices:
            raise ValueError(f"{FACTS[fact].label} is one of {', '.join(choices)}.")
        return text.strip()
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{FACTS[fact].label} is a number; {text!r} is none.") from None


def holds(rule: Rule, facts: Mapping[str, FactValue]) -> bool:
    """Whether the rule's condition is met; a fact that is not known meets none."""
    known = facts.get(rule.fact)
    if known is None:
        return False
    match rule.operator:
        case Operator.IS:
            return known == rule.value
        case Operator.IS_NOT:
            return known != rule.value
        case Operator.AT_LEAST:
            return known >= rule.value
        case Operator.BELOW:
            return known < rule.value


def judge(
    facts: Facts,
    rules: Iterable[Rule],
    *,
    confirmed_before: int,
    false_before: int,
    of_alike: Callable[[float], Findings] = lambda rule_sum: Findings(),
    remarks: Iterable[str] = (),
) -> Judgement:
    """Weigh rules and what people found before (same sensor, same kind), from the stated prior; then calibrate.

    `of_alike` tells what was found of anomalies with about the same sum. Remarks stand among the reasons and weigh
    nothing.
    """
    reasons: list[dict[str, float | str]] = [{"text": "Every anomaly starts here", "adjustment": PRIOR}]
    reasons += [{"text": rule.reason, "adjustment": rule.adjustment} for rule in rules if holds(rule, facts)]
    if confirmed_before:
        reasons.append(
            {
                "text": f"{confirmed_before} like it proved right before, on this sensor",
                "adjustment": min(0.1 * confirmed_before, 0.3),
            }
        )
    if false_before:
        reasons.append(
            {
                "text": f"{false_before} like it proved false before, on this sensor",
                "adjustment": -min(0.15 * false_before, 0.45),
            }
        )
    rule_sum = round(min(max(sum(float(reason["adjustment"]) for reason in reasons), 0.0), 1.0), 4)
    found = of_alike(rule_sum)
    confidence = calibrate(rule_sum, found)
    if found != Findings():
        reasons.append(
            {
                "text": f"Of {found.confirmed + found.false} judged about so before, {found.confirmed} proved right",
                "adjustment": round(confidence - rule_sum, 4),
            }
        )
    events = facts.get("events_around")
    weightless: list[dict[str, float | str | None]] = [
        {"text": remark, "adjustment": None} for remark in remarks
    ]
    return Judgement(
        confidence=confidence,
        rule_sum=rule_sum,
        status=_status(confidence),
        reasons=[*reasons, *weightless],
        is_corroborated=None if events is None else float(events) > 0,
    )


def calibrate(rule_sum: float, found: Findings) -> float:
    """The mean of a Beta distribution: the rules' sum, worth `PRIOR_FINDINGS` findings, and what was found."""
    weight = PRIOR_FINDINGS + found.confirmed + found.false
    return round((PRIOR_FINDINGS * rule_sum + found.confirmed) / weight, 4)


def _status(confidence: float) -> str:
    if confidence >= CREDIBLE_FROM:
        return "credible"
    if confidence < SUSPECTED_FALSE_BELOW:
        return "suspected_false"
    return "needs_a_look"

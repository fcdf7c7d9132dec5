"""The weighing of an anomaly: facts, rules over them, and a confidence with its reasons. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

PRIOR = 0.5
CREDIBLE_FROM = 0.7
SUSPECTED_FALSE_BELOW = 0.4

FactValue = float | str | None


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
class Judgement:
    """Confidence in [0, 1], the status that follows from it, and each reason with its adjustment (None: a remark)."""

    confidence: float
    status: str
    reasons: list[dict[str, float | str | None]]


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
    facts: Mapping[str, FactValue],
    rules: Iterable[Rule],
    *,
    confirmed_before: int,
    false_before: int,
    remarks: Iterable[str] = (),
) -> Judgement:
    """Weigh rules and what people found before (same sensor, same kind), from the stated prior.

    Remarks stand among the reasons and weigh nothing.
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
    confidence = round(min(max(sum(float(reason["adjustment"]) for reason in reasons), 0.0), 1.0), 4)
    weightless: list[dict[str, float | str | None]] = [
        {"text": remark, "adjustment": None} for remark in remarks
    ]
    return Judgement(confidence=confidence, status=_status(confidence), reasons=[*reasons, *weightless])


def _status(confidence: float) -> str:
    if confidence >= CREDIBLE_FROM:
        return "credible"
    if confidence < SUSPECTED_FALSE_BELOW:
        return "suspected_false"
    return "needs_a_look"

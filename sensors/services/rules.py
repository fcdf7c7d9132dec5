"""An organisation's validation rules: what it starts with, and as the judge reads them."""

from typing import NamedTuple

import structlog
from django.db import transaction

from sensors.models import ValidationRule
from sensors.validation import Operator, Rule, read_condition_value
from smartmaint.accounts.models import Organization

log = structlog.get_logger(__name__)


class UsualRule(NamedTuple):
    name: str
    fact: str
    operator: str
    value: str
    adjustment: float
    reason: str


USUAL_RULES = [
    UsualRule("Beyond a limit", "kind", "is", "limit", 0.3, "A limit that people set was passed"),
    UsualRule(
        "No data", "kind", "is", "no_data", 0.3, "Nothing came for longer than the sensor may be silent"
    ),
    UsualRule("Level shift", "pattern", "is", "shift", 0.25, "Its level has shifted"),
    UsualRule("Slow drift", "pattern", "is", "drift", 0.2, "It moves away slowly, day after day"),
    UsualRule("Lone spike", "pattern", "is", "spike", -0.15, "A lone spike is seldom the machine's"),
    UsualRule(
        "Far from normal", "score", "at_least", "0.8", 0.15, "Very far from what is normal for this sensor"
    ),
    UsualRule("Sudden jump", "jump_sigmas", "at_least", "3", 0.1, "A jump out of a stable day"),
    UsualRule(
        "Poor readings",
        "good_share",
        "below",
        "0.8",
        -0.3,
        "Many readings of the past day were of low quality",
    ),
    UsualRule(
        "Under maintenance", "equipment_state", "is", "maintenance", -0.4, "The machine is being worked on"
    ),
    UsualRule(
        "Out of service", "equipment_state", "is", "out_of_service", -0.5, "The machine is out of service"
    ),
    UsualRule(
        "Just repaired", "hours_since_repair", "below", "2", -0.1, "It was repaired within the last two hours"
    ),
    UsualRule(
        "Event around it",
        "events_around",
        "at_least",
        "1",
        0.2,
        "The machine's controller reported an error around that time",
    ),
    UsualRule(
        "No event around it",
        "events_around",
        "below",
        "1",
        -0.25,
        "The machine's controller, which reports errors, reported none around that time",
    ),
    UsualRule(
        "Other sensors too",
        "other_sensors",
        "at_least",
        "1",
        0.1,
        "Another sensor of the machine shows something at the same time",
    ),
    UsualRule(
        "Sister machines too",
        "sister_machines",
        "at_least",
        "2",
        -0.1,  # a limit that people set is believed still, however many pass theirs
        "Other machines of its kind at the site show it at the same time: probably what they share",
    ),
    UsualRule(
        "Sensor was at fault",
        "sensor_faults",
        "at_least",
        "1",
        -0.2,
        "People found this sensor itself at fault within the last 90 days",
    ),
]


@transaction.atomic
def seed_validation_rules(organization: Organization) -> list[str]:
    """Give an organisation the usual rules that it lacks; returns their names. It changes them as it likes."""
    added = []
    for name, fact, operator, value, adjustment, reason in missing_rules(organization):
        _, is_new = ValidationRule.objects.get_or_create(
            organization=organization,
            name=name,
            defaults={
                "fact": fact,
                "operator": operator,
                "value": value,
                "adjustment": adjustment,
                "reason": reason,
            },
        )
        if is_new:
            added.append(name)
    return added


def missing_rules(organization: Organization) -> list[UsualRule]:
    """The usual rules that an organisation has neither under their name nor with their condition under another."""
    own = ValidationRule.objects.filter(organization=organization)
    names = set(own.values_list("name", flat=True))
    conditions = set(own.values_list("fact", "operator", "value"))
    return [
        rule
        for rule in USUAL_RULES
        if rule.name not in names and (rule.fact, rule.operator, rule.value) not in conditions
    ]


def active_rules(organization_id: int, *, without: ValidationRule | None = None) -> list[Rule]:
    """The rules that count now, as the judge reads them."""
    rules = ValidationRule.objects.filter(organization_id=organization_id, is_active=True)
    if without is not None:
        rules = rules.exclude(pk=without.pk)
    return [read for read in map(_read_or_leave_out, rules) if read is not None]


def _read_or_leave_out(rule: ValidationRule) -> Rule | None:
    """None, and a line in the log, for a rule that no form would take: all others count nevertheless."""
    try:
        return as_rule(rule)
    except ValueError as error:
        log.warning("validation_rule_unreadable", rule=rule.pk, error=str(error))
        return None


def as_rule(rule: ValidationRule) -> Rule:
    """A row as the judge reads it; raises ValueError for a value that does not fit its fact."""
    operator = Operator(rule.operator)
    return Rule(
        fact=rule.fact,
        operator=operator,
        value=read_condition_value(rule.fact, operator, rule.value),
        adjustment=rule.adjustment,
        reason=rule.reason,
    )

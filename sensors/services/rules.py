"""An organisation's validation rules: what it starts with, and as the judge reads them."""

from sensors.models import ValidationRule
from sensors.validation import Operator, Rule, read_condition_value
from smartmaint.accounts.models import Organization

USUAL_RULES = [
    ("Beyond a limit", "kind", "is", "limit", 0.3, "A limit that people set was passed"),
    ("No data", "kind", "is", "no_data", 0.3, "Nothing came for longer than the sensor may be silent"),
    ("Level shift", "pattern", "is", "shift", 0.25, "The level of a whole day has shifted"),
    ("Slow drift", "pattern", "is", "drift", 0.2, "It moves away slowly, day after day"),
    ("Far from normal", "score", "at_least", "0.8", 0.15, "Very far from what is normal for this sensor"),
    ("Sudden jump", "jump_sigmas", "at_least", "3", 0.1, "A jump out of a stable day"),
    (
        "Poor readings",
        "good_share",
        "below",
        "0.8",
        -0.3,
        "Many readings of the past day were of low quality",
    ),
    ("Under maintenance", "equipment_state", "is", "maintenance", -0.4, "The machine is being worked on"),
    ("Out of service", "equipment_state", "is", "out_of_service", -0.5, "The machine is out of service"),
    ("Just repaired", "hours_since_repair", "below", "2", -0.1, "It was repaired within the last two hours"),
    (
        "Event around it",
        "events_around",
        "at_least",
        "1",
        0.2,
        "The machine's controller reported an error around that time",
    ),
    (
        "No event around it",
        "events_around",
        "below",
        "1",
        -0.25,
        "The machine's controller, which reports errors, reported none around that time",
    ),
    (
        "Other sensors too",
        "other_sensors",
        "at_least",
        "1",
        0.1,
        "Another sensor of the machine shows something at the same time",
    ),
    (
        "Sister machines too",
        "sister_machines",
        "at_least",
        "2",
        -0.1,  # a limit that people set is believed still, however many pass theirs
        "Other machines of its kind at the site show it at the same time: probably what they share",
    ),
    (
        "Sensor was at fault",
        "sensor_faults",
        "at_least",
        "1",
        -0.2,
        "People found this sensor itself at fault within the last 90 days",
    ),
]


def seed_validation_rules(organization: Organization) -> None:
    """Give an organisation the usual rules; it changes them as it likes."""
    for name, fact, operator, value, adjustment, reason in USUAL_RULES:
        ValidationRule.objects.get_or_create(
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


def active_rules(organization_id: int, *, without: ValidationRule | None = None) -> list[Rule]:
    """The rules that count now, as the judge reads them."""
    rules = ValidationRule.objects.filter(organization_id=organization_id, is_active=True)
    if without is not None:
        rules = rules.exclude(pk=without.pk)
    return [as_rule(rule) for rule in rules]


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

"""The wording of times, probabilities and amounts as template filters."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from equipment.models import State
from maintenance import wording
from maintenance.models import Priority, TaskStatus
from maintenance.story import Place, StoryPage
from maintenance.story.signs import reason_in_words, risk_in_words
from predictions.models import Prediction
from sensors.wording import excursion_in_words, silence_in_words
from smartmaint import clock

register = template.Library()
register.filter("day", wording.day_in_words)
register.filter("window", wording.window_in_words)
register.filter("distance", wording.distance_in_words)
register.filter("minutes", wording.minutes_in_words)
register.filter("probability", wording.probability_in_words)
register.filter("measured", wording.value_in_words)
register.filter("reason", reason_in_words)
register.filter("risk", risk_in_words)
register.filter("silence", silence_in_words)
register.filter("excursion", excursion_in_words)

_STATUS_LEVEL = {
    TaskStatus.PROPOSED: "medium",
    TaskStatus.PENDING: "info",
    TaskStatus.IN_PROGRESS: "info",
    TaskStatus.ON_HOLD: "medium",
    TaskStatus.COMPLETED: "good",
    TaskStatus.CANCELLED: "low",
}
_STATE_LEVEL = {
    State.OPERATING: "good",
    State.STANDBY: "low",
    State.DOWN: "critical",
    State.MAINTENANCE: "medium",
    State.OUT_OF_SERVICE: "low",
}


@register.filter
def moment(at: datetime | None) -> SafeString | str:
    """A moment that machines can read too."""
    if at is None:
        return wording.NOT_KNOWN
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), wording.in_words(at))


@register.filter
def passing(prediction: Prediction) -> str:
    """When the limit of a prediction will probably be passed."""
    if prediction.is_already_beyond:
        return "beyond it already"
    return wording.passing_in_words(
        prediction.passes_p10_at, prediction.passes_p50_at, prediction.passes_p90_at
    )


@register.filter
def is_past(at: datetime | None) -> bool:
    return at is not None and at < clock.now()


@register.filter
def risk_level(prediction: Prediction) -> str:
    """The badge of a prediction's risk within 30 days."""
    if prediction.is_already_beyond:
        return "critical"
    for level, least in (("high", 0.5), ("medium", 0.2), ("low", 0.05)):
        if prediction.p_30d >= least:
            return level
    return "good"


@register.simple_tag
def priority_badge(priority: str) -> SafeString:
    return format_html('<span class="badge badge--{}">{}</span>', priority, Priority(priority).label)


@register.simple_tag
def status_badge(status: str) -> SafeString:
    return _badge(_STATUS_LEVEL, TaskStatus(status))


@register.simple_tag
def state_badge(state: str) -> SafeString:
    return _badge(_STATE_LEVEL, State(state))


def _badge(levels: dict[Any, str], choice: Any) -> SafeString:
    return format_html(
        '<span class="badge badge--{}">{}</span>', levels[choice], str(choice.label).capitalize()
    )


@register.simple_tag
def story_link(story: StoryPage, place: Place) -> str:
    """The way to an entry: on this page, or on one that begins with it."""
    return f"#entry-{place}" if story.holds(place) else f"?from={place}#entry-{place}"

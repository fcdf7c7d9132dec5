"""The numbers behind a prediction, named and with their units, as its page shows them."""

from dataclasses import dataclass
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.text import capfirst

from predictions.forecasting.champions import name_in_words
from predictions.models import Prediction
from predictions.risk import percent
from sensors.unit_signs import with_unit
from sensors.wording import interval_in_words

Facts = dict[str, str]


@dataclass(frozen=True)
class Opinion:
    """P(failure) by so many days, in words: of both models, of their mixture, and as it was told."""

    days: str
    of_prophet: str
    of_companion: str
    mixed: str
    told: str


@dataclass(frozen=True)
class Competitor:
    """A forecaster in the contest of a sensor, and its mean error in the unit of the sensor."""

    name: str
    error: str
    standing: str


def facts_of(prediction: Prediction) -> Facts:
    """Level, limit, slopes, cycle, noise and certainty; what a prediction does not have is left out."""
    explanation = prediction.explanation or {}
    if "current_level" not in explanation:
        return {}
    unit = prediction.sensor.unit
    room = explanation["distance_to_limit"]
    facts = {
        "present level": with_unit(explanation["current_level"], unit),
        "limit": with_unit(prediction.limit_value, unit),
        "room to the limit": with_unit(room, unit)
        if room > 0
        else f"none, beyond by {with_unit(-room, unit)}",
    }
    if "slope_per_day" in explanation:
        facts |= _movement(explanation, unit)
    return facts | {"certainty": explanation["certainty"]}


def _movement(explanation: dict[str, Any], unit: str) -> Facts:
    return {
        "history used": f"{explanation['span_days']:.1f} days",
        "slope over that history": _slope(explanation["slope_per_day"], unit),
        "slope lately": _slope(explanation["slope_per_day_now"], unit),
        "share of daily and weekly cycles": percent(explanation["seasonal_share"]),
        "from lowest to highest of a cycle": _rounded(explanation["seasonal_swing"], unit),
        "scatter around the course (one standard deviation)": _rounded(explanation["noise_sd"], unit),
        "something unusual going on": "yes" if explanation.get("excursion") else "no",
    }


def opinions_on(prediction: Prediction) -> list[Opinion]:
    """What both models said, day by day; nothing for a prediction without models."""
    parts = (prediction.explanation or {}).get("probabilities")
    if not parts:
        return []
    companion = parts.get("of_drift_diffusion", {})
    return [
        Opinion(
            days=f"{days} d",
            of_prophet=percent(of_prophet),
            of_companion=percent(companion[days]) if days in companion else "not asked",
            mixed=percent(parts["before_recalibration"][days]),
            told=percent(prediction.probability_within(int(days))),
        )
        for days, of_prophet in sorted(parts["of_prophets_paths"].items(), key=lambda item: int(item[0]))
    ]


def competitors_of(prediction: Prediction) -> list[Competitor]:
    """The contest that decided who forecasts the next two weeks, the smallest error first."""
    contest = (prediction.explanation or {}).get("contest")
    if not contest:
        return []
    errors = contest["mean_errors"]
    unit = prediction.sensor.unit
    return [
        Competitor(capfirst(name_in_words(name)), _rounded(error, unit, digits=3), _standing(name, contest))
        for name, error in sorted(errors.items(), key=lambda item: item[1])
    ]


def _standing(name: str, contest: dict[str, Any]) -> str:
    if name == contest["winner"]:
        return "forecasts" if contest.get("replaced") else "forecasts, as before"
    return "lost its place" if name == contest.get("replaced") else ""


def inputs_of(prediction: Prediction) -> Facts:
    """What the readings were like that a prediction was made from, and what of them was left out."""
    quality = prediction.input_quality or {}
    if not quality:
        return {}
    facts = {"readings used": f"{intcomma(quality['used'])} of {intcomma(quality['readings'])}"}
    if prediction.data_to_at and prediction.cutoff_at:
        age_s = max((prediction.cutoff_at - prediction.data_to_at).total_seconds(), 0.0)
        facts["newest reading"] = f"{interval_in_words(round(age_s))} old, at the cut-off"
    if quality["buckets"]:
        length = interval_in_words(quality["bucket_s"])
        facts["summed up to"] = f"{intcomma(quality['buckets'])} medians of {length} each"
        facts["missing"] = f"{quality['gap_share']:.0%}".replace("%", " %") + " of these"
        facts["longest gap"] = (
            interval_in_words(quality["longest_gap_s"]) if quality["longest_gap_s"] else "none"
        )
        facts["left out as outliers"] = intcomma(quality["masked"])
    return facts | {name: intcomma(quality[key]) for key, name in LEFT_OUT.items() if quality.get(key)}


# Shown where there are any: most have none.
LEFT_OUT = {
    "not_a_number": "without a number",
    "before_last_repair": "from before the last repair",
    "before_look_back": "too old",
    "after_now": "from after the cut-off",
}


def _slope(per_day: float, unit: str) -> str:
    sign = "+" if per_day > 0 else ""
    return f"{sign}{_rounded(per_day, unit)} a day"


def _rounded(value: float, unit: str, digits: int = 2) -> str:
    return with_unit(float(f"{value:.{digits}g}"), unit)

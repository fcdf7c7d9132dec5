"""A forecast in sentences that a manager can check against the plot, with units."""

from dataclasses import dataclass

from predictions.forecasting.ahead import LookAhead
from predictions.forecasting.buckets import DAY_US, HOUR_S, SECOND_US
from predictions.forecasting.champions import Champion, name_in_words
from predictions.forecasting.failure_curve import FailureCurve
from predictions.forecasting.history import History
from predictions.forecasting.intervals_of_fleet import COMPARED_DAYS, PATH_DAYS
from predictions.forecasting.request import ForecastRequest, LimitTarget
from predictions.forecasting.result import HORIZON_DAYS
from predictions.risk import percent
from sensors.unit_signs import with_unit

LONG_HISTORY_DAYS = HORIZON_DAYS
SHORT_HISTORY_DAYS = 21
MANY_GAPS = 0.2
DAYS_TOLD = 30
SHARE_TOLD = 0.005
QUICK_HOURS = 72  # a rise of hours has no place in a trend of weeks; after some days it is part of it


@dataclass(frozen=True, slots=True)
class Certainty:
    """A word for how far to trust a forecast, with everything that speaks against it."""

    word: str
    reasons: list[str]

    def in_words(self) -> str:
        return f"Certainty: {self.word}. {' '.join(self.reasons)}"


def certainty_of(
    request: ForecastRequest, history: History, seen: LookAhead, *, cold_start: bool, excursion: str | None
) -> Certainty:
    """Good, moderate or low; what goes on right now, as the readings or a young anomaly tell, makes it low.

    An anomaly of days is part of the history that the forecast was made from, and one reason among others.
    """
    if cold_start:
        return Certainty("low", ["The drift is that of comparable equipment, not its own."])
    going_on = [] if excursion is None else [excursion]
    against = []
    if request.anomaly_since_us is not None:
        hours = (request.now_us - request.anomaly_since_us) / (HOUR_S * SECOND_US)
        told = f"An anomaly has been going on for {_hours_in_words(hours)}"
        if hours < QUICK_HOURS:
            going_on.append(f"{told}: how it goes on is not known from the past.")
        else:
            against.append(f"{told}.")
    if history.span_days < LONG_HISTORY_DAYS:
        against.append(
            f"The history of {history.span_days:.0f} days {history.since} is shorter than the {HORIZON_DAYS} days "
            "that are forecast."
        )
    gap_share = history.input_quality["gap_share"]
    if gap_share > MANY_GAPS:
        against.append(f"{gap_share:.0%} of the history is missing.")
    if seen.has_failed:
        against.append(
            "Comparing forecasters and the drift-diffusion failed; this is the forecast of Prophet's model alone."
        )
    reasons = going_on + against
    if going_on or history.span_days < SHORT_HISTORY_DAYS or len(reasons) > 1:
        return Certainty("low", reasons)
    if reasons:
        return Certainty("moderate", reasons)
    return Certainty("good", ["The history is long and complete, and nothing unusual is going on."])


@dataclass(frozen=True, slots=True, eq=False)
class Sentences:
    """What can be said of one limit; `figures` are those of the model (slopes per day, share of the season)."""

    request: ForecastRequest
    history: History
    limit: LimitTarget
    figures: dict[str, float]

    def measured(self, value: float) -> str:
        return with_unit(value, self.request.unit)

    def change(self, per_day: float) -> str:
        """A slope to two digits: "rose by 0.055 mm/s a day"."""
        size = float(f"{abs(per_day):.2g}")
        return (
            f"{'rose' if per_day > 0 else 'fell'} by {self.measured(size)} a day" if size else "did not move"
        )

    def of_level(self) -> str:
        room = self.limit.room(self.history.level)
        side = "below" if (self.limit.direction == "high") == (room >= 0) else "above"
        return (
            f"The level is {self.measured(self.history.level)}, {self.measured(abs(room))} {side} the limit of "
            f"{self.measured(self.limit.value)}."
        )

    def of_slope(self) -> str:
        now = self.figures["slope_per_day_now"]
        size = self.measured(float(f"{abs(now):.2g}"))
        return (
            f"Over the {self.history.span_days:.0f} days of readings {self.history.since} it "
            f"{self.change(self.figures['slope_per_day'])} on average; lately it {'rises' if now >= 0 else 'falls'} by "
            f"{size} a day."
        )

    def of_borrowed_drift(self) -> str:
        return (
            f"Cold start: only {self.history.span_days:.1f} days of own history {self.history.since}. It is taken to "
            f"move as comparable equipment does, which {self.change(self.figures['slope_per_day'])}."
        )

    def of_season(self) -> str:
        share = self.figures["seasonal_share"]
        if share < SHARE_TOLD:
            return ""
        swing = self.measured(float(f"{self.figures['seasonal_swing']:.2g}"))
        return (
            f"{percent(share)} of the movement is a daily or weekly cycle, of {swing} from lowest to highest."
        )

    def of_passage(self, curve: FailureCurve) -> str:
        share = percent(curve.by_days(HORIZON_DAYS))
        half_us = curve.quantile_us(0.5, now_us=self.request.now_us)
        if half_us is None:
            return f"The probability of passing the limit within {HORIZON_DAYS} days is {share}."
        days = (half_us - self.request.now_us) / DAY_US
        return (
            f"The probability of passing the limit reaches 50 % in {days:.0f} days and is {share} within "
            f"{HORIZON_DAYS} days."
        )

    def of_parts(self, curve: FailureCurve) -> str:
        """Both parts of the mixture by 30 days."""
        if curve.of_companion is None:
            return "This is the probability of Prophet's model alone."
        of_prophet, of_companion = curve.parts_by_days(DAYS_TOLD)
        return (
            f"Two models were asked: within {DAYS_TOLD} days {percent(of_prophet)} of the paths of Prophet's model "
            f"pass the limit; the drift-diffusion, which counts {percent(curve.companion_share)}, says "
            f"{percent(of_companion)}."
        )

    def of_recalibration(self) -> str:
        return self.request.recalibration.words

    def of_contest(self, champion: Champion) -> str:
        """Who forecasts the next days, whom it was compared with, and by how much who lost."""
        name = name_in_words(champion.name)
        told = f"The next {PATH_DAYS} days are forecast by {name}"
        errors = champion.mean_errors or {}
        if champion.name not in errors:
            return f"{told}: there were too few earlier moments to compare it with others."
        own = self.measured(errors[champion.name])
        ranked = sorted((error, other) for other, error in errors.items() if other != champion.name)
        compared = f"compared over {COMPARED_DAYS} days at earlier moments of this sensor"
        if champion.replaced:
            lost = self.measured(errors[champion.replaced])
            return (
                f"{told}, which took the place of {name_in_words(champion.replaced)}: {compared}, its mean error "
                f"was {own} against {lost}."
            )
        best_error, best = ranked[0]
        if best_error < errors[champion.name]:
            return (
                f"{told}, which keeps its place: {compared}, its mean error was {own}; that of "
                f"{name_in_words(best)}, {self.measured(best_error)}, is not so much smaller that it could not be "
                "chance."
            )
        return (
            f"{told}: {compared}, its mean error of {own} was the smallest; the next is {name_in_words(best)} with "
            f"{self.measured(best_error)}."
        )


def _hours_in_words(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"

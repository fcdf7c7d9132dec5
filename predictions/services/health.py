"""The part of machines' health that forecasts know: the worst of what is foretold for the next 30 days."""

from equipment.models import Equipment, Part
from equipment.services.health import HealthReport, report_health
from predictions.models import Prediction
from predictions.risk import percent
from predictions.services.newest import last_words
from sensors.models import Limit, Sensor
from smartmaint.accounts.models import Organization
from smartmaint.work import Tally


def report_forecasts(organization: Organization | None = None) -> Tally:
    """Report the forecasts of the machines (of one organisation, or of all)."""
    machines = Equipment.objects.for_one_or_all(organization)
    limits = Limit.objects.for_one_or_all(organization)
    sensors = Sensor.objects.for_one_or_all(organization)
    forecast = limits.active().filter(sensor__event_count=None)
    limited = set(forecast.values_list("sensor__equipment", flat=True))
    worst: dict[int, Prediction] = {}
    foretold = (
        last_words(limits, sensors)
        .select_related("sensor", "limit__failure_mode", "limit__sensor", "anomaly__limit__failure_mode")
        .defer("path", "settings", "input_quality", "explanation")
        .order_by("-is_already_beyond", "-p_30d", "pk")
    )
    for prediction in foretold:
        worst.setdefault(prediction.sensor.equipment_id, prediction)
    reports = [
        _report(key, worst.get(key), has_limits=key in limited)
        for key in machines.values_list("pk", flat=True)
    ]
    return Tally(settled=report_health(part=Part.FORECAST, reports=reports))


def _report(key: int, worst: Prediction | None, *, has_limits: bool) -> HealthReport:
    if worst is None:
        words = "There is not enough data for a forecast." if has_limits else "No sensor of it has a limit."
        return HealthReport(key, None, words)
    mode = worst.failure_mode.name
    if worst.is_already_beyond and worst.limit is not None:
        level = worst.limit.get_level_display()
        return HealthReport(key, 0.0, f"{worst.sensor.key} is beyond its {level} limit now: {mode}.")
    return HealthReport(
        key,
        100.0 * (1.0 - worst.p_30d),
        f"{percent(worst.p_30d)} within 30 days at its worst: {mode}, by {worst.sensor.key}.",
    )

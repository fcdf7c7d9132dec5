"""What earlier predictions taught the next ones: who won each sensor's last contest, and what came true.

Both are read as they were known at the moment of the forecast, so that it can be made again from the same rows.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.db.models.fields.json import KeyTransform

from predictions.forecasting.champions import Champion
from predictions.forecasting.recalibration import Recalibration, fit_recalibration
from predictions.forecasting.request import ForecastRequest
from predictions.models import Prediction, Trigger
from predictions.services.resolution_sql import FAILED_VERDICTS, TOLD_AHEAD, resolved
from sensors.models import Limit

# A champion that nothing was heard of for a week has its place no longer.
REMEMBERED = timedelta(days=7)
LEARNED_FROM = timedelta(days=180)
# A look-up each for a limit and a day: as many limits as are read within some seconds, once a day.
MOST_LIMITS = 2_000

# Counted is the first modelled prediction of each limit and day. What counts is the probability as it was before it was
# corrected, or a correction would learn from itself.
RESOLVED = f"""
    WITH subjects AS MATERIALIZED (
        SELECT limits.id AS limit_id, limits.sensor_id, limits.failure_mode_id, sensors.equipment_id
        FROM sensors_limit limits JOIN sensors_sensor sensors ON sensors.id = limits.sensor_id
        WHERE limits.organization_id = %(organization)s
        ORDER BY hashint8(limits.id) LIMIT %(most_limits)s
    ), failures AS MATERIALIZED (
        SELECT equipment_id, failure_mode_id, failed_at FROM equipment_failure
        WHERE organization_id = %(organization)s AND failed_at > %(oldest)s AND failed_at <= %(until)s
        UNION
        SELECT subjects.equipment_id, subjects.failure_mode_id, outcomes.happened_at
        FROM predictions_predictionoutcome outcomes
        JOIN predictions_prediction predictions ON predictions.id = outcomes.prediction_id
        JOIN subjects ON subjects.limit_id = predictions.limit_id
        WHERE outcomes.organization_id = %(organization)s AND outcomes.verdict = ANY(%(failed)s)
          AND outcomes.happened_at > %(oldest)s AND outcomes.happened_at <= %(until)s
    ), counted AS MATERIALIZED (
        SELECT subjects.*, earliest.*
        FROM subjects
        CROSS JOIN generate_series(%(oldest)s, %(until)s - interval '1 day', interval '1 day') AS days (begins_at)
        CROSS JOIN LATERAL (
            SELECT cutoff_at, p_7d, p_14d, p_30d, p_90d,
                   explanation #> '{{probabilities,before_recalibration}}' AS told
            FROM predictions_prediction
            WHERE limit_id = subjects.limit_id AND made_at >= days.begins_at
              AND made_at < days.begins_at + interval '1 day' AND status = 'made' AND NOT is_already_beyond
              AND model_name <> 'findings_after_anomalies'
            ORDER BY made_at LIMIT 1
        ) earliest
    ), followed AS (
        SELECT counted.*,
               (SELECT min(failed_at) FROM failures
                WHERE failures.equipment_id = counted.equipment_id
                  AND failures.failure_mode_id = counted.failure_mode_id
                  AND failures.failed_at > counted.cutoff_at) AS failed_at,
               (SELECT min(started_at) FROM sensors_baseline
                WHERE sensors_baseline.sensor_id = counted.sensor_id
                  AND started_at > counted.cutoff_at AND started_at <= %(until)s) AS repaired_at
        FROM counted
    )
    SELECT days, coalesce((told ->> days::text)::float, p), y = 1
    FROM followed
    CROSS JOIN LATERAL (
        SELECT days, p, ends_at, {resolved("ends_at")} AS y
        FROM (SELECT days, p, cutoff_at + days * interval '1 day' AS ends_at FROM {TOLD_AHEAD}) ends
    ) ahead
    WHERE ends_at <= %(until)s AND y IS NOT NULL
"""


def teach(
    requests: Sequence[ForecastRequest], waiting: Sequence[Sequence[Prediction]], *, cutoff_at: datetime
) -> list[ForecastRequest]:
    """The requests with what is known for each; `waiting` are the predictions that each is made for.

    Prophet's model competes where somebody waits for the answer, after an anomaly or a question: its fits at earlier
    moments cost several times the rest, too much for each hour of each sensor.
    """
    champions = last_champions([one.limit_id for some in waiting for one in some], cutoff_at=cutoff_at)
    return [
        replace(
            request,
            champion=next(
                (champions[one.limit_id] for one in some if one.limit_id in champions), request.champion
            ),
            with_prophet=any(one.trigger != Trigger.PERIOD for one in some),
            recalibration=learn_recalibration(some[0].organization_id, start_of_day(cutoff_at)),
        )
        for request, some in zip(requests, waiting, strict=True)
    ]


def last_champions(limits: Sequence[int], *, cutoff_at: datetime) -> dict[int, Champion]:
    """By limit, who won the contest that its last prediction names."""
    last = (
        Prediction.objects.made()
        .filter(
            limit=OuterRef("pk"),
            made_at__lt=cutoff_at,
            made_at__gte=cutoff_at - REMEMBERED,
            explanation__contest__winner__isnull=False,
        )
        .order_by("-made_at")
        .annotate(contest=KeyTransform("contest", "explanation"))
    )
    rows = Limit.objects.filter(pk__in=limits).annotate(contest=Subquery(last.values("contest")[:1]))
    return {
        limit_id: Champion.from_figures(contest)
        for limit_id, contest in rows.values_list("pk", "contest")
        if contest
    }


def start_of_day(moment: datetime) -> datetime:
    """Midnight, in UTC: what was known then is what a whole day of forecasts learns from."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


# More than an installation has organisations, or each batch would read the ledger anew; some hundred bytes each.
@lru_cache(maxsize=10_000)
def learn_recalibration(organization_id: int, until: datetime) -> Recalibration:
    """What an organisation's resolved predictions teach; reads the ledger once a day and process."""
    with connection.cursor() as cursor:
        cursor.execute(
            RESOLVED,
            {
                "organization": organization_id,
                "oldest": until - LEARNED_FROM,
                "until": until,
                "failed": list(FAILED_VERDICTS),
                "most_limits": MOST_LIMITS,
            },
        )
        rows = cursor.fetchall()
    days, probabilities, outcomes = zip(*rows, strict=True) if rows else ((), (), ())
    return fit_recalibration(
        np.array(probabilities, dtype=np.float64),
        np.array(outcomes, dtype=bool),
        np.array(days, dtype=np.float64),
    )

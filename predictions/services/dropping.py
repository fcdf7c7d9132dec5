"""The ledger's retention: of the hourly predictions of a time that has passed stay those that anything still counts."""

from datetime import datetime

import structlog
from django.db import connection

from predictions.forecasting.after_anomaly import MODEL_NAME as FOUND_AFTER_ANOMALIES
from predictions.services.scoring import FORETOLD_FROM
from predictions.signals import predictions_dropped
from smartmaint.accounts.models import Organization

log = structlog.get_logger(__name__)

# The higher, the more can take its place: recalibration counts the first of a day that is from a model.
_RANK = """
    CASE WHEN {of}.status <> 'made' THEN 0
         WHEN {of}.is_already_beyond OR {of}.model_name = %(found_after_anomalies)s THEN 1 ELSE 2 END
"""
# A day is one of UTC and of the organisation too: what counts the first of either finds it. A failure counts as
# foretold when any loud prediction before it was followed by no repair: whatever failed, one of two loud ones around
# another, without a repair since the first, foretold it as well. The newest word on a limit is the one that holds.
_SPARE = f"""
    SELECT told.id FROM sensors_limit limits
    JOIN accounts_organization organization ON organization.id = limits.organization_id
    CROSS JOIN LATERAL (
        SELECT * FROM predictions_prediction
        WHERE limit_id = limits.id AND made_at > %(after)s AND made_at <= %(until)s
          AND status <> 'pending' AND trigger = 'period' AND anomaly_id IS NULL
    ) told
    CROSS JOIN LATERAL (
        SELECT greatest(
            date_trunc('day', told.made_at, 'UTC'), date_trunc('day', told.made_at, organization.time_zone)
        ) AS begins_at
    ) day
    WHERE limits.organization_id = %(organization)s
      AND EXISTS (
          SELECT FROM predictions_prediction earlier
          WHERE earlier.limit_id = limits.id
            AND earlier.made_at >= day.begins_at AND earlier.made_at < told.made_at
            AND {_RANK.format(of="earlier")} >= {_RANK.format(of="told")}
      )
      AND EXISTS (
          SELECT FROM predictions_prediction later
          WHERE later.limit_id = limits.id AND later.made_at > told.made_at
      )
      AND (
          told.p_90d IS NULL OR told.p_90d < %(foretold_from)s
          OR EXISTS (
              SELECT FROM predictions_prediction earlier
              WHERE earlier.limit_id = limits.id
                AND earlier.made_at >= day.begins_at AND earlier.made_at < told.made_at
                AND earlier.status = 'made' AND earlier.p_90d >= %(foretold_from)s
                AND NOT EXISTS (
                    SELECT FROM sensors_baseline repair
                    WHERE repair.sensor_id = told.sensor_id
                      AND repair.started_at > earlier.cutoff_at AND repair.started_at <= told.cutoff_at
                )
          ) AND EXISTS (
              SELECT FROM predictions_prediction later
              WHERE later.limit_id = limits.id
                AND later.made_at > told.made_at AND later.made_at < day.begins_at + interval '1 day'
                AND later.status = 'made' AND later.p_90d >= %(foretold_from)s
          )
      )
      AND NOT EXISTS (
          SELECT FROM predictions_predictionoutcome outcome
          WHERE outcome.prediction_id = told.id AND (outcome.verdict <> '' OR outcome.happened_at IS NULL)
      )
    ORDER BY told.id
"""
_DROP_OUTCOMES = """
    DELETE FROM predictions_predictionoutcome WHERE id IN (
        SELECT id FROM predictions_predictionoutcome
        WHERE prediction_id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE
    )
"""
_DROP = "DELETE FROM predictions_prediction WHERE id = ANY(%s::bigint[])"
# The ledger lets its rows go only while this is on.
_PURGING = "SELECT set_config('smartmaint.purging', %s, true)"


def drop_spare_predictions(organization: Organization, *, after: datetime, until: datetime) -> int:
    """Delete what nothing counts of the hourly predictions made in that time, whose horizons have passed.

    What an anomaly or a person asked for stays, and what people found something about, or are to. Returns how many
    went. Runs in the caller's transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _SPARE,
            {
                "organization": organization.pk,
                "after": after,
                "until": until,
                "foretold_from": FORETOLD_FROM,
                "found_after_anomalies": FOUND_AFTER_ANOMALIES,
            },
        )
        spare = [pk for (pk,) in cursor.fetchall()]
        if spare:
            predictions_dropped.send(sender=Organization, predictions=spare)
            cursor.execute(_PURGING, ["on"])
            cursor.execute(_DROP_OUTCOMES, [spare])
            cursor.execute(_DROP, [spare])
            cursor.execute(_PURGING, ["off"])
            log.info("predictions_dropped", organization=organization.pk, rows=len(spare))
    return len(spare)

"""The statements behind `accuracy`: rows of a kind ("scores", "results", "coverage") and JSON with their sums.

Parameters: organizations, class_code and version (empty for all), begin and now of the period, oldest (what was made
before is not looked at), is_true and is_false (verdicts).
"""

from predictions.services.resolution_sql import FAILED_VERDICTS, TOLD_AHEAD, resolved

_FAILED = ", ".join(f"'{verdict}'" for verdict in FAILED_VERDICTS)

# In whole days ahead: hours up to the first edge are of class 0, and so on.
AHEAD_EDGES_D = (2, 14)

LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', %s, true)"

_NEXT_OF_LIMIT = """
    SELECT id, made_at, cutoff_at, horizon_days, p_7d, p_14d, p_30d, p_90d, model_name, model_version
    FROM predictions_prediction
    WHERE limit_id = {limit_id} AND made_at >= {after} AND made_at <= %(now)s AND status = 'made'
    ORDER BY made_at LIMIT 1
"""

_DAY_OF_OLDEST = """
    (date_trunc('day', %(oldest)s AT TIME ZONE subjects.time_zone) AT TIME ZONE subjects.time_zone)
"""

# counted: from the first of a limit's day by the index to the first of its next one, however many lie between. The day
# of `oldest` is taken whole: the first after that moment would be one that the ledger's retention may take.
# happened and repairs: each with the moment before it, so that the next one of a prediction is found by a hash join.
# findings: what people said, of all predictions, not only of counted ones: the one that a task was made of is seldom
# the first of its day. One finding is one moment of one machine and mode, however many predictions joined its task.
# A verdict that says nothing (duplicate, deferred, not inspected) is none.
_FOLLOWED = f"""
    WITH RECURSIVE subjects AS MATERIALIZED (
        SELECT limits.id AS limit_id, limits.organization_id, limits.sensor_id, limits.failure_mode_id,
               sensors.equipment_id, classes.code AS class_code, organizations.time_zone
        FROM sensors_limit limits
        JOIN accounts_organization organizations ON organizations.id = limits.organization_id
        JOIN sensors_sensor sensors ON sensors.id = limits.sensor_id
        JOIN equipment_equipment machines ON machines.id = sensors.equipment_id
        JOIN equipment_equipmentclass classes ON classes.id = machines.equipment_class_id
        WHERE limits.organization_id = ANY(%(organizations)s) AND %(class_code)s IN ('', classes.code)
    ), counted AS (
        SELECT subjects.limit_id, subjects.time_zone, earliest.*
        FROM subjects
        CROSS JOIN LATERAL ({
    _NEXT_OF_LIMIT.format(limit_id="subjects.limit_id", after=_DAY_OF_OLDEST)
}) earliest
        UNION ALL
        SELECT counted.limit_id, counted.time_zone, following.*
        FROM counted
        CROSS JOIN LATERAL (
            SELECT (date_trunc('day', counted.made_at AT TIME ZONE counted.time_zone) + interval '1 day')
                   AT TIME ZONE counted.time_zone AS starts_at
        ) tomorrow
        CROSS JOIN LATERAL ({
    _NEXT_OF_LIMIT.format(limit_id="counted.limit_id", after="tomorrow.starts_at")
}) following
    ), findings AS MATERIALIZED (
        SELECT outcomes.prediction_id, outcomes.verdict, outcomes.happened_at, predictions.made_at,
               subjects.equipment_id, subjects.failure_mode_id,
               concat(predictions.model_name, ' ', predictions.model_version) AS version
        FROM predictions_predictionoutcome outcomes
        JOIN predictions_prediction predictions ON predictions.id = outcomes.prediction_id
        JOIN subjects ON subjects.limit_id = predictions.limit_id
        WHERE outcomes.organization_id = ANY(%(organizations)s)
          AND outcomes.verdict = ANY(%(is_true)s || %(is_false)s)
          AND outcomes.happened_at > %(oldest)s AND outcomes.happened_at <= %(now)s
          AND predictions.status = 'made' AND outcomes.happened_at > predictions.cutoff_at
    ), happened AS MATERIALIZED (
        SELECT row_number() OVER () AS happened_id, equipment_id, failure_mode_id, failed_at,
               lag(failed_at, 1, '-infinity') OVER (PARTITION BY equipment_id, failure_mode_id ORDER BY failed_at)
               AS after_at
        FROM (
            SELECT equipment_id, failure_mode_id, failed_at FROM equipment_failure
            WHERE organization_id = ANY(%(organizations)s) AND failed_at > %(oldest)s AND failed_at <= %(now)s
            UNION
            SELECT equipment_id, failure_mode_id, happened_at FROM findings
            WHERE verdict IN ({_FAILED})
        ) told
    ), repairs AS MATERIALIZED (
        SELECT sensor_id, started_at,
               lag(started_at, 1, '-infinity') OVER (PARTITION BY sensor_id ORDER BY started_at) AS after_at
        FROM sensors_baseline
        WHERE organization_id = ANY(%(organizations)s) AND started_at > %(oldest)s AND started_at <= %(now)s
    ), followed AS MATERIALIZED (
        SELECT counted.id, counted.limit_id, counted.made_at, counted.cutoff_at, counted.horizon_days,
               counted.p_7d, counted.p_14d, counted.p_30d, counted.p_90d,
               concat(counted.model_name, ' ', counted.model_version) AS version,
               subjects.organization_id, subjects.sensor_id, subjects.equipment_id, subjects.failure_mode_id,
               subjects.class_code, repairs.started_at AS repaired_at, happened.happened_id,
               -- What failed after the repair is another machine's failure.
               CASE WHEN repairs.started_at IS NULL OR happened.failed_at <= repairs.started_at
                    THEN happened.failed_at END AS failed_at
        FROM counted
        JOIN subjects USING (limit_id)
        LEFT JOIN happened ON happened.equipment_id = subjects.equipment_id
            AND happened.failure_mode_id = subjects.failure_mode_id
            AND counted.cutoff_at >= happened.after_at AND counted.cutoff_at < happened.failed_at
        LEFT JOIN repairs ON repairs.sensor_id = subjects.sensor_id
            AND counted.cutoff_at >= repairs.after_at AND counted.cutoff_at < repairs.started_at
        WHERE %(version)s IN ('', concat(counted.model_name, ' ', counted.model_version))
    )
"""

_GROUPED = """
    CASE WHEN GROUPING({first}) = 0 THEN '{name}'
         WHEN GROUPING(organization_id) = 0 THEN 'organization'
         WHEN GROUPING(class_code) = 0 THEN 'class'
         WHEN GROUPING(version) = 0 THEN 'version' ELSE 'all' END
"""

# First summed by stretch, of which there are few, so that counting distinct ones sorts little.
_SCORES = f"""
    judged AS (
        SELECT followed.*, ahead.days, ahead.p,
               {resolved("cutoff_at + ahead.span")} AS y
        FROM followed
        CROSS JOIN LATERAL (
            SELECT days, p, days * interval '1 day' AS span
            FROM {TOLD_AHEAD}
        ) ahead
        WHERE cutoff_at + ahead.span <= %(now)s AND cutoff_at + ahead.span > %(begin)s
    ), stretches AS MATERIALIZED (
        SELECT days, organization_id, class_code, version, limit_id,
               limit_id * 100000 + floor(extract(epoch FROM cutoff_at) / (86400 * days))::bigint AS stretch,
               least(floor(p * %(bins)s)::int, %(bins)s - 1) AS bin,
               CASE WHEN y = 1 THEN happened_id END AS happened_id,
               count(y) AS resolved, coalesce(sum(y), 0) AS failed, count(*) - count(y) AS censored,
               coalesce(sum(p) FILTER (WHERE y IS NOT NULL), 0) AS foretold,
               coalesce(sum((p - y) ^ 2), 0) AS squared_error
        FROM judged
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), scores AS (
        SELECT days, {_GROUPED.format(first="bin", name="bin")} AS part, bin, organization_id, class_code, version,
               sum(resolved) AS resolved, sum(failed) AS failed, sum(foretold) AS probability,
               sum(squared_error) AS squared_error, sum(censored) AS censored,
               count(DISTINCT limit_id) FILTER (WHERE resolved > 0) AS limits,
               count(DISTINCT stretch) FILTER (WHERE resolved > 0) AS stretches,
               count(DISTINCT happened_id) AS failures
        FROM stretches
        GROUP BY GROUPING SETS ((days), (days, bin), (days, organization_id), (days, class_code), (days, version))
    )
"""

# A failure that nothing foretold is counted by `missed`, in `accuracy`.
_RESULTS = """
    undecided_by_people AS (
        SELECT followed.*, cutoff_at + horizon_days * interval '1 day' AS ends_at
        FROM followed WHERE NOT EXISTS (SELECT FROM findings WHERE findings.prediction_id = followed.id)
    ), true_positives AS (
        SELECT extract(epoch FROM happened_at - min(made_at)) AS lead_s
        FROM (
            SELECT equipment_id, failure_mode_id, happened_at, made_at FROM findings
            WHERE verdict = ANY(%(is_true)s) AND %(version)s IN ('', version)
            UNION ALL
            SELECT equipment_id, failure_mode_id, failed_at, made_at FROM undecided_by_people
            WHERE failed_at <= ends_at AND p_90d >= %(foretold_from)s
        ) foretold
        WHERE happened_at > %(begin)s
        GROUP BY equipment_id, failure_mode_id, happened_at
    ), quiet AS (
        SELECT count(*) FILTER (WHERE repaired_at <= ends_at AND repaired_at > %(begin)s) AS censored,
               count(*) FILTER (WHERE is_over AND ends_at > %(begin)s) AS true_negatives,
               count(*) FILTER (WHERE is_over AND ends_at > %(begin)s AND p_90d >= %(foretold_from)s) AS loud,
               count(*) FILTER (WHERE repaired_at IS NULL AND ends_at > %(now)s) AS undecided
        FROM (
            SELECT *, ends_at <= %(now)s AND (repaired_at IS NULL OR repaired_at > ends_at) AS is_over
            FROM undecided_by_people WHERE failed_at IS NULL OR failed_at > ends_at
        ) without_failure
    ), results AS (
        SELECT (SELECT coalesce(array_agg(greatest(lead_s, 0)::float ORDER BY lead_s), '{}') FROM true_positives)
               AS leads_s,
               (SELECT count(DISTINCT (equipment_id, failure_mode_id, happened_at)) FROM findings
                WHERE verdict = ANY(%(is_false)s) AND %(version)s IN ('', version) AND happened_at > %(begin)s)
               AS false_positives,
               true_negatives, loud, censored, undecided
        FROM quiet
    )
"""

# The hour is looked up point by point: a plan that read all rollups would grow with the plant, not with the paths.
_COVERAGE = f"""
    weekly AS (
        SELECT DISTINCT ON (sensor_id, date_trunc('week', cutoff_at, 'UTC'))
               id, sensor_id, organization_id, class_code, version, cutoff_at,
               least(repaired_at, %(now)s) AS compared_until
        FROM followed
        ORDER BY sensor_id, date_trunc('week', cutoff_at, 'UTC'), cutoff_at, id
    ), drawn AS MATERIALIZED (
        SELECT * FROM weekly WHERE cutoff_at < compared_until ORDER BY hashint8(id) LIMIT %(most_paths)s
    ), compared AS MATERIALIZED (
        SELECT drawn.id, drawn.organization_id, drawn.class_code, drawn.version,
               (foretold.started_at > drawn.cutoff_at + interval '{AHEAD_EDGES_D[0]} days')::int
               + (foretold.started_at > drawn.cutoff_at + interval '{AHEAD_EDGES_D[1]} days')::int AS ahead,
               hours.mean BETWEEN points.p05::float AND points.p95::float AS is_inside_90,
               hours.mean BETWEEN points.p10::float AND points.p90::float AS is_inside_80
        FROM drawn
        JOIN predictions_prediction predictions ON predictions.id = drawn.id
        CROSS JOIN LATERAL ROWS FROM (
            jsonb_array_elements_text(predictions.path -> 'ts_us'),
            jsonb_array_elements_text(predictions.path -> 'quantiles' -> 'p05'),
            jsonb_array_elements_text(predictions.path -> 'quantiles' -> 'p10'),
            jsonb_array_elements_text(predictions.path -> 'quantiles' -> 'p90'),
            jsonb_array_elements_text(predictions.path -> 'quantiles' -> 'p95')
        ) AS points (ts_us, p05, p10, p90, p95)
        CROSS JOIN LATERAL (
            SELECT date_trunc('hour', to_timestamp(points.ts_us::float / 1000000), 'UTC') AS started_at
        ) foretold
        CROSS JOIN LATERAL (
            SELECT mean FROM sensors_hourlyrollup
            WHERE sensor_id = drawn.sensor_id AND started_at = foretold.started_at
            LIMIT 1
        ) hours
        WHERE foretold.started_at >= drawn.cutoff_at AND foretold.started_at > %(begin)s
          AND foretold.started_at + interval '1 hour' <= drawn.compared_until
    ), coverage AS (
        SELECT {_GROUPED.format(first="ahead", name="ahead")} AS part, ahead, organization_id, class_code, version,
               count(DISTINCT id) AS paths, count(*) AS hours,
               count(*) FILTER (WHERE is_inside_90) AS inside_90, count(*) FILTER (WHERE is_inside_80) AS inside_80
        FROM compared
        GROUP BY GROUPING SETS ((), (ahead), (organization_id), (class_code), (version))
    )
"""

SCORES = f"{_FOLLOWED}, {_SCORES} SELECT 'scores', to_jsonb(scores) FROM scores"
# All in one: finding the counted predictions is half of the work.
ALL = f"""
    {_FOLLOWED}, {_SCORES}, {_RESULTS}, {_COVERAGE}
    SELECT 'scores', to_jsonb(scores) FROM scores
    UNION ALL SELECT 'results', to_jsonb(results) FROM results
    UNION ALL SELECT 'coverage', to_jsonb(coverage) FROM coverage
"""

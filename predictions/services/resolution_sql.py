"""When a prediction is resolved, and by what: one rule for the page of accuracy and for what the next ones learn.

A failure within so many days of the cut-off is 1. A repair before it, and within them, hides what would have been:
null. Otherwise 0. What failed after the repair is another machine's failure. That the days have passed is for the
statement to ask.
"""

TOLD_AHEAD = "(VALUES (7, p_7d), (14, p_14d), (30, p_30d), (90, p_90d)) AS told_ahead (days, p)"
FAILED_VERDICTS = ("confirmed_as_predicted", "failed_before_repair")

_RESOLVED = """
    CASE WHEN failed_at <= {ends_at} AND (repaired_at IS NULL OR failed_at <= repaired_at) THEN 1
         WHEN repaired_at <= {ends_at} THEN NULL ELSE 0 END
"""


def resolved(ends_at: str) -> str:
    """The rule as an expression on the columns `failed_at` and `repaired_at`, by the moment `ends_at`."""
    return _RESOLVED.format(ends_at=ends_at)

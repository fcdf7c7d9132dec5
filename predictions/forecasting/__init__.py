"""When will a series cross its limit?  Numbers in, numbers out: no database, no Django.

The one entry is `forecast`, which takes many series at once:

    raw readings -> buckets -> outlier mask -> guards -> fit -> futures -> first passage -> Forecast

`fitting.fit_all` is the only place that turns histories into models; everything after it works on
`LatentModel`.
"""

from predictions.forecasting.fleet import forecast
from predictions.forecasting.request import BorrowedBehaviour, ForecastRequest, LimitTarget, borrow_behaviour
from predictions.forecasting.result import DAYS_AHEAD, HORIZON_DAYS, Forecast, ForecastError, SeriesResult

__all__ = [
    "DAYS_AHEAD",
    "HORIZON_DAYS",
    "BorrowedBehaviour",
    "Forecast",
    "ForecastError",
    "ForecastRequest",
    "LimitTarget",
    "SeriesResult",
    "borrow_behaviour",
    "forecast",
]

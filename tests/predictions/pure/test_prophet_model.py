import logging
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from prophet import Prophet

from predictions.forecasting.buckets import DAY_US, HOUR_S
from predictions.forecasting.guards import seasons_shown
from predictions.forecasting.history import History, read_history
from predictions.forecasting.prophet_model import CHANGEPOINT_PRIOR_SCALE, fit_prophet
from tests.predictions.pure.series import ask, days_before_now, high, noise, times

TS_US = times(days=30, step_s=2 * HOUR_S)
VALUES = (
    60
    + 0.3 * days_before_now(TS_US)
    + 4 * np.sin(2 * np.pi * TS_US / DAY_US)
    + np.cos(2 * np.pi * TS_US / (7 * DAY_US))
    + noise(len(TS_US), sd=0.5)
)


def history_of(values: np.ndarray) -> History:
    return read_history(ask(TS_US, values, high(100), expected_interval_s=2 * HOUR_S))


def test_the_fit_is_prophets_own_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    history = history_of(VALUES)
    before = np.random.get_state()[1].tolist()
    with caplog.at_level(logging.INFO):
        model = fit_prophet(history, seasons=seasons_shown(history), seed=3)
    assert list(tmp_path.iterdir()) == []
    assert [record.name for record in caplog.records if record.name == "cmdstanpy"] == []
    assert np.random.get_state()[1].tolist() == before

    reference = Prophet(
        scaling="minmax",
        changepoint_prior_scale=CHANGEPOINT_PRIOR_SCALE,
        uncertainty_samples=0,
        daily_seasonality=4,
        weekly_seasonality=3,
        yearly_seasonality=False,
    )
    reference.fit(pd.DataFrame({"ds": pd.to_datetime(history.ts_us, unit="us"), "y": history.values}), seed=3)
    ts_us = np.concatenate(
        (history.ts_us[::10], history.ts_us[-1] + np.arange(1, 61) * (DAY_US + DAY_US // 8))
    )
    expected = reference.predict(pd.DataFrame({"ds": pd.to_datetime(ts_us, unit="us")}))["yhat"]
    np.testing.assert_allclose(
        model.trend(ts_us) + sum(curve.at(ts_us) for curve in model.seasons), expected, atol=0.02
    )
    assert model.figures()["slope_per_day"] == pytest.approx(0.3, abs=0.03)
    assert model.figures()["seasonal_swing"] == pytest.approx(10.0, abs=1.0)
    assert model.noise_sd == pytest.approx(
        reference.params["sigma_obs"].item() * np.ptp(history.values), rel=0.01
    )


def test_kelvin_and_celsius_have_the_same_future() -> None:
    celsius, kelvin = (
        fit_prophet(history_of(VALUES + offset), seasons=seasons_shown(history_of(VALUES)), seed=3)
        for offset in (0, 273.15)
    )
    ts_us = TS_US[-1] + np.arange(1, 91) * DAY_US
    np.testing.assert_allclose(kelvin.trend(ts_us) - 273.15, celsius.trend(ts_us), atol=0.01)

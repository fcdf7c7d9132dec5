import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
import pytest

from predictions.forecasting import fitting
from predictions.forecasting.buckets import DAY_S, DAY_US
from predictions.forecasting.fleet import forecast
from predictions.forecasting.history import History
from predictions.forecasting.latent import TrendSeason
from predictions.forecasting.request import BorrowedBehaviour, ForecastRequest
from predictions.forecasting.result import Forecast, ForecastError
from tests.predictions.pure.series import HOUR_US, NOW_US, ask, days_before_now, high, low, noise, times

HOURLY = times(days=40)
# 60 now, 0.5 a day: reaches 75 in 30 days
RISING = 60 + 0.5 * days_before_now(HOURLY) + noise(len(HOURLY), sd=1)
FANS = BorrowedBehaviour(
    drift_per_day=1.0, drift_per_day_sd=0.1, noise_sd=0.5, source="eight fans of the plant"
)


def only(request: ForecastRequest) -> Forecast:
    [[made]] = forecast([request])
    return made


def days_ahead(instant_us: int | None) -> float | None:
    return None if instant_us is None else (instant_us - NOW_US) / DAY_US


@pytest.fixture(scope="module")
def rising() -> list[Forecast]:
    [made] = forecast([ask(HOURLY, RISING, high(75), low(20), high(59.5))])
    return made


def test_a_rising_line_crosses_when_it_should(rising: list[Forecast]) -> None:
    made = rising[0]
    assert (made.status, made.model, made.already_beyond) == ("made", "prophet", False)
    assert days_ahead(made.crossing_p50_us) == pytest.approx(30, abs=3)
    assert made.crossing_p10_us <= made.crossing_p50_us <= made.crossing_p90_us
    assert (made.probability[1], made.probability[7]) == (0.0, 0.0)
    of_paths = made.explanation["probabilities"]["of_prophets_paths"]
    assert (of_paths["1"], of_paths["14"], of_paths["90"]) == (0.0, 0.0, 1.0)
    assert made.probability[14] < 1e-4
    assert made.probability[90] > 0.98
    assert made.explanation["slope_per_day"] == pytest.approx(0.5, abs=0.03)
    assert made.explanation["cold_start"] is False
    assert made.explanation["distance_to_limit"] == pytest.approx(15, abs=1.5)
    assert (made.n_points, made.bucket_s) == (961 - made.n_masked, 3600)
    assert (made.data_from_us, made.data_to_us) == (HOURLY[0], NOW_US)


def test_the_limits_of_a_series_share_one_fit(rising: list[Forecast]) -> None:
    upper, lower, _ = rising
    assert lower.path_quantiles is upper.path_quantiles
    assert lower.probability == {1: 0.0, 7: 0.0, 14: 0.0, 30: 0.0, 90: 0.0}
    assert lower.crossing_p10_us is None


def test_a_limit_already_crossed_is_certain_beside_one_that_is_forecast(rising: list[Forecast]) -> None:
    crossed = rising[2]
    assert RISING[-1] >= 59.5
    assert (crossed.model, crossed.already_beyond) == ("observed", True)
    assert crossed.probability == {1: 1.0, 7: 1.0, 14: 1.0, 30: 1.0, 90: 1.0}
    assert crossed.crossing_p10_us == crossed.crossing_p50_us == crossed.crossing_p90_us == NOW_US


def test_bands_are_ordered_and_hold_the_noise(rising: list[Forecast]) -> None:
    bands = np.array([rising[0].path_quantiles[name] for name in ("p05", "p10", "p50", "p90", "p95")])
    assert bands.shape == (5, len(rising[0].path_ts_us)) == (5, 61)
    assert (np.diff(bands, axis=0) > 0).all()
    # Fourteen origins of two days cannot tell a standard deviation exactly, and Student's factor allows for that.
    assert 2 * 1.645 < bands[4, 0] - bands[0, 0] < 1.25 * 2 * 1.645


def test_forecasts_are_plain_and_store_as_json(rising: list[Forecast]) -> None:
    for made in rising:
        stored = json.loads(json.dumps(asdict(made), allow_nan=False))
        assert stored["probability"]["30"] == made.probability[30]


def test_the_same_seed_gives_the_same_forecast(rising: list[Forecast]) -> None:
    [again] = forecast([ask(HOURLY, RISING, high(75), low(20), high(59.5))])
    assert [asdict(made) for made in again] == [asdict(made) for made in rising]


def test_an_outlier_does_not_move_the_forecast(rising: list[Forecast]) -> None:
    values = RISING.copy()
    values[900] *= 10
    made = only(ask(HOURLY, values, high(75)))
    assert made.n_masked == rising[0].n_masked + 1
    assert days_ahead(made.crossing_p50_us) == pytest.approx(days_ahead(rising[0].crossing_p50_us), abs=0.5)


def test_gaps_missing_values_and_irregular_times_do_not_matter() -> None:
    rng = np.random.default_rng(4)
    ts_us = np.sort(NOW_US - rng.integers(0, 40 * DAY_US, size=4_000))
    ts_us = ts_us[(ts_us < NOW_US - 20 * DAY_US) | (ts_us > NOW_US - 16 * DAY_US)]
    values = 60 + 0.5 * days_before_now(ts_us) + noise(len(ts_us), sd=1)
    values[::9] = np.nan
    made = only(ask(ts_us, values, high(75)))
    assert days_ahead(made.crossing_p50_us) == pytest.approx(30, abs=4)
    of_paths = made.explanation["probabilities"]["of_prophets_paths"]
    assert (of_paths["14"], of_paths["90"]) == (0.0, 1.0)
    assert made.input_quality["not_a_number"] == len(values[::9])
    assert made.input_quality["gap_share"] == pytest.approx(0.12, abs=0.03)


def test_over_several_machines_with_gaps_the_date_is_right_in_the_mean() -> None:
    """40 days of history: the drift-diffusion believes in a drift a little late, by a day or two."""
    rng = np.random.default_rng(4)
    ts_us = np.sort(NOW_US - rng.integers(0, 40 * DAY_US, size=4_000))
    line = 60 + 0.5 * days_before_now(ts_us)
    asked = [
        ask(ts_us, line + noise(len(ts_us), sd=1, seed=seed), high(75), key=str(seed)) for seed in range(8)
    ]
    dates = [days_ahead(made.crossing_p50_us) for [made] in forecast(asked)]
    assert np.mean(dates) == pytest.approx(30, abs=2)
    assert np.std(dates) < 1.5


def test_a_healthy_series_with_a_daily_cycle_stays_unlikely_to_fail() -> None:
    values = 50 + 5 * np.sin(2 * np.pi * HOURLY / DAY_US) + noise(len(HOURLY), sd=1)
    made = only(ask(HOURLY, values, high(70)))
    assert made.probability[30] < 1e-5
    assert made.probability[90] <= 0.03
    assert made.explanation["probabilities"]["of_prophets_paths"]["90"] == 0.0
    assert made.explanation["seasonal_share"] > 0.8


def test_a_falling_series_crosses_a_low_limit() -> None:
    values = (
        40 + 0.01 * days_before_now(HOURLY) ** 2 - 0.5 * days_before_now(HOURLY) + noise(len(HOURLY), sd=0.5)
    )
    made = only(ask(HOURLY, values, low(30)))
    assert days_ahead(made.crossing_p50_us) == pytest.approx(20, abs=8)
    assert made.explanation["slope_per_day_now"] < 0


def test_a_repair_starts_a_new_history() -> None:
    ts_us = times(days=100)
    ages = days_before_now(ts_us)
    repaired = NOW_US - 20 * DAY_US
    values = np.where(ts_us < repaired, 60 + 0.4 * (ages + 100), 60.0) + noise(len(ts_us), sd=0.5)
    made = only(ask(ts_us, values, high(95), regime_started_us=repaired))
    assert made.data_from_us == repaired
    assert made.explanation["slope_per_day"] == pytest.approx(0.0, abs=0.02)
    assert made.probability[30] == 0.0
    assert "since the last repair" in made.explanation["words"]


def test_a_series_too_young_borrows_how_its_kind_drifts() -> None:
    ts_us = times(days=1)
    made = only(ask(ts_us, 50 + noise(25, sd=0.1), high(80), borrowed=FANS))
    assert (made.status, made.model) == ("made", "borrowed_drift")
    assert made.explanation["cold_start"] is True
    assert "Cold start" in made.explanation["words"]
    assert made.settings["model"]["source"] == "eight fans of the plant"
    assert days_ahead(made.crossing_p50_us) == pytest.approx(30, abs=1)
    assert days_ahead(made.crossing_p10_us) == pytest.approx(30 / 1.128, abs=1.5)


def test_a_series_too_young_with_nothing_to_borrow_says_so() -> None:
    made = only(ask(times(days=1), np.full(25, 50.0), high(80)))
    assert made.status == "not_possible"
    assert made.reason == (
        "Only 25 points in the last 365 days; 30 are needed. No comparable equipment to borrow a drift from."
    )
    assert (made.probability, made.path_ts_us, made.crossing_p50_us) == ({}, [], None)


def test_one_reading_beyond_the_limit_is_enough() -> None:
    made = only(ask(np.array([NOW_US]), np.array([80.0]), high(80)))
    assert (made.status, made.already_beyond, made.probability[1]) == ("made", True, 1.0)


def test_one_high_reading_is_not_beyond_a_limit_with_an_on_delay() -> None:
    values = np.full(len(HOURLY), 50.0)
    values[-1] = 90.0
    made = only(ask(HOURLY, values, replace(high(80), on_delay_s=600.0)))
    assert (made.status, made.already_beyond) == ("made", False)
    assert made.probability[30] < 0.5


def test_a_stale_reading_beyond_the_limit_is_not_the_present() -> None:
    made = only(ask(HOURLY - 10 * HOUR_US, np.full(len(HOURLY), 90.0), high(80)))
    assert (made.status, made.already_beyond) == ("not_possible", False)
    assert "10.0 hours old" in made.reason


def test_no_reading_at_all_is_not_possible() -> None:
    made = only(ask(np.array([], dtype=np.int64), np.array([]), high(80), expected_interval_s=float(DAY_S)))
    assert (made.status, made.n_points, made.data_to_us) == ("not_possible", 0, None)


def test_a_constant_series_needs_no_fit() -> None:
    made = only(ask(HOURLY, np.full(len(HOURLY), 50.0), high(80)))
    assert (made.model, made.probability[90], made.crossing_p10_us) == ("constant", 0.0, None)
    assert set(made.path_quantiles["p95"]) == {50.0}


def test_a_failing_series_does_not_stop_the_others() -> None:
    healthy = np.full(len(HOURLY), 50.0)
    failed, [made] = forecast(
        [ask(HOURLY, healthy, high(80), key="bad", seed=-1), ask(HOURLY, healthy, high(80), key="good")]
    )
    assert isinstance(failed, ForecastError)
    assert failed.key == "bad"
    assert failed.message.startswith("ValueError: expected non-negative integer")
    assert made.status == "made"


def test_a_series_that_breaks_the_solver_alone_is_left_to_prophet(monkeypatch, caplog) -> None:
    """No input is known that does; a defect must not send a whole fleet to Prophet, which takes minutes for it."""
    solve, solved = fitting.fit_together, []

    def breaks(histories: Sequence[History], **seasons: object) -> list[TrendSeason | None]:
        if any(len(history.values) < 800 for history in histories):
            raise np.linalg.LinAlgError("singular")
        solved.append(len(histories))
        return solve(histories, **seasons)

    monkeypatch.setattr(fitting, "fit_together", breaks)
    made = forecast(
        [
            ask(HOURLY, RISING, high(75), key="first"),
            ask(HOURLY[300:], RISING[300:], high(75), key="short"),
            ask(HOURLY, RISING, high(75), key="last"),
        ]
    )
    assert [of_series[0].status for of_series in made] == ["made"] * 3
    assert solved == [1, 1]
    assert "Fitting short failed" in caplog.text

"""The contest and the mixture, as a whole forecast has them."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from predictions.forecasting.buckets import DAY_US
from predictions.forecasting.champions import Champion
from predictions.forecasting.fleet import forecast
from predictions.forecasting.recalibration import Recalibration
from predictions.forecasting.request import ForecastRequest
from predictions.forecasting.result import Forecast
from tests.predictions.pure.series import HOUR_US, NOW_US, ask, days_before_now, high, low, noise, times

HOURLY = times(days=42)
DAILY = 5 * np.sin(2 * np.pi * HOURLY / DAY_US)
HEALTHY = 50 + DAILY + noise(len(HOURLY), sd=1)
RISING = 60 + 0.5 * days_before_now(HOURLY) + noise(len(HOURLY), sd=1)
BANDS = ("p05", "p10", "p50", "p90", "p95")


def only(request: ForecastRequest) -> Forecast:
    [[made]] = forecast([request])
    return made


def bands_of(made: Forecast) -> np.ndarray:
    return np.array([made.path_quantiles[name] for name in BANDS])


@pytest.mark.parametrize("hours", [1, 2, 3])
def test_a_quick_rise_under_way_makes_the_certainty_low_and_says_why(hours: int) -> None:
    values = HEALTHY.copy()
    values[-hours:] += np.linspace(0, 40, hours + 1)[1:]
    made = only(ask(HOURLY, values, high(120)))
    assert made.explanation["excursion"] is True
    assert made.explanation["certainty"] == "low"
    assert "newest readings" in made.explanation["words"]


def test_a_rise_within_the_hour_is_seen_in_the_readings_before_any_bucket_shows_it() -> None:
    ts_us = times(days=42, step_s=300)
    values = 50 + noise(len(ts_us), sd=1)
    calm = only(ask(ts_us, values, high(120)))
    values[-3:] += 30
    assert only(ask(ts_us, values, high(120))).explanation["excursion"] is True
    assert calm.explanation["excursion"] is False


def test_a_healthy_series_has_no_excursion() -> None:
    asked = [ask(HOURLY, 50 + DAILY + noise(len(HOURLY), sd=1, seed=seed), high(120)) for seed in range(8)]
    assert [made.explanation["excursion"] for [made] in forecast(asked)] == [False] * 8


def test_a_falling_series_is_the_mirror_of_a_rising_one() -> None:
    # Scaled to 0..1 the fits differ in the last digits, and paths are drawn with the same signs.
    up = only(ask(HOURLY, RISING, high(75))).explanation["probabilities"]["of_drift_diffusion"]
    down = only(ask(HOURLY, -RISING, low(-75))).explanation["probabilities"]["of_drift_diffusion"]
    assert list(up.values()) == pytest.approx(list(down.values()), abs=1e-6)
    assert up["90"] > 0.9


def test_the_mixture_lies_between_its_parts_and_never_falls() -> None:
    made = only(ask(HOURLY, RISING, high(75)))
    parts = made.explanation["probabilities"]
    assert parts["companion_share"] == 0.75
    for days, probability in made.probability.items():
        of_prophet, of_companion = (
            parts[name][str(days)] for name in ("of_prophets_paths", "of_drift_diffusion")
        )
        assert probability == pytest.approx(0.25 * of_prophet + 0.75 * of_companion, abs=2e-6)
    assert sorted(made.probability.values()) == list(made.probability.values())
    assert made.crossing_p10_us < made.crossing_p50_us < made.crossing_p90_us


def test_the_companion_counts_less_where_it_has_seen_little() -> None:
    young = ask(HOURLY, RISING, high(75), regime_started_us=NOW_US - 10 * DAY_US)
    assert only(young).explanation["probabilities"]["companion_share"] == pytest.approx(
        0.75 * 10 / 30, abs=0.03
    )


def test_a_daily_peak_counts_as_reaching_the_limit() -> None:
    flat = ask(HOURLY, 50 + 0.3 * days_before_now(HOURLY) + noise(len(HOURLY), sd=1), high(60))
    peaks = replace(flat, values=flat.values + DAILY)
    by_month = [only(one).explanation["probabilities"]["of_drift_diffusion"]["30"] for one in (flat, peaks)]
    assert by_month[1] > by_month[0] + 0.2


def test_probabilities_are_corrected_by_what_came_true() -> None:
    learned = Recalibration(-1.0, 0.5, 0.0, 900, 90, is_fitted=True)
    plain = only(ask(HOURLY, RISING, high(75)))
    corrected = only(ask(HOURLY, RISING, high(75), recalibration=learned))
    before = np.array(list(plain.probability.values()))
    expected = learned.apply(before, np.array(list(plain.probability), dtype=np.float64))
    np.testing.assert_allclose(list(corrected.probability.values()), expected, atol=1e-5)
    assert "Recalibrated on 900 outcomes" in corrected.explanation["words"]
    assert corrected.settings["recalibration"] == [-1.0, 0.5, 0.0]
    assert "Not recalibrated" in plain.explanation["words"]


def test_bands_never_cross_and_the_median_does_not_jump_after_two_weeks() -> None:
    rng = np.random.default_rng(3)
    for values in (HEALTHY, RISING, 50 + rng.normal(0, 1, len(HOURLY)).cumsum()):
        made = only(ask(HOURLY, values, high(500)))
        bands = bands_of(made)
        assert (np.diff(bands, axis=0) >= 0).all()
        days = (np.array(made.path_ts_us) - NOW_US) / DAY_US
        steps = np.abs(np.diff(bands[2]))
        around, after = steps[(days[1:] > 13) & (days[1:] <= 20)], steps[days[1:] > 20]
        assert around.max() <= 3 * after.max() + 1.0


@pytest.mark.parametrize("noise_sd", [1.0, 0.3])
@pytest.mark.parametrize("days", [42, 90, 150, 300])
def test_an_interval_holds_what_came_next_as_often_as_it_says(days: int, noise_sd: float) -> None:
    """At other hours of the day each time; with little noise an hour's error of phase would show."""
    rng = np.random.default_rng(7)
    asked, came = [], []
    for key in range(12):
        now_us = NOW_US + 2 * key * HOUR_US
        ts_us = times(days=days) + 2 * key * HOUR_US
        all_us = np.concatenate((ts_us, now_us + np.arange(1, 49) * HOUR_US))
        slow = np.convolve(rng.normal(0, noise_sd, len(all_us)), np.exp(-np.arange(60) / 12))[: len(all_us)]
        values = 50 + 5 * np.sin(2 * np.pi * all_us / DAY_US) + slow + rng.normal(0, noise_sd, len(all_us))
        asked.append(ask(ts_us, values[: len(ts_us)], high(500), key=str(key), now_us=now_us))
        came.append(values[len(ts_us) + 2 :: 3])
    made = [one for [one] in forecast(asked)]
    bands = np.array([bands_of(one)[:, 1:17] for one in made])
    inside = (bands[:, 1] <= came) & (came <= bands[:, 3])
    assert 0.72 <= np.mean(inside) <= 0.92
    assert [one.explanation["excursion"] for one in made] == [False] * 12


@pytest.mark.parametrize("minute", [0, 20, 50])
@pytest.mark.parametrize("days", [42, 90, 150, 300])
def test_a_daily_cycle_is_foretold_for_the_moment_and_not_for_its_hour(days: int, minute: int) -> None:
    now_us = NOW_US + minute * HOUR_US // 60
    ts_us = times(days=days, step_s=600) + minute * HOUR_US // 60
    values = 50 + 5 * np.sin(2 * np.pi * ts_us / DAY_US) + noise(len(ts_us), sd=0.3)
    made = only(ask(ts_us, values, high(90), now_us=now_us))
    cycle = 50 + 5 * np.sin(2 * np.pi * np.array(made.path_ts_us[1:17]) / DAY_US)
    # Half an hour's error of phase is 0.4 on average; what a straight line between two steps cuts off is 0.15.
    assert np.abs(bands_of(made)[2, 1:17] - cycle).mean() < 0.2
    assert made.explanation["excursion"] is False


def test_the_champion_stays_without_evidence_and_loses_its_place_on_it() -> None:
    held = Champion("level_and_residuals", NOW_US - 2 * DAY_US, "It won.")
    plain = 50 + noise(len(HOURLY), sd=1)
    stays = only(ask(HOURLY, plain, high(500), champion=held)).explanation["contest"]
    assert (stays["winner"], stays["changed"]) == ("level_and_residuals", "")
    changed = only(ask(HOURLY, RISING, high(500), champion=Champion())).explanation["contest"]
    assert changed["winner"] != "profile_and_residuals"
    assert changed["changed"].startswith("changed from profile_and_residuals because")


def test_a_contest_a_day_is_enough() -> None:
    held = Champion("last_level", NOW_US - 23 * HOUR_US, "It won.")
    kept = only(ask(HOURLY, HEALTHY, high(500), champion=held)).explanation["contest"]
    assert (kept["winner"], kept["held_at_us"]) == ("last_level", held.held_at_us)
    older = replace(held, held_at_us=NOW_US - 24 * HOUR_US)
    again = only(ask(HOURLY, HEALTHY, high(500), champion=older)).explanation["contest"]
    assert again["held_at_us"] == NOW_US
    assert again["winner"] != "last_level"


def test_prophets_model_competes_where_it_may() -> None:
    errors = [
        only(ask(HOURLY, HEALTHY, high(500), with_prophet=may)).explanation["contest"]["mean_errors"]
        for may in (False, True)
    ]
    assert "prophet" not in errors[0]
    assert errors[1]["prophet"] == pytest.approx(errors[0]["profile_and_residuals"], rel=0.3)


def test_a_series_is_forecast_alone_as_among_others() -> None:
    first, other = ask(HOURLY, HEALTHY, high(70)), ask(HOURLY[500:], RISING[500:], high(75), key="other")
    alone, among = only(first), forecast([other, first])[1][0]
    np.testing.assert_allclose(bands_of(alone), bands_of(among), rtol=1e-9)
    assert list(alone.probability.values()) == pytest.approx(list(among.probability.values()), abs=1e-6)


def test_clocks_that_are_set_back_change_nothing() -> None:
    """Readings taken at each local hour over the night of 25 October 2026 in Berlin, which has 25 of them."""
    berlin = ZoneInfo("Europe/Berlin")
    begin = datetime(2026, 9, 20, tzinfo=berlin)
    instants = [begin.timestamp() + 3_600 * hour for hour in range(40 * 24)]
    ts_us = np.array([round(instant * 1e6) for instant in instants], dtype=np.int64)
    local_hours = np.array(
        [datetime.fromtimestamp(instant, berlin).hour for instant in instants], dtype=np.float64
    )
    assert begin.utcoffset() - datetime.fromtimestamp(instants[-1], berlin).utcoffset() == timedelta(hours=1)
    values = 50 + 5 * np.sin(2 * np.pi * local_hours / 24) + noise(len(ts_us), sd=0.5)
    made = only(ask(ts_us, values, high(90), now_us=int(ts_us[-1])))
    assert made.explanation["excursion"] is False
    assert made.probability[90] < 0.01
    ahead = np.array(made.path_ts_us[1:17]) / 1e6
    truth = 50 + 5 * np.sin(
        2 * np.pi * np.array([datetime.fromtimestamp(t, berlin).hour for t in ahead]) / 24
    )
    assert np.abs(bands_of(made)[2, 1:17] - truth).mean() < 1.5


def test_daily_readings_have_a_contest_too() -> None:
    ts_us = times(days=200, step_s=86_400)
    made = only(ask(ts_us, 50 + noise(len(ts_us), sd=1), high(80), expected_interval_s=86_400.0))
    assert made.explanation["contest"]["held_at_us"] == NOW_US
    assert (np.diff(bands_of(made), axis=0) >= 0).all()


def test_words_have_units_and_name_forecasters_as_people_do() -> None:
    words = only(ask(HOURLY, RISING, high(75), unit="Cel")).explanation["words"]
    assert "of 75 °C." in words
    assert "rose by 0.5 °C a day on average" in words
    assert "the last level with drift" in words
    for raw in ("profile_and_residuals", "100%", "0%"):
        assert raw not in words


def test_an_anomaly_that_began_hours_ago_makes_the_certainty_low_one_of_days_is_a_reason() -> None:
    ts_us = times(days=100)
    calm = ask(ts_us, 50 + noise(len(ts_us), sd=1), high(120))
    said = [
        only(replace(calm, anomaly_since_us=since)).explanation
        for since in (None, NOW_US - 2 * HOUR_US, NOW_US - 10 * DAY_US)
    ]
    assert [one["certainty"] for one in said] == ["good", "low", "moderate"]
    assert "An anomaly has been going on for 2 hours: how it goes on is not known" in said[1]["words"]
    assert "An anomaly has been going on for 10 days." in said[2]["words"]


def test_a_series_that_cannot_be_looked_ahead_says_so_and_stops_no_other() -> None:
    """A champion of three, which no contest makes: the ledger of another version may have one."""
    broken = ask(HOURLY, RISING, high(75), key="broken", champion=Champion("drift+last_level+recent_profile"))
    whole = ask(HOURLY, RISING, high(75))
    [of_broken], [of_whole] = forecast([broken, whole])
    assert of_broken.explanation["look_ahead_failed"] is True
    assert "this is the forecast of Prophet's model alone" in of_broken.explanation["words"]
    assert of_broken.explanation["contest"] is None
    assert of_whole.explanation["look_ahead_failed"] is False
    assert of_whole.explanation["contest"] is not None

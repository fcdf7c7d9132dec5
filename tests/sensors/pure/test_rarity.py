"""What came before is not rare, whenever that was, and however often a sensor reports."""

import numpy as np
import pytest

from sensors.detection.novelty import rate_distance
from tests.sensors.pure.test_detector import DAY, HOUR, START_US, watch
from tests.sensors.pure.test_detector_on_real_life import DAY_US, day_of, moments


def test_how_far_readings_were_in_the_first_week_counts_afterwards():
    """Each noon a boiler is blown down, now further, now less: in the first week as well as later."""
    ts_us = moments(40)
    values = 10 + np.random.default_rng(1).normal(0, 0.2, len(ts_us))
    values[DAY // 2 :: DAY] += np.random.default_rng(2).normal(20, 1, 40)
    told = [day_of(one, "started_us") for one in watch(ts_us, values)[1]]
    assert len(told) <= 1
    assert max(told, default=0) < 10


@pytest.mark.parametrize("hours", [10, 14])
def test_a_sensor_that_sends_only_while_its_machine_works_is_known_after_a_week_by_the_clock(hours):
    ts_us = moments(25)
    is_working = (ts_us - START_US) % DAY_US < hours * 3_600_000_000
    values = 40 + np.random.default_rng(3).normal(0, 1, len(ts_us))
    at = 14 * DAY + HOUR
    values[at : at + 6] += 12.0
    excursions = watch(ts_us[is_working], values[is_working])[1]
    assert at in np.searchsorted(ts_us, [one.started_us for one in excursions])


def test_a_silence_of_a_week_is_not_a_week_that_was_seen():
    ts_us = moments(20)
    values = 40 + np.random.default_rng(3).normal(0, 1, len(ts_us))
    is_kept = (ts_us < START_US + 3 * DAY_US) | (ts_us >= START_US + 12 * DAY_US)
    values[13 * DAY : 15 * DAY] -= 6.0  # the first weekend that is seen
    assert watch(ts_us[is_kept], values[is_kept])[1] == []


def test_what_was_never_seen_is_measured_by_all_that_was_where_an_hour_is_restless():
    ts_us = moments(30)
    random = np.random.default_rng(4)
    is_restless = np.arange(len(ts_us)) % DAY < HOUR
    values = 50 + np.where(is_restless, random.uniform(-9, 9, len(ts_us)), random.normal(0, 1, len(ts_us)))
    at = 20 * DAY + 2
    values[at : at + 5] = 68.0
    assert ts_us[at] in [one.started_us for one in watch(ts_us, values)[1]]


def test_a_spike_that_comes_back_in_two_steps_is_a_spike():
    ts_us = moments(30)
    values = np.random.default_rng(7).normal(50, 1, len(ts_us))
    values[20 * DAY : 20 * DAY + 2] = 57.5, 53.9
    _, (excursion,) = watch(ts_us, values)
    assert (excursion.pattern, excursion.peak_us) == ("spike", ts_us[20 * DAY])


def test_sixty_times_as_many_readings_of_heavy_tails_do_not_bring_sixty_times_as_many_anomalies():
    def told(step_us):
        ts_us = moments(60, step_us=step_us)
        return sum(
            len(watch(ts_us, np.random.default_rng(seed).laplace(0, 1, len(ts_us)))[1]) for seed in range(3)
        )

    assert told(60_000_000) < 5 * told(3_600_000_000) + 10


def test_a_distance_is_rare_by_how_many_were_as_far_give_or_take_a_standard_deviation():
    tails = np.zeros(24, np.float32)
    assert rate_distance(tails, 9.0, 999.9) == pytest.approx(4.0)
    assert rate_distance(tails, -8.2, 999.9) == pytest.approx(np.log10(1000 / 1.1))
    assert rate_distance(tails, 9.3, 999.9) == pytest.approx(np.log10(1000 / 2.1))
    assert rate_distance(tails, 14.0, 999.9) == pytest.approx(4.0)
    assert rate_distance(tails, 1e300, 999.9) == pytest.approx(4.0)


def test_few_readings_make_nothing_rare():
    assert rate_distance(np.zeros(24, np.float32), 50.0, 20.0) < 3.0


@pytest.mark.parametrize("way_back", [(53.2, 53.0, 52.6), (51.0, 50.0, 50.0), (53.9, 50.0, 50.0)])
def test_a_spike_may_come_back_slowly(way_back):
    for seed in range(5):
        ts_us = moments(30)
        values = np.random.default_rng(seed).normal(50, 1, len(ts_us))
        values[20 * DAY : 20 * DAY + 4] = 62.0, *way_back
        (excursion,) = watch(ts_us, values)[1]
        assert (excursion.pattern, excursion.started_us) == ("spike", ts_us[20 * DAY])


@pytest.mark.parametrize("unit", [1e-310, 1e-300])
def test_values_next_to_nothing_break_nothing(unit):
    ts_us = moments(12)
    values = unit * np.random.default_rng(1).normal(5, 1, len(ts_us))
    values[10 * DAY :] = 0.01
    watch(ts_us, values)

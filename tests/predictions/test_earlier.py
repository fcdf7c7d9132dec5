"""How a foretold date moved from prediction to prediction, as the plot shows it."""

from datetime import timedelta

import pytest
from bokeh.models import Column

from predictions.plots import describe_prediction, plot_prediction
from predictions.plots.earlier import MOST, read_earlier
from sensors.services.baselines import restart_sensor_baselines
from smartmaint import clock
from tests.plants import foretell, make_limit, make_sensor

pytestmark = pytest.mark.django_db

ONE_DAY = timedelta(days=1)


def foretell_at(plant, days_ago: float, **fields):
    moment = clock.now() - days_ago * ONE_DAY
    return foretell(plant, made_at=moment, cutoff_at=moment, **fields)


def seen(prediction) -> list:
    return read_earlier(prediction, begin=clock.now() - 90 * ONE_DAY)


def test_it_holds_what_was_foretold_of_the_same_limit_until_then(plant):
    first, second, third = (foretell_at(plant, ago) for ago in (9, 6, 3))
    other = make_sensor(plant.machine, "pump-7/other")
    foretell_at(plant, 4, sensor=other, limit=make_limit(other, value=9, failure_mode=plant.failure_mode))
    assert [one.cutoff_at for one in seen(second)] == [first.cutoff_at, second.cutoff_at]
    assert [one.cutoff_at for one in seen(third)][-1] == third.cutoff_at


def test_a_repair_makes_what_was_foretold_before_it_void(plant):
    foretell_at(plant, 9)
    restart_sensor_baselines(
        sensors=[plant.sensor], started_at=clock.now() - 8 * ONE_DAY, reason="WO-1: repaired"
    )
    after = foretell_at(plant, 2)
    assert [one.cutoff_at for one in seen(after)] == [after.cutoff_at]


def test_of_many_the_first_and_the_last_are_among_those_shown(plant):
    all_of_them = [foretell_at(plant, ago) for ago in range(80, 0, -1)]
    shown = [one.cutoff_at for one in seen(all_of_them[-1])]
    assert len(shown) == MOST
    assert (shown[0], shown[-1]) == (all_of_them[0].cutoff_at, all_of_them[-1].cutoff_at)


def test_one_that_is_not_possible_has_none(plant):
    foretell_at(plant, 3)
    waits = foretell(plant, status="pending", due_at=clock.now(), made_at=None, cutoff_at=None, p_1d=None,
                     p_7d=None, p_14d=None, p_30d=None, p_90d=None)  # fmt: skip
    assert seen(waits) == []


def test_the_plot_has_a_strip_below_once_there_are_two(plant):
    now = clock.now()
    alone = foretell_at(plant, 9, passes_p10_at=None)
    assert not isinstance(plot_prediction(alone), Column)
    moved = foretell_at(plant, 2, passes_p50_at=now + 20 * ONE_DAY, passes_p90_at=None)
    above, below = plot_prediction(moved).children
    assert below.x_range is above.x_range
    bars, dots = (
        next(one for one in below.renderers if type(one.glyph).__name__ == name)
        for name in ("Segment", "Scatter")
    )
    # The older one passes nowhere; the newer one's last tenths do not pass within the horizon either.
    assert len(bars.data_source.data["made"]) == 1
    assert bars.data_source.data["p90"][0] == pytest.approx(
        bars.data_source.data["made"][0] + 90 * 86_400_000, abs=4e6
    )
    assert dots.glyph.marker == "circle"


def test_words_tell_how_the_date_moved(plant):
    now = clock.now()
    foretell_at(plant, 9, passes_p10_at=None)
    last = foretell_at(plant, 2, passes_p50_at=now + 20 * ONE_DAY)
    words = describe_prediction(last)
    assert "It was foretold 2 times since" in words
    assert "not within the horizon, now by" in words

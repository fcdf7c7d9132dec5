import pytest

from maintenance.scheduling import Job, Risk

DAY_US = 86_400_000_000
NOW_US = 1_795_341_600_000_000


def test_a_forecast_in_any_order_becomes_a_risk():
    found = Risk.by_days(from_us=NOW_US, probabilities={30: 0.6, 1: 0.0, 7: 0.2}.items())

    assert found.points == ((1, 0.0), (7, 0.2), (30, 0.6))


@pytest.mark.parametrize("points", [((1, 0.5), (2, 0.4)), ((2, 0.1), (1, 0.2)), ((1, 1.2),), ((-1, 0.2),)])
def test_a_risk_that_makes_no_sense_is_refused(points):
    with pytest.raises(ValueError, match="risk"):
        Risk(points=points)


def test_a_risk_is_linear_between_its_points_and_holds_its_last():
    rising = Risk(from_us=NOW_US, points=((1, 0.1), (7, 0.7)))

    assert rising.before(NOW_US - DAY_US) == 0.0
    assert rising.before(NOW_US + DAY_US // 2) == pytest.approx(0.05)
    assert rising.before(NOW_US + 4 * DAY_US) == pytest.approx(0.4)
    assert rising.before(NOW_US + 90 * DAY_US) == 0.7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"duration_s": 0}, "duration"),
        ({"priority": "urgent"}, "priority"),
        ({"consequence": -1}, "consequence"),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Job(**{"key": "fan", "skills": frozenset(), "duration_s": 60, "site": "Works"} | fields)

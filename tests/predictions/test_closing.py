"""Closing horizons: all of them, in steps, each row once."""

from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest

from predictions.agents import close_horizons
from predictions.models import ClosedHorizons, Prediction, PredictionOutcome
from predictions.services import closing
from predictions.services.closing import close_past_horizons
from predictions.services.scoring import expect_verdict
from smartmaint import clock
from tests.plants import foretell, make_plant

pytestmark = pytest.mark.django_db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@pytest.fixture
def long_ago():
    return clock.now() - 100 * DAY


def foretell_hourly(plant, first_at, *, hours: int) -> list[Prediction]:
    """Asked for by a person: those of the period would not all stay."""
    return [
        foretell(plant, trigger="person", made_at=first_at + hour * HOUR, cutoff_at=first_at + hour * HOUR)
        for hour in range(hours)
    ]


def copy(prediction: Prediction, *, times: int) -> None:
    fields = [field.attname for field in Prediction._meta.concrete_fields if not field.primary_key]
    values = {name: getattr(prediction, name) for name in fields}
    Prediction.objects.bulk_create(Prediction(**values) for _ in range(times))


def test_one_run_closes_all_there_is(plant, long_ago):
    """Ten thousand sensors make 240,000 a day: what one run leaves would grow for ever."""
    copy(foretell(plant, made_at=long_ago, cutoff_at=long_ago), times=2_000)
    close_horizons()
    assert PredictionOutcome.objects.due().count() == 2_001


def test_what_is_closed_ended_at_the_end_of_its_horizon(plant, long_ago):
    made = foretell(plant, made_at=long_ago + timedelta(seconds=9), cutoff_at=long_ago)
    assert close_past_horizons() == 1
    outcome = PredictionOutcome.objects.get()
    assert (outcome.prediction, outcome.happened_at) == (made, long_ago + 90 * DAY)
    assert (outcome.verdict, outcome.outcome, outcome.organization) == ("", "", plant.organization)


def test_a_run_that_is_over_its_time_goes_on_where_it_was(plant, long_ago, monkeypatch):
    foretold = foretell_hourly(plant, long_ago, hours=5)
    monkeypatch.setattr(closing, "time", SimpleNamespace(monotonic=count().__next__))
    assert close_past_horizons(budget_seconds=3) == 2
    assert list(PredictionOutcome.objects.order_by("pk").values_list("prediction", flat=True)) == [
        one.pk for one in foretold[:2]
    ]
    assert close_past_horizons() == 3
    assert close_past_horizons() == 0


def test_organisations_take_turns(plant, other_organization, long_ago, monkeypatch):
    foretell_hourly(plant, long_ago, hours=9)
    foretell(make_plant(other_organization, name="pump-8"), made_at=long_ago, cutoff_at=long_ago)
    monkeypatch.setattr(closing, "time", SimpleNamespace(monotonic=count().__next__))
    assert close_past_horizons(budget_seconds=3) == 2
    assert PredictionOutcome.objects.filter(organization=other_organization).count() == 1


def test_what_was_closed_is_not_read_again_and_what_is_young_not_yet(plant, long_ago):
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    foretell(plant, made_at=clock.now() - 89 * DAY, cutoff_at=clock.now() - 89 * DAY)
    now = clock.now()
    with clock.frozen(now):
        assert close_past_horizons() == 1
    assert ClosedHorizons.objects.get().made_until == now - 90 * DAY
    with clock.frozen(now + DAY):
        assert close_past_horizons() == 1


def test_an_organisation_that_comes_back_is_closed_from_where_it_was(plant, long_ago):
    organization = plant.organization
    foretell(plant, made_at=long_ago, cutoff_at=long_ago)
    organization.is_active = False
    organization.save()
    assert close_past_horizons() == 0
    organization.is_active = True
    organization.save()
    assert close_past_horizons() == 1


def test_where_nothing_was_foretold_there_is_nothing_to_close(plant):
    assert close_past_horizons(plant.organization) == 0
    foretell(plant)
    assert close_past_horizons(plant.organization) == 0


def test_what_people_look_after_and_what_was_not_possible_stay_out(plant, long_ago):
    expect_verdict(foretell(plant, made_at=long_ago, cutoff_at=long_ago))
    foretell(plant, made_at=long_ago, cutoff_at=long_ago, status="not_possible", not_possible_because="No.")
    assert close_past_horizons() == 0
    assert PredictionOutcome.objects.get().happened_at is None

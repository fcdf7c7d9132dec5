"""Health as it is kept: parts, the whole, the days; in the caller's transaction, by whoever reports at once."""

from datetime import UTC, date, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Health, HealthDay, HealthPart, Part
from equipment.services.health import (
    HealthReport,
    health_of_days,
    report_health,
    weigh_again,
)
from smartmaint import clock
from tests.plants import make_plant

pytestmark = pytest.mark.django_db


@pytest.fixture
def machine(organization):
    return make_plant(organization).machine


def say(machine, part, score, reason="Because."):
    report_health(part=part, reports=[HealthReport(machine.pk, score, reason)])


def whole(machine):
    health = Health.objects.get(pk=machine.pk)
    return health.score, round(health.told_share, 2)


def test_parts_make_the_whole(machine):
    say(machine, Part.MAINTENANCE, 100)
    assert whole(machine) == (None, 0.15)
    say(machine, Part.CONDITION, 40)
    assert whole(machine) == (pytest.approx(56.36, abs=0.01), 0.55)
    say(machine, Part.ALARMS, 65)
    say(machine, Part.FORECAST, 20)
    assert whole(machine) == (pytest.approx(49), 1)


def test_a_part_may_fall_silent_again(machine):
    say(machine, Part.CONDITION, 40)
    say(machine, Part.ALARMS, 60)
    say(machine, Part.CONDITION, None, "Nothing comes from its sensors.")
    assert whole(machine) == (None, 0.2)
    assert HealthPart.objects.get(part=Part.CONDITION).score is None


def test_the_same_again_is_no_news(machine):
    reports = [HealthReport(machine.pk, 40.0, "Because.")]
    assert report_health(part=Part.CONDITION, reports=reports) == 1
    first = HealthPart.objects.get().reported_at
    assert report_health(part=Part.CONDITION, reports=reports) == 0
    assert report_health(part=Part.CONDITION, reports=[HealthReport(machine.pk, 40.3, "Because.")]) == 0
    assert HealthPart.objects.get().reported_at == first
    assert report_health(part=Part.CONDITION, reports=[HealthReport(machine.pk, 40.0, "Else.")]) == 1


@pytest.mark.parametrize("score", [-1, 100.1, float("inf"), float("nan")])
def test_other_numbers_are_refused(machine, score):
    with pytest.raises(ValueError, match="from 0 to 100"):
        say(machine, Part.CONDITION, score)
    assert not HealthPart.objects.exists()


def test_the_database_refuses_them_too(machine):
    say(machine, Part.CONDITION, 40)
    for change, constraint in [
        ({"score": 101}, "healthpart_score"),
        ({"reason": ""}, "healthpart_says_why"),
        ({"part": "mood"}, "healthpart_part"),
    ]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            HealthPart.objects.update(**change)


def test_it_is_gone_with_what_was_undone(machine):
    with transaction.atomic():
        say(machine, Part.CONDITION, 40)
        transaction.set_rollback(True)
    assert not Health.objects.exists()


def test_a_long_reason_is_cut_and_is_no_news_again(machine):
    reports = [HealthReport(machine.pk, 40.0, "x" * 900)]
    assert report_health(part=Part.CONDITION, reports=reports) == 1
    assert report_health(part=Part.CONDITION, reports=reports) == 0


def test_changed_weights_weigh_anew(machine):
    say(machine, Part.CONDITION, 40)
    say(machine, Part.ALARMS, 100)
    machine.equipment_class.weight_alarms = 0
    machine.equipment_class.save()
    assert weigh_again(machine.equipment_class) == 1
    assert whole(machine) == (40, 0.5)


def test_weights_that_are_all_nought_are_refused(machine):
    with pytest.raises(IntegrityError, match="equipmentclass_weighs_something"), transaction.atomic():
        type(machine.equipment_class).objects.update(
            weight_condition=0, weight_alarms=0, weight_forecast=0, weight_maintenance=0
        )


def test_a_manager_changes_the_weights(machine, manager_client):
    say(machine, Part.CONDITION, 40)
    say(machine, Part.ALARMS, 100)
    address = f"/admin/equipment/equipmentclass/{machine.equipment_class.pk}/change/"
    page = manager_client.get(address)
    form = {
        "code": "PU",
        "name": "Pumps",
        "weight_condition": 50,
        "weight_alarms": 50,
        "weight_forecast": 0,
        "weight_maintenance": 0,
        "failure_modes-TOTAL_FORMS": 0,
        "failure_modes-INITIAL_FORMS": 0,
    }
    assert page.status_code == 200
    assert manager_client.post(address, form).status_code == 302
    assert whole(machine) == (70, 1)
    nought = {name: 0 for name in form if name.startswith("weight_")}
    refused = manager_client.post(address, form | nought)
    assert refused.status_code == 200
    assert "At least one part" in refused.content.decode()


def test_a_day_is_the_organisations_and_keeps_how_it_ended(machine):
    # 23:30 in Berlin, and half an hour later.
    for at, score in [
        (datetime(2026, 3, 1, 22, 0, tzinfo=UTC), 90),
        (datetime(2026, 3, 1, 22, 30, tzinfo=UTC), 80),
        (datetime(2026, 3, 1, 23, 5, tzinfo=UTC), 70),
    ]:
        with clock.frozen(at):
            for part in Part:
                say(machine, part, score)
    assert list(HealthDay.objects.values_list("day", "score")) == [
        (date(2026, 3, 1), 80),
        (date(2026, 3, 2), 70),
    ]


def test_days_without_a_change_are_as_the_day_before(machine):
    now = clock.now()
    for days_ago, score in [(40, 90), (10, 50)]:
        with clock.frozen(now - timedelta(days=days_ago)):
            for part in Part:
                say(machine, part, score)
    scores = [score for _, score in health_of_days(machine, days=30)]
    assert scores == [90] * 19 + [50] * 11
    assert [score for _, score in health_of_days(machine, days=60)][:19] == [None] * 19


def test_another_organisations_machines_keep_theirs(machine, other_organization):
    other = make_plant(other_organization, name="crusher").machine
    say(machine, Part.CONDITION, 40)
    assert not Health.objects.filter(pk=other.pk).exists()


def test_a_machine_that_is_gone_meanwhile_is_passed_over(machine):
    reports = [HealthReport(machine.pk, 40.0, "Because."), HealthReport(999_999_999, 10.0, "Gone.")]
    assert report_health(part=Part.CONDITION, reports=reports) == 1


@pytest.mark.django_db(transaction=True)
def test_two_apps_that_report_at_once_are_both_weighed(machine):
    start = Barrier(4)

    def report(part):
        try:
            start.wait(timeout=10)
            say(machine, part, 50)
        finally:
            connection.close()

    threads = [Thread(target=report, args=[part]) for part in Part]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert whole(machine) == (50, 1)

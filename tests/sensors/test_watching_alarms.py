"""What happens to alarms by itself: work on a machine, escalation, and what other steps left behind."""

from datetime import timedelta

import pytest

from equipment.models import Equipment, State, Verdict
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, cancel_task, hold_task, start_task
from sensors.models import Alarm, AlarmEntry, AlarmPolicy, AlarmSuppression, Anomaly
from sensors.services.alarms import watching
from sensors.services.alarms.escalating import escalate_alarms
from sensors.services.alarms.handling import acknowledge_alarm, shelve_alarm
from sensors.services.alarms.key_figures import read_alarm_figures
from sensors.services.alarms.raising import raise_alarm
from sensors.services.alarms.watching import watch_alarms
from smartmaint import clock
from smartmaint.accounts.models import Membership, Role
from smartmaint.accounts.services import add_member
from smartmaint.notifications.models import Notification
from tests.alarms import end, end_all, hear_all, journal, notice, raised, told
from tests.plants import make_limit, make_plant, make_sensor, make_task, put_into_a_train

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


@pytest.fixture
def chief(manager) -> Actor:
    return Actor(user=manager, is_manager=True)


def now(alarm: Alarm) -> Alarm:
    return Alarm.objects.get(pk=alarm.pk)


class TestWorkOnTheMachine:
    def test_its_alarms_give_way_and_come_back(self, plant, manager, chief):
        alarm = raised(plant)
        task = start_task(task=make_task(plant, manager), actor=chief)
        watch_alarms()
        assert now(alarm).state == "suppressed_by_design"
        assert str(task) in AlarmSuppression.objects.get().reason
        hold_task(task=task, actor=chief, reason="Waits for a bearing")
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_what_is_noticed_meanwhile_calls_nobody(self, plant, manager, chief):
        start_task(task=make_task(plant, manager), actor=chief)
        alarm = raised(plant)
        assert (alarm.state, alarm.annunciated_at) == ("suppressed_by_design", None)
        assert not Notification.objects.exists()

    def test_a_repair_ends_it(self, plant, manager, chief):
        alarm = raised(plant)
        task = start_task(task=make_task(plant, manager), actor=chief)
        watch_alarms()
        complete_task(task=task, actor=chief, finding=Finding(Verdict.EARLY, failure_mode=plant.failure_mode))
        watch_alarms()
        assert now(alarm).state == "normal"
        assert journal(alarm) == [
            ("raised", "unacknowledged"),
            ("suppressed", "suppressed_by_design"),
            ("unsuppressed", "normal"),
        ]

    def test_work_that_is_cancelled_suppresses_nothing_any_more(self, plant, manager, chief):
        alarm = raised(plant)
        task = start_task(task=make_task(plant, manager), actor=chief)
        watch_alarms()
        cancel_task(task=task, user=manager, reason="Wrong machine")
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_another_task_on_it_goes_on_suppressing(self, plant, manager, chief):
        alarm = raised(plant)
        first, second = (start_task(task=make_task(plant, manager), actor=chief) for _ in range(2))
        cancel_task(task=first, user=manager, reason="Done by the other")
        watch_alarms()
        assert now(alarm).state == "suppressed_by_design"
        cancel_task(task=second, user=manager, reason="Done")
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_the_state_of_a_machine_above_suppresses_too(self, plant):
        alarm = raised(plant)
        above = put_into_a_train(plant, state=State.MAINTENANCE)
        watch_alarms()
        assert now(alarm).state == "suppressed_by_design"
        Equipment.objects.filter(pk=above.pk).update(state=State.OPERATING)
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_another_machine_is_not_concerned(self, plant, manager, chief):
        alarm = raised(plant)
        other = make_plant(plant.organization, name="pump-8")
        start_task(task=make_task(other, manager), actor=chief)
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_what_is_shelved_stays_shelved(self, plant, manager, chief):
        alarm = raised(plant)
        shelve_alarm(alarm=alarm, by=manager, hours=1)
        start_task(task=make_task(plant, manager), actor=chief)
        watch_alarms()
        assert now(alarm).state == "shelved"


class TestFollowingTheCondition:
    def test_it_stands_until_the_last_anomaly_behind_it_has_ended(self, plant):
        alarm, second = raised(plant), make_sensor(plant.machine, "pump-7/nde")
        other = notice(second, limit=make_limit(second, value=7.0, failure_mode=plant.failure_mode))
        raise_alarm(anomaly=other)
        end(other)
        watch_alarms()
        assert now(alarm).is_active
        last = clock.now()
        end_all(alarm)
        watch_alarms()
        assert not now(alarm).is_active
        assert now(alarm).returned_at >= last

    def test_being_judged_anew_does_not_end_it(self, plant):
        alarm = raised(plant)
        Anomaly.objects.update(status="detected", confidence=None, validated_at=None)
        watch_alarms()
        assert now(alarm).is_active

    def test_what_is_no_longer_believed_ends_it(self, plant):
        alarm = raised(plant)
        Anomaly.objects.update(status="suspected_false")
        watch_alarms()
        assert now(alarm).state == "returned_unacknowledged"

    def test_an_anomaly_that_was_opened_again_is_the_alarm_again(self, plant):
        alarm = raised(plant)
        end_all(alarm)
        watch_alarms()
        Anomaly.objects.update(ended_at=None)
        watch_alarms()
        assert now(alarm).state == "unacknowledged"

    def test_credible_anomalies_of_before_an_update_become_alarms(self, plant):
        notice(plant.sensor, limit=plant.limit)
        notice(plant.sensor, direction="low", status="needs_a_look")
        watch_alarms()
        watch_alarms()
        assert Alarm.objects.get().state == "unacknowledged"

    def test_one_organisation_alone(self, plant, other_organization):
        alarm = raised(plant)
        end_all(alarm)
        watch_alarms(other_organization)
        assert now(alarm).is_active
        watch_alarms(plant.organization)
        assert not now(alarm).is_active

    def test_a_look_that_finds_nothing_writes_nothing(self, plant, django_assert_max_num_queries):
        raised(plant)
        entries = AlarmEntry.objects.count()
        with django_assert_max_num_queries(6):
            assert watch_alarms().settled == 0
        assert AlarmEntry.objects.count() == entries


class TestEscalation:
    def test_the_next_role_is_told_and_then_the_next(self, plant, manager, admin_user_of_org):
        hear_all(plant.organization, manager, admin_user_of_org)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        alarm, begin = raised(plant), clock.now()
        for minutes, to_manager, to_admin in [(29, 0, 0), (31, 1, 0), (59, 1, 0), (61, 1, 1), (600, 1, 1)]:
            with clock.frozen(begin + minutes * MINUTE):
                escalate_alarms()
            assert (len(told(manager)), len(told(admin_user_of_org))) == (to_manager, to_admin), minutes
        assert told(manager) == ["Nobody acknowledged: PUMP-7 Pump pump-7: Vibration"]
        assert [entry.comment for entry in alarm.entries.filter(kind="escalated")] == [
            "to the managers",
            "to the admins",
        ]

    def test_a_role_without_people_is_passed_over(self, plant, admin_user_of_org):
        hear_all(plant.organization, admin_user_of_org)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        alarm = raised(plant)
        with clock.frozen(clock.now() + 31 * MINUTE):
            escalate_alarms()
        assert len(told(admin_user_of_org)) == 1
        assert now(alarm).escalations == 2

    def test_the_time_runs_anew_for_each_role(self, plant, manager, admin_user_of_org):
        """Also where the first one was told late, as after a flood."""
        hear_all(plant.organization, manager, admin_user_of_org)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        raised(plant)
        begin = clock.now()
        for minutes, to_manager, to_admin in [(95, 1, 0), (96, 1, 0), (124, 1, 0), (126, 1, 1)]:
            with clock.frozen(begin + minutes * MINUTE):
                escalate_alarms()
            assert (len(told(manager)), len(told(admin_user_of_org))) == (to_manager, to_admin), minutes

    def test_who_was_told_first_is_not_the_next_role(self, plant, manager, admin_user_of_org):
        """Without technicians managers are called at once."""
        Membership.objects.filter(role=Role.TECHNICIAN).update(is_active=False)
        hear_all(plant.organization, manager, admin_user_of_org)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        raised(plant)
        assert len(told(manager)) == 1
        with clock.frozen(clock.now() + 31 * MINUTE):
            escalate_alarms()
        assert (len(told(manager)), len(told(admin_user_of_org))) == (1, 1)

    def test_where_there_is_nobody_else_that_is_written_down_once(self, plant):
        AlarmPolicy.objects.update(escalate_minor_min=30)
        alarm = raised(plant)
        for minutes in (31, 62):
            with clock.frozen(clock.now() + minutes * MINUTE):
                escalate_alarms()
        assert [entry.comment for entry in alarm.entries.filter(kind="escalated")] == [
            "there is nobody else to tell"
        ]

    def test_what_is_acknowledged_goes_to_nobody(self, plant, manager):
        hear_all(plant.organization, manager)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        acknowledge_alarm(alarm=raised(plant), by=plant.technician.user)
        with clock.frozen(clock.now() + 300 * MINUTE):
            escalate_alarms()
        assert told(manager) == []

    def test_a_severity_without_a_time_never_escalates(self, plant, manager):
        hear_all(plant.organization, manager)
        raised(plant)
        with clock.frozen(clock.now() + timedelta(days=30)):
            escalate_alarms()
        assert told(manager) == []

    def test_many_at_once_are_one_message(self, plant, manager):
        hear_all(plant.organization, manager)
        AlarmPolicy.objects.update(escalate_minor_min=30)
        for number in range(4):
            raised(make_plant(plant.organization, name=f"fan-{number}"))
        with clock.frozen(clock.now() + 31 * MINUTE):
            escalate_alarms()
        assert told(manager) == ["Nobody acknowledged 4 alarms"]


def test_an_alarm_that_comes_and_goes_is_told_once_an_hour(plant):
    technician = plant.technician.user
    hear_all(plant.organization, technician)
    begin = clock.now()
    for minute in (0, 10, 20, 75):
        with clock.frozen(begin + minute * MINUTE):
            alarm = raised(plant)
            acknowledge_alarm(alarm=alarm, by=technician)
            end_all(alarm)
            watch_alarms()
            assert now(alarm).state == "normal"
    assert len(told(technician)) == 2


def test_one_that_came_back_within_the_hour_and_stays_is_told_when_the_hour_is_over(plant):
    technician, begin = plant.technician.user, clock.now()
    hear_all(plant.organization, technician)
    acknowledge_alarm(alarm=raised(plant), by=technician)
    with clock.frozen(begin + 5 * MINUTE):
        end_all(Alarm.objects.get())
        watch_alarms()
    with clock.frozen(begin + 30 * MINUTE):
        back = raised(plant)
    for minute, messages in [(31, 1), (59, 1), (61, 2), (62, 2), (600, 2)]:
        with clock.frozen(begin + minute * MINUTE):
            watch_alarms()
        assert len(told(technician)) == messages, minute
    assert now(back).state == "unacknowledged"


def test_one_that_came_back_and_went_again_is_not_told_afterwards(plant):
    technician, begin = plant.technician.user, clock.now()
    hear_all(plant.organization, technician)
    for minute in (0, 30):
        with clock.frozen(begin + minute * MINUTE):
            end_all(raised(plant))
            watch_alarms()
    with clock.frozen(begin + 90 * MINUTE):
        watch_alarms()
    assert len(told(technician)) == 1


def test_since_when_it_is_abnormal_is_since_it_came_back(plant, organization):
    begin = clock.now()
    end_all(raised(plant))
    watch_alarms()
    assert now(Alarm.objects.get()).back_since is None
    with clock.frozen(begin + timedelta(hours=47)):
        raised(plant)
        assert read_alarm_figures(organization, days=7).standing_count == 0
    back = Alarm.objects.get()
    assert back.abnormal_since == back.back_since == begin + timedelta(hours=47)
    with clock.frozen(begin + timedelta(hours=72)):
        assert read_alarm_figures(organization, days=7).standing == [back]


def test_one_that_comes_and_goes_unanswered_goes_to_the_next_role(plant, manager):
    AlarmPolicy.objects.update(escalate_minor_min=30)
    begin = clock.now()
    for minute in (0, 12, 24, 36):
        with clock.frozen(begin + minute * MINUTE):
            alarm = raised(plant)
            escalate_alarms()
            end_all(alarm)
            watch_alarms()
            escalate_alarms()
    assert now(alarm).unanswered_since == begin
    assert [entry.at for entry in alarm.entries.filter(kind="escalated")] == [begin + 36 * MINUTE]
    with clock.frozen(begin + 40 * MINUTE):
        acknowledge_alarm(alarm=now(alarm), by=manager)


def test_what_is_set_aside_comes_and_goes_without_a_line(plant, manager):
    alarm = raised(plant)
    shelve_alarm(alarm=alarm, by=manager, hours=8)
    before = journal(alarm)

    def open_again():
        Anomaly.objects.filter(pk=Anomaly.objects.latest("id").pk).update(ended_at=None)

    for come_back in (lambda: raised(plant), open_again):
        end_all(alarm)
        watch_alarms()
        assert not now(alarm).is_active
        come_back()
        watch_alarms()
        assert now(alarm).is_active
    assert journal(alarm) == before


def test_an_anomaly_that_is_judged_anew_calls_nobody_again(plant):
    alarm = raised(plant)
    end_all(alarm)
    watch_alarms()
    Anomaly.objects.update(status="detected", confidence=None, validated_at=None, ended_at=None)
    watch_alarms()
    assert now(alarm).state == "returned_unacknowledged"


def test_a_sensor_that_is_switched_off_leaves_nothing_standing(plant):
    alarm = raised(plant)
    plant.sensor.is_active = False
    plant.sensor.save()
    watch_alarms()
    assert not Anomaly.objects.open().exists()
    assert now(alarm).state == "returned_unacknowledged"


def test_alarms_of_an_organization_that_is_not_active_are_left_alone(plant, organization):
    alarm = raised(plant)
    end_all(alarm)
    organization.is_active = False
    organization.save()
    watch_alarms()
    assert now(alarm).state == "unacknowledged"
    watch_alarms(organization)
    assert now(alarm).state == "returned_unacknowledged"


def test_an_alarm_that_cannot_be_followed_stops_no_other(plant, organization, monkeypatch):
    other = make_plant(organization, name="pump-8")
    bad, good = raised(plant), raised(other)
    for alarm in (bad, good):
        end_all(alarm)
    follow = watching._follow

    def fail(alarm_id, suppressed):
        if alarm_id == bad.pk:
            raise ValueError("broken")
        return follow(alarm_id, suppressed)

    monkeypatch.setattr(watching, "_follow", fail)
    tally = watch_alarms()
    assert (tally.settled, tally.failed) == (1, 1)
    assert now(good).state == "returned_unacknowledged"


def test_a_viewer_is_never_called(plant, organization):
    viewer = add_member(
        organization=organization, role=Role.VIEWER, username="v", password="a long pass phrase"
    )
    hear_all(organization, viewer.user)
    raised(plant)
    assert told(viewer.user) == []

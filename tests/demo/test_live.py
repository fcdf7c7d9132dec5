from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from maintenance.models import MaintenanceTask
from maintenance.replay.pending import do_pending_work
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, start_task
from sensors.models import ReadingBatch, SensorLatest
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.demo.gateway import Gateway, Refused, ServerAway
from smartmaint.demo.installation import load_demo
from smartmaint.demo.live import LivePlant, LiveStory
from smartmaint.demo.logins import new_password
from smartmaint.demo.narration import Narrator
from smartmaint.demo.plant import LIVE_SENSOR, RIVERSIDE, SEED

LINE = replace(
    RIVERSIDE,
    machines=tuple(machine for machine in RIVERSIDE.machines if machine.tag in {"packaging-1", "fan-4"}),
    stories=(),
)
UNITS = {sensor.key: sensor.unit for _, sensor in LINE.sensors}


@pytest.fixture
def var(settings, tmp_path):
    settings.VAR_DIR = tmp_path


@pytest.fixture
def demo(transactional_db, var):
    """A day of history that ended an hour ago."""
    return load_demo(
        [LINE],
        epoch_us=microseconds(datetime.now(UTC) - timedelta(hours=1)),
        days=1,
        on_step=lambda words: None,
        on_stored=lambda readings: None,
    )


def test_a_fault_becomes_a_task_and_its_repair_ends_it(demo, live_server):
    """The whole story through HTTP; the plant's clock is turned by hand, the server has its own."""
    riverside = Organization.objects.get(slug="riverside-foods")
    gateway = Gateway(live_server.url, demo.api_key)
    plant = LivePlant(LINE, gateway, epoch_us=demo.epoch_us, seed=SEED)
    said: list[str] = []
    story = LiveStory(plant, Narrator(gateway, units=UNITS), said.append)
    began_at = datetime.now(UTC) - timedelta(minutes=2)

    with clock.frozen(began_at):
        assert sum(plant.catch_up()) in (3 * 11, 3 * 12)
        story.begin()
    assert ReadingBatch.objects.latest("id").is_historical
    for seconds in range(0, 72, 6):
        do_pending_work(riverside)
        with clock.frozen(began_at + timedelta(seconds=seconds)):
            story.tick()

    (task,) = MaintenanceTask.objects.filter(equipment__tag="fan-4")
    assert said[0] == "In half a minute fan-4 begins to shake."
    assert any(line.startswith("3 readings, fan-4/vibration ") for line in said)
    assert any("is above its high-high limit of 7.1 mm/s (credible" in line for line in said)
    assert any("is beyond 7.1 mm/s already" in line for line in said)
    username = task.technician.user.username
    assert f"Log in as {username} to start {task.number} and to say what you found." in said

    actor = Actor(user=task.technician.user, is_manager=False)
    start_task(task=task, actor=actor)
    complete_task(task=task, actor=actor, finding=Finding("confirmed_as_predicted", task.failure_mode))
    for _ in range(2):
        story.tick()

    assert "fan-4 runs smoothly again. Start anew to see another fault." in said
    assert SensorLatest.objects.get(sensor__key=LIVE_SENSOR).value < 3


def test_the_command_refuses_what_cannot_work_in_one_line(db, var, settings):
    with pytest.raises(CommandError, match="load the demo first"):
        call_command("simulate")


def test_a_server_that_is_away_is_told_apart():
    with pytest.raises(ServerAway):
        Gateway("http://127.0.0.1:9", "sm_any_key").newest("tasks")


def test_a_server_that_refuses_says_why(live_server):
    with pytest.raises(Refused, match="401"):
        list(Gateway(live_server.url, "sm_any_key").sensors())
    with pytest.raises(Refused, match="404"):
        Gateway(f"{live_server.url}/elsewhere", "sm_any_key").newest("tasks")


def test_passwords_are_long_readable_and_never_the_same():
    passwords = {new_password() for _ in range(100)}

    assert len(passwords) == 100
    assert all(len(password) == 19 and password.islower() for password in passwords)

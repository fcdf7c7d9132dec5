"""A manager starts a replay with uploaded files, watches it, and reads what it came to."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from maintenance import agents
from maintenance.agents import tell_replays
from maintenance.models import ReplayFile, ReplayRun
from maintenance.replay import stretches
from maintenance.services import replays
from maintenance.services.replays import as_directory, take_scratch_away
from sensors.models import Reading
from smartmaint import clock
from smartmaint.accounts.models import Organization
from tests.locks import held_elsewhere

pytestmark = pytest.mark.django_db

LIST = "/admin/maintenance/replayrun/"


def readings(days: int = 3) -> bytes:
    noise = np.random.default_rng(5).normal(50, 1, days * 24)
    began = datetime(2015, 1, 1, tzinfo=UTC)
    lines = [
        f"{began + timedelta(hours=hour):%Y-%m-%d %H:%M:%S},1,{value:.3f}" for hour, value in enumerate(noise)
    ]
    return "\n".join(["datetime,machineID,pressure", *lines]).encode()


FAILURES = b"datetime,machineID,failure\n2015-01-02 12:00:00,1,comp1\n"


@pytest.fixture
def add(manager_client):
    def send(**files: bytes):
        uploads = [SimpleUploadedFile(f"{name}.csv", content) for name, content in files.items()]
        form = {"name": "Last year", "files": uploads, "with_events": "on", "open_hours": "72"}
        return manager_client.post(f"{LIST}add/", form)

    return send


@pytest.fixture
def run(add) -> ReplayRun:
    assert add(PdM_telemetry=readings(), PdM_failures=FAILURES).status_code == 302
    return ReplayRun.objects.get()


def page_of(run) -> str:
    return f"{LIST}{run.pk}/change/"


def test_it_waits_with_its_files(run, manager, organization):
    assert (run.organization, run.created_by, run.readings) == (organization, manager, 72)
    assert set(ReplayFile.objects.values_list("name", flat=True)) == {"PdM_telemetry.csv", "PdM_failures.csv"}
    assert run.due_at is not None
    assert run.progress == 0


def test_an_agent_tells_it_and_the_page_reports(run, manager_client, organization):
    tell_replays()

    run.refresh_from_db()
    assert (run.progress, run.due_at, run.failed_because, run.scratch) == (1.0, None, "", None)
    response = manager_client.get(page_of(run))
    assert "Refresh" not in response
    page = response.content.decode()
    assert "Failures caught at least 12 h ahead: 0 of 0" in page
    answer = manager_client.get(f"{LIST}{run.pk}/tasks/")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"machineID,datetime,")
    answer = manager_client.get(f"{LIST}{run.pk}/failures/")
    assert answer["Content-Disposition"] == f'attachment; filename="replay-{run.pk}-failures.csv"'
    assert b"1,2015-01-02 12:00:00,comp1,left out,,Too early" in answer.content
    assert list(Organization.objects.all()) == [organization]
    assert not Reading.objects.exists()


def test_its_plots_are_shown_in_a_world_of_their_own(run, manager_client):
    plots = f"{LIST}{run.pk}/plots/"
    assert plots not in manager_client.get(page_of(run)).content.decode()
    assert "There are no plots of it" in manager_client.get(plots, follow=True).content.decode()
    tell_replays()

    assert plots in manager_client.get(page_of(run)).content.decode()
    answer = manager_client.get(plots)
    page = answer.content.decode()
    assert "Machine 1, times in UTC" in page
    assert "<title>Last year</title>" in page
    assert 'name="viewport"' in page
    assert re.search("<(script|link)[^>]* (src|href)=", page) is None
    assert answer["Content-Security-Policy"].startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in answer["Content-Security-Policy"]


def test_the_page_of_plots_takes_names_for_names(manager_client):
    name = "</title></script><script>alert(1)</script>"
    uploads = [SimpleUploadedFile("PdM_telemetry.csv", readings(1).replace(b",1,", f",{name},".encode()))]
    form = {"name": name, "files": uploads, "with_events": "on", "open_hours": "72"}
    assert manager_client.post(f"{LIST}add/", form).status_code == 302
    tell_replays()
    run = ReplayRun.objects.get()
    assert run.failed_because == ""
    assert name not in manager_client.get(f"{LIST}{run.pk}/plots/").content.decode()


def test_the_list_leaves_the_large_parts_of_a_replay_alone(run, manager_client):
    tell_replays()
    with CaptureQueriesContext(connection) as queries:
        assert manager_client.get(LIST).status_code == 200
    assert not any("plots_page" in query["sql"] for query in queries)


def test_a_long_one_is_told_a_stretch_at_a_time(run, manager_client, monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH_S", 0.0)
    shares = []
    while run.finished_at is None:
        tell_replays()
        run.refresh_from_db()
        shares.append(run.progress)
        if len(shares) == 1:
            page = manager_client.get(page_of(run))
            assert "still being told" in page.content.decode()
            assert page["Refresh"] == "15"
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert shares[-1] == 1.0


def test_stretches_come_to_the_same_as_all_at_once(add, monkeypatch):
    for _ in range(2):
        add(PdM_telemetry=readings(10), PdM_failures=FAILURES)
    once, stretched = ReplayRun.objects.order_by("pk")
    tell_replays()
    monkeypatch.setattr(stretches, "STRETCH_S", 0.5)
    while stretched.finished_at is None:
        tell_replays()
        stretched.refresh_from_db()
    once.refresh_from_db()
    assert once.report == stretched.report != []


def test_one_whose_worker_was_killed_begins_anew(run, monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH_S", 0.0)
    tell_replays()
    run.refresh_from_db()
    before = run.scratch
    ReplayRun.objects.update(is_being_told=True)
    monkeypatch.setattr(stretches, "STRETCH_S", 60.0)
    tell_replays()

    run.refresh_from_db()
    assert (run.progress, run.is_being_told) == (1.0, False)
    assert not Organization.objects.filter(pk=before.pk).exists()


def test_one_that_was_given_up_begins_anew_when_it_is_tried_again(run, monkeypatch):
    monkeypatch.setattr(stretches, "STRETCH_S", 0.0)
    tell_replays()
    run.refresh_from_db()
    before = run.scratch
    ReplayRun.objects.update(is_being_told=True, parked_at=clock.now(), due_at=None)
    ReplayRun.objects.try_again()
    monkeypatch.setattr(stretches, "STRETCH_S", 60.0)
    tell_replays()

    run.refresh_from_db()
    assert run.progress == 1.0
    assert not Organization.objects.filter(pk=before.pk).exists()


def test_one_that_is_deleted_before_it_begins_leaves_nothing(run, organization):
    with as_directory({one.name: bytes(one.content) for one in run.files.all()}) as (past, names):
        ReplayRun.objects.filter(pk=run.pk).delete()
        assert stretches._plant(run, past, names) is None
    assert list(Organization.objects.all()) == [organization]


def test_one_that_has_just_begun_is_taken_away_whole(run, organization, monkeypatch):
    """Whoever deletes it may have read it before an agent began."""
    monkeypatch.setattr(stretches, "STRETCH_S", 0.0)
    as_it_was = ReplayRun.objects.get()
    tell_replays()
    assert Organization.objects.count() == 2
    take_scratch_away(as_it_was)
    assert list(Organization.objects.all()) == [organization]


def test_deleting_one_takes_its_organisation_away(run, manager_client, monkeypatch, organization):
    monkeypatch.setattr(stretches, "STRETCH_S", 0.0)
    tell_replays()
    assert Organization.objects.count() == 2
    assert manager_client.post(f"{LIST}{run.pk}/delete/", {"post": "yes"}).status_code == 302
    assert list(Organization.objects.all()) == [organization]
    assert not ReplayFile.objects.exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"PdM_telemetry": b"datetime,machineID\n"}, "holds no reading"),
        ({"PdM_failures": FAILURES}, "there is no such file"),
        ({"PdM_telemetry": b"when,machineID,x\n1,1,1\n"}, "has no column"),
        ({f"x{n}": b"x" for n in range(11)}, "at most 10 files"),
    ],
)
def test_a_past_that_cannot_be_read_is_told_at_once(add, files, words):
    response = add(**files)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert not ReplayRun.objects.exists()


def test_without_files_nothing_is_started(add):
    assert add().status_code == 200
    assert not ReplayRun.objects.exists()


def test_too_much_is_left_to_the_command(add, monkeypatch):
    monkeypatch.setattr(replays, "MOST_READINGS", 10)
    assert "manage.py replay takes more" in add(PdM_telemetry=readings()).content.decode()


def test_it_is_the_managers_of_the_organisation(run, technician_client, viewer_client, outsider_client):
    tell_replays()
    for address in (page_of(run), *(f"{LIST}{run.pk}/{name}/" for name in ("tasks", "failures", "plots"))):
        assert technician_client.get(address).status_code == 403
        assert viewer_client.get(address).status_code == 403
        assert outsider_client.get(address).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_one_is_told_at_a_time(run):
    """While another process tells one, this one does not."""
    with held_elsewhere(agents.tell_replays.name):
        tell_replays()
    run.refresh_from_db()
    assert run.told_until_us is None
    tell_replays()
    run.refresh_from_db()
    assert run.progress == 1.0

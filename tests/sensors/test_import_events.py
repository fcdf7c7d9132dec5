"""manage.py import_events."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from sensors.models import MachineEvent
from smartmaint import clock

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(plant, tmp_path, capsys):
    def run(text: str, *options: str) -> str:
        path = tmp_path / "events.csv"
        path.write_text(text)
        call_command("import_events", str(path), f"--organization={plant.organization.slug}", *options)
        return capsys.readouterr().out

    return run


def line(plant, code: str, hours: int = 1) -> str:
    at = clock.now() - timedelta(hours=hours)
    return f"{plant.machine.tag},{code},{at.isoformat(timespec='seconds')}\n"


def test_a_file_is_imported_once(run, plant):
    text = "equipment,code,ts\n" + line(plant, "E17") + line(plant, "E18")

    assert "2 events: 2 inserted, 0 updated, 0 unchanged, 0 rejected" in run(text)
    assert "2 events: 0 inserted, 0 updated, 2 unchanged, 0 rejected" in run(text)
    assert MachineEvent.objects.filter(api_key=None).count() == 2


def test_columns_have_other_names_and_times_a_zone(run, plant):
    options = [
        "--equipment-column=machine",
        "--code-column=errorID",
        "--time-column=when",
        "--zone=Europe/Berlin",
    ]
    run(f"when,machine,errorID\n2026-11-22 11:00:00,{plant.machine.tag},error1\n", *options)

    event = MachineEvent.objects.get()
    assert (event.code, event.at) == ("error1", datetime(2026, 11, 22, 10, tzinfo=UTC))


def test_refused_lines_are_told_and_the_others_stored(run, plant, tmp_path):
    text = "equipment,code,ts\n" + line(plant, "E17") + f"nobody,E17,{clock.now().isoformat()}\n"
    report = tmp_path / "refused.csv"

    with pytest.raises(CommandError, match="Refused lines: 1"):
        run(text, f"--errors={report}")

    assert report.read_text().splitlines() == [
        "line,code,detail",
        '3,unknown_equipment,"There is no machine ""nobody""."',
    ]
    assert MachineEvent.objects.count() == 1


@pytest.mark.parametrize("option", ["--zone=Nowhere", "--errors=/nowhere/report.csv"])
def test_wrong_options_are_told_in_words(run, option):
    with pytest.raises(CommandError):
        run("equipment,code,ts\n", option)


def test_a_header_without_a_column_is_told(run):
    with pytest.raises(CommandError, match="no column 'ts'"):
        run("equipment,code\n")


def test_an_unknown_organisation_is_told(tmp_path):
    (tmp_path / "events.csv").write_text("equipment,code,ts\n")
    with pytest.raises(CommandError, match="There is no organisation"):
        call_command("import_events", str(tmp_path / "events.csv"), "--organization=nobody")

"""`import_readings --wide`: a column of times, and one for each sensor."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from sensors.models import Reading, ReadingBatch
from smartmaint import clock
from tests.plants import make_sensor


@pytest.fixture
def file(tmp_path):
    """Writes a file of lines and returns its path."""

    def write(*lines: str):
        path = tmp_path / "readings.csv"
        path.write_text("\n".join(lines), encoding="utf-8")
        return path

    return write


def import_file(path, **options) -> str:
    lines = StringIO()
    call_command("import_readings", path, organization="riverside-foods", stdout=lines, **options)
    return lines.getvalue()


def hour(number: int) -> str:
    return (clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=number)).isoformat()


def test_a_wide_file_has_a_column_for_each_sensor(plant, file):
    make_sensor(plant.machine, "pump-7/flow", quantity="volume flow", unit="m3/h")
    make_sensor(plant.machine, "pump-7/temperature", quantity="temperature", unit="Cel")
    path = file(
        "timestamp;flow;temperature [[degF]]",
        f"{hour(2)};10;212",
        f"{hour(1)};11;",
    )

    printed = import_file(path, wide=True, prefix="pump-7/")

    assert list(Reading.objects.order_by("ts", "sensor_id").values_list("sensor__key", "value")) == [
        ("pump-7/flow", 10),
        ("pump-7/temperature", pytest.approx(100)),
        ("pump-7/flow", 11),
    ]
    assert ReadingBatch.objects.get().is_historical
    assert "3 readings: 3 inserted, 0 updated, 0 unchanged, 0 rejected" in printed


def test_the_lines_and_cells_of_a_wide_file_are_refused_by_number(plant, file, tmp_path):
    make_sensor(plant.machine, "pump-7/flow", quantity="volume flow", unit="m3/h")
    path = file("Zeit,pump-7/flow,pump-9/flow", f"{hour(1)},much,", "gestern,1,2", f"{hour(2)},1,2")
    errors = tmp_path / "errors.csv"

    with pytest.raises(CommandError, match="Refused lines: 3"):
        import_file(path, wide=True, ts="zeit", errors=errors)

    with errors.open(newline="") as report:
        assert [row[:2] for row in csv.reader(report)][1:] == [
            ["2", "invalid_value"],
            ["3", "invalid_timestamp"],
            ["4", "unknown_sensor"],
        ]
    assert Reading.objects.count() == 1


def test_a_prefix_is_for_wide_files_only(plant, file):
    with pytest.raises(CommandError, match="--prefix is for --wide"):
        import_file(file("sensor,ts,value"), prefix="pump-7/")

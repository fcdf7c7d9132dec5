import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from equipment.models import Equipment, EquipmentClass, Site
from sensors.management.commands import import_readings
from sensors.models import Reading, ReadingBatch, RejectedReading, Sensor
from sensors.signals import readings_ingested
from smartmaint import clock


@pytest.fixture
def sensor(organization) -> Sensor:
    equipment = Equipment.objects.create(
        organization=organization,
        site=Site.objects.create(organization=organization, name="Works"),
        equipment_class=EquipmentClass.objects.for_organization(organization).get(code="PU"),
        tag="pump-7",
        name="Pump 7",
    )
    return Sensor.objects.create(
        organization=organization, equipment=equipment, key="pump-7/flow", quantity="volume flow", unit="m3/h"
    )


@pytest.fixture
def file(tmp_path):
    """Writes a file of lines and returns its path."""

    def write(*lines: str, encoding: str = "utf-8"):
        path = tmp_path / "readings.csv"
        path.write_text("\n".join(lines), encoding=encoding)
        return path

    return write


def import_file(path, *, organization: str = "riverside-foods", **options) -> str:
    lines = StringIO()
    call_command("import_readings", path, organization=organization, stdout=lines, **options)
    return lines.getvalue()


def hour(number: int) -> str:
    return (clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=number)).isoformat()


@pytest.fixture
def small_blocks(monkeypatch) -> None:
    """Files of a few lines in several transactions."""
    monkeypatch.setattr(import_readings, "LINES_AT_ONCE", 10)


def test_readings_are_stored_as_history_in_the_sensors_unit(sensor, file):
    path = file(
        "sensor,ts,value,unit",
        f"pump-7/flow,{hour(2)},10,m3/h",
        f"pump-7/flow,{hour(1)},1,m3/min",
    )

    printed = import_file(path)

    assert list(Reading.objects.values_list("value", flat=True)) == pytest.approx([10, 60])
    assert ReadingBatch.objects.get().is_historical
    assert "2 readings: 2 inserted, 0 updated, 0 unchanged, 0 rejected" in printed


def test_an_import_that_is_started_again_changes_nothing(sensor, file):
    path = file("sensor,ts,value", *(f"pump-7/flow,{hour(number)},{number}" for number in range(1, 30)))
    import_file(path)

    printed = import_file(path)

    assert "29 readings: 0 inserted, 0 updated, 29 unchanged, 0 rejected" in printed
    assert Reading.objects.count() == 29
    assert ReadingBatch.objects.pending().count() == 1


def test_a_long_file_is_stored_in_several_transactions(sensor, file, small_blocks):
    lines = [f"pump-7/flow,{hour(number)},{number}" for number in range(1, 36)]
    lines[22] = "broken"
    printed = StringIO()

    with pytest.raises(CommandError, match="Refused lines: 1;"):
        call_command(
            "import_readings", file("sensor,ts,value", *lines), organization="riverside-foods", stdout=printed
        )

    assert printed.getvalue().splitlines() == [
        "line 24: invalid_row: The line has 1 fields, the header 3.",
        "35 readings: 34 inserted, 0 updated, 0 unchanged, 1 rejected",
    ]
    assert list(ReadingBatch.objects.order_by("pk").values_list("received", flat=True)) == [10, 10, 10, 5]
    assert set(ReadingBatch.objects.values_list("format", flat=True)) == {"CSV"}
    assert list(Reading.objects.order_by("-ts").values_list("value", flat=True)) == [
        number for number in range(1, 36) if number != 23
    ]


def test_an_import_that_was_stopped_goes_on_where_it_was(sensor, file, small_blocks):
    path = file("sensor,ts,value", *(f"pump-7/flow,{hour(number)},{number}" for number in range(1, 36)))

    def stop_in_the_third(batch: ReadingBatch, **_: object) -> None:
        if ReadingBatch.objects.count() == 3:
            raise KeyboardInterrupt

    readings_ingested.connect(stop_in_the_third)
    try:
        with pytest.raises(CommandError, match="goes on where it was") as stopped:
            import_file(path)
    finally:
        readings_ingested.disconnect(stop_in_the_third)

    assert stopped.value.returncode == 130
    assert Reading.objects.count() == 20
    assert "35 readings: 15 inserted, 0 updated, 20 unchanged, 0 rejected" in import_file(path)


def test_live_readings_are_not_history(sensor, file):
    import_file(file("sensor,ts,value", f"pump-7/flow,{hour(1)},1"), historical=False)

    assert not ReadingBatch.objects.get().is_historical


def test_refused_lines_are_reported_by_number_and_the_rest_is_stored(sensor, file, tmp_path):
    path = file(
        "sensor,ts,value,unit",
        f"pump-7/flow,{hour(1)},1,m3/h",
        f"pump-9/flow,{hour(1)},1,m3/h",
        f"pump-7/flow,{hour(2)},much,m3/h",
        f"pump-7/flow,{hour(3)},1,Cel",
        "pump-7/flow,1999-01-01T00:00:00Z,1,m3/h",
    )
    errors = tmp_path / "errors.csv"

    with pytest.raises(CommandError, match=r"Refused lines: 4; .*errors\.csv tells why") as refused:
        import_file(path, errors=errors)

    assert refused.value.returncode == 1
    assert Reading.objects.count() == 1
    with errors.open(newline="") as report:
        header, *rows = csv.reader(report)
    assert header == ["line", "code", "detail"]
    assert [row[:2] for row in rows] == [
        ["3", "unknown_sensor"],
        ["4", "invalid_value"],
        ["5", "unit_mismatch"],
        ["6", "timestamp_out_of_range"],
    ]


@pytest.mark.parametrize("wide", [False, True])
def test_a_time_without_an_offset_asks_for_the_zone(sensor, file, wide):
    printed = StringIO()
    header, line = ("ts,pump-7/flow", "{},1") if wide else ("sensor,ts,value", "pump-7/flow,{},1")
    path = file(header, line.format("2026-11-22T10:00:00"))

    with pytest.raises(CommandError, match="Refused lines: 1"):
        call_command("import_readings", path, organization="riverside-foods", wide=wide, stdout=printed)

    assert "timestamp_naive: The timestamp has no offset from UTC: give --zone" in printed.getvalue()
    assert "key" not in printed.getvalue()
    assert "--zone" in RejectedReading.objects.get().detail


def test_without_a_report_file_the_first_refusals_are_printed(sensor, file):
    printed = StringIO()
    path = file("sensor,ts,value", *(f"nobody,{hour(number)},1" for number in range(1, 31)))

    with pytest.raises(CommandError, match="Refused lines: 30"):
        call_command("import_readings", path, organization="riverside-foods", stdout=printed)

    lines = printed.getvalue().splitlines()
    assert lines[0] == 'line 2: unknown_sensor: There is no sensor "nobody".'
    assert lines[19].startswith("line 21:")
    assert lines[20] == "30 readings: 0 inserted, 0 updated, 0 unchanged, 30 rejected"


def test_columns_and_the_zone_of_local_times_are_options(sensor, file):
    path = file("Zeit;Messstelle;Wert", "2026-07-01 12:00;pump-7/flow;5")

    call_command(
        "import_readings",
        path,
        "--organization=riverside-foods",
        "--zone=Europe/Berlin",
        "--time-column=Zeit",
        "--sensor-column=Messstelle",
        "--value-column=Wert",
        stdout=StringIO(),
    )

    assert Reading.objects.get().ts.isoformat() == "2026-07-01T10:00:00+00:00"


def test_no_border_of_a_block_loses_the_hour_that_repeats(sensor, file, small_blocks):
    """The second block begins with it."""
    evening = [f"2026-10-24T{hour}:00" for hour in range(16, 24)]
    night = [f"2026-10-25T{hour}:00" for hour in ("00", "01", "02", "02", "03")]
    path = file("sensor,ts,value", *(f"pump-7/flow,{time},1" for time in evening + night))

    with clock.frozen(datetime(2026, 11, 22, tzinfo=UTC)):
        import_file(path, zone="Europe/Berlin")

    assert Reading.objects.count() == 13
    hours = Reading.objects.order_by("ts").values_list("ts__hour", flat=True)
    assert list(hours)[-5:] == [22, 23, 0, 1, 2]


def test_another_organisations_sensors_are_unknown(sensor, other_organization, file):
    path = file("sensor,ts,value", f"pump-7/flow,{hour(1)},1")

    with pytest.raises(CommandError, match="Refused lines: 1;"):
        import_file(path, organization="northwind-quarry")
    assert not Reading.objects.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"organization": "nobody"}, "no organisation 'nobody'; there are: riverside-foods"),
        ({"zone": "Mars/Olympus"}, "no time zone"),
        ({"errors": "/nowhere/errors.csv"}, "/nowhere/errors.csv: No such file"),
        ({"ts": "time"}, "no column 'time'"),
    ],
)
def test_options_that_cannot_be_meant_are_told_in_one_line(sensor, file, options, words):
    options = {name: Path(value) if name == "errors" else value for name, value in options.items()}
    with pytest.raises(CommandError, match=words):
        import_file(file("sensor,ts,value", f"pump-7/flow,{hour(1)},1"), **options)


def test_a_missing_file_and_a_file_in_another_encoding_are_named(sensor, file, tmp_path):
    with pytest.raises(CommandError, match=r"no\.csv: No such file"):
        import_file(tmp_path / "no.csv")
    with pytest.raises(CommandError, match="UTF-16: save it as UTF-8"):
        import_file(file("sensor,ts,value", encoding="utf-16"))

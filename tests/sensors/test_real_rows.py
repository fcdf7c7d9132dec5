"""Rows as plants keep them: duplicates, an hour that the clock change doubles or leaves out, gaps, disorder."""

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from sensors.ingest.formats import wide_csv
from sensors.models import Reading, ReadingBatch, Sensor, SensorLatest
from sensors.storage import moment
from smartmaint import clock
from tests.plants import make_plant, make_sensor

NAB = Path(__file__).parents[2].parent / "shared" / "data" / "nab" / "data"
FILES = sorted(NAB.glob("*/*.csv"))
WITH_DEFECTS = [
    "realAWSCloudwatch/ec2_network_in_5abac7.csv",  # one moment twelve times, where the clocks went forward
    "realAdExchange/exchange-2_cpc_results.csv",
    "realTraffic/occupancy_t4013.csv",  # gaps of days
]
NEW_YORK = ZoneInfo("America/New_York")

pytestmark = pytest.mark.django_db


@pytest.fixture
def sensor(organization) -> Sensor:
    """Its key is what the files call their column, after a prefix."""
    plant = make_plant(organization)
    return make_sensor(plant.machine, "nab/value", quantity="something", unit="1")


def import_file(path: Path, *, zone: str, **options: object) -> Counter[str]:
    """Import a wide file with the clock at its newest day; returns the counts that were told, also of a refusal."""
    newest = max(line.split(",")[0] for line in path.read_text().splitlines()[1:] if line[:2] == "20")
    printed = StringIO()
    arrival = datetime.fromisoformat(newest).replace(tzinfo=UTC) + timedelta(days=1)
    with clock.frozen(arrival), suppress(CommandError):  # some lines were refused
        call_command(
            "import_readings",
            path,
            organization="riverside-foods",
            wide=True,
            prefix="nab/",
            zone=zone,
            stdout=printed,
            **options,
        )
    received, _, told = printed.getvalue().splitlines()[-1].partition(" readings: ")
    counts = {
        name: int(number.replace(",", "")) for number, name in (one.split() for one in told.split(", "))
    }
    return Counter(counts, received=int(received.replace(",", "")))


def written_in(path: Path) -> dict[datetime, float]:
    """Time, as written, to the last value that a file has for it, in the order of the file."""
    rows = (line.split(",") for line in path.read_text().splitlines()[1:])
    return {datetime.fromisoformat(ts): float(value) for ts, value in rows}


def stored(sensor: Sensor) -> list[tuple[datetime, float]]:
    return list(Reading.objects.filter(sensor=sensor).order_by("ts").values_list("ts", "value"))


needs_nab = pytest.mark.skipif(
    not FILES, reason=f"The files of the Numenta Anomaly Benchmark are not in {NAB}."
)


@needs_nab
def test_every_line_of_every_file_is_read():
    for path in FILES:
        with path.open("rb") as stream:
            blocks = list(wide_csv.read_blocks(stream, zone=ZoneInfo("UTC")))
        read = {
            moment(ts_us).replace(tzinfo=None): value
            for block in blocks
            for ts_us, value in zip(block.ts_us, block.values.tolist(), strict=True)
        }
        assert read == written_in(path), path.name
        assert sum(len(block.refusals) for block in blocks) == 0, path.name


@needs_nab
@pytest.mark.parametrize("name", WITH_DEFECTS)
def test_a_file_with_doubled_times_is_stored_as_it_is(sensor, name):
    path = NAB / name
    rows = sorted((ts.replace(tzinfo=UTC), value) for ts, value in written_in(path).items())
    lines = len(path.read_text().splitlines()) - 1
    assert lines > len(rows)

    first = import_file(path, zone="UTC")
    again = import_file(path, zone="UTC")

    assert stored(sensor) == rows
    assert first == Counter(received=lines, inserted=len(rows), unchanged=lines - len(rows))
    assert again == Counter(received=lines, unchanged=lines)
    assert SensorLatest.objects.get(sensor=sensor).ts == rows[-1][0]


@needs_nab
def test_the_hour_that_repeats_at_one_moment_keeps_its_last_value(sensor):
    """The clocks went forward at two; what was measured in the hour after it all has the time of three."""
    path = NAB / "realKnownCause" / "ec2_request_latency_system_failure.csv"

    import_file(path, zone="America/New_York")

    three = datetime(2014, 3, 9, 3, tzinfo=NEW_YORK).astimezone(UTC)
    around = [row for row in stored(sensor) if abs(row[0] - three) <= timedelta(minutes=5)]
    assert around == [
        (three - timedelta(minutes=4), 44.038000000000004),
        (three, 47.09),
        (three + timedelta(minutes=1), 45.961999999999996),
    ]


def made_up(path: Path) -> Path:
    """A file with the same defects: lines twice, two values of one time, gaps, an hour doubled and one left out."""
    path.write_text(
        "timestamp,value\n"
        "2025-11-01 23:00:00,1.0\n"
        "2025-11-01 23:00:00,1.0\n"  # the same line twice
        "2025-11-01 23:30:00,2.0\n"
        "2025-11-01 23:30:00,3.0\n"  # one time with two values
        "2025-11-02 00:30:00,4.0\n"
        "2025-11-02 01:00:00,5.0\n"
        "2025-11-02 01:30:00,6.0\n"
        "2025-11-02 01:00:00,7.0\n"  # the clocks went back at two
        "2025-11-02 01:30:00,8.0\n"
        "2025-11-02 02:00:00,9.0\n"
        "2025-11-01 22:30:00,10.0\n"  # late
        "2025-11-09 00:00:00,\n"  # nothing was measured
        "2026-03-08 01:30:00,11.0\n"  # a gap of months
        "2026-03-08 02:30:00,12.0\n"  # there was no such time
        "2026-03-08 03:00:00,13.0\n"
    )
    return path


def test_a_made_up_file_with_the_same_defects_in_a_zone(sensor, tmp_path):
    path = made_up(tmp_path / "defects.csv")
    errors = tmp_path / "errors.csv"

    counts = import_file(path, zone="America/New_York", errors=errors)

    local = [(ts.astimezone(NEW_YORK).strftime("%m-%d %H:%M %Z"), value) for ts, value in stored(sensor)]
    assert local == [
        ("11-01 22:30 EDT", 10),
        ("11-01 23:00 EDT", 1),
        ("11-01 23:30 EDT", 3),
        ("11-02 00:30 EDT", 4),
        ("11-02 01:00 EDT", 5),
        ("11-02 01:30 EDT", 6),
        ("11-02 01:00 EST", 7),
        ("11-02 01:30 EST", 8),
        ("11-02 02:00 EST", 9),
        ("03-08 01:30 EST", 11),
        ("03-08 03:00 EDT", 13),
    ]
    assert counts == Counter(received=14, inserted=11, unchanged=2, rejected=1)
    assert errors.read_text().splitlines()[1].startswith("15,invalid_timestamp,")
    assert SensorLatest.objects.get(sensor=sensor).value == 13


def test_a_made_up_file_with_the_same_defects_in_utc(sensor, tmp_path):
    path = made_up(tmp_path / "defects.csv")

    assert import_file(path, zone="UTC") == Counter(received=14, inserted=10, unchanged=4)
    assert import_file(path, zone="UTC") == Counter(received=14, unchanged=14)
    assert len(stored(sensor)) == 10
    assert ReadingBatch.objects.pending().count() == 1

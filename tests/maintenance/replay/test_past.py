"""The files of a plant's past: what is read, and how what cannot be read is told."""

from datetime import UTC, datetime

import pytest

from maintenance.replay.mapping import PastUnreadable, read_mapping
from maintenance.replay.past import read_past
from sensors.storage import microseconds

READINGS = """datetime,machineID,volt,rotate
2015-01-01 07:00:00,2,170.5,450
2015-01-01 06:00:00,1,171,448.5
2015-01-01 06:00:00,1,172,
"""


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "PdM_telemetry.csv").write_text(READINGS)
    return tmp_path


def read(directory):
    return read_past(directory, read_mapping(directory))


def test_readings_alone_are_enough(directory):
    past = read(directory)

    assert past.kinds == {"1": "", "2": ""}
    told = {(one.machine, one.name): (one.ts_us.tolist(), one.values.tolist()) for one in past.series}
    six, seven = 1_420_092_000_000_000, 1_420_095_600_000_000
    assert told == {
        ("1", "volt"): ([six], [172.0]),  # of one moment the last line wins
        ("2", "volt"): ([seven], [170.5]),
        ("2", "rotate"): ([seven], [450.0]),
    }
    assert (past.begins_us, past.ends_us, past.readings) == (six, seven, 3)
    assert past.events == past.failures == past.maintenance == []


def test_events_failures_work_and_kinds_are_read_beside_them(directory):
    (directory / "PdM_errors.csv").write_text(
        "datetime,machineID,errorID\n2015-01-01 08:00:00,2,error1\n2015-01-01 07:00:00,9,error1\n"
    )
    (directory / "PdM_failures.csv").write_text("datetime,machineID,failure\n2015-01-01 08:00:00,2,comp4\n")
    (directory / "PdM_maint.csv").write_text("datetime,machineID,comp\n2014-01-01 08:00:00,1,comp1\n")
    (directory / "PdM_machines.csv").write_text("machineID,model,age\n1,model3,18\n9,model4,1\n")

    past = read(directory)

    assert [(one.machine, one.what) for one in past.events] == [("2", "error1")]  # of 9 nothing was measured
    assert [(one.machine, one.what) for one in past.failures] == [("2", "comp4")]
    assert [(one.machine, one.what) for one in past.maintenance] == [("1", "comp1")]
    assert past.kinds == {"1": "model3", "2": ""}


def test_a_small_file_maps_other_names(tmp_path):
    (tmp_path / "history.csv").write_text("when,asset,temp,note\n2015-01-01T06:00:00+01:00,P-1,20.5,ok\n")
    (tmp_path / "stops.csv").write_text("datetime,asset,why\n2015-06-01 06:00:00,P-1,bearing\n")
    (tmp_path / "replay.toml").write_text(
        """
        zone = "Europe/Berlin"
        [readings]
        file = "history.csv"
        time = "when"
        machine = "asset"
        sensors = ["temp"]
        [failures]
        file = "stops.csv"
        machine = "asset"
        mode = "why"
        [units]
        temp = "Cel"
        """
    )
    mapping = read_mapping(tmp_path)
    past = read_past(tmp_path, mapping)

    assert (mapping.zone.key, mapping.units) == ("Europe/Berlin", {"temp": "Cel"})
    assert [(one.machine, one.name, one.values.tolist()) for one in past.series] == [("P-1", "temp", [20.5])]
    assert past.series[0].ts_us[0] == 1_420_088_400_000_000
    assert past.failures[0].at_us == 1_433_131_200_000_000  # in summer Berlin is two hours ahead


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ("x = 1", "not one of"),
        ("zone = 'Nowhere/Land'", "no time zone"),
        ("[readings]\nfields = 'x'", "has no fields"),
        ("[readings]\ntime = 3", "is a name"),
        ("[readings]\nsensors = 'volt'", "a list of words"),
        ("[readings", "replay.toml"),
        ("[readings]\nfile = '/etc/passwd'", "a file beside it"),
        ("[events]\nfile = '../secret.csv'", "a file beside it"),
        ("[failures]\nfile = '..'", "a file beside it"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_told(directory, mapping, words):
    (directory / "replay.toml").write_text(mapping)
    with pytest.raises(PastUnreadable, match=words):
        read(directory)


@pytest.mark.parametrize(
    ("readings", "words"),
    [
        ("", "PdM_telemetry.csv"),
        ("datetime,machineID,volt\n", "no reading"),
        ("datetime;machineID\n1;2;3;4;5\n", "PdM_telemetry.csv"),
        ("datetime,machine,volt\n2015-01-01 06:00:00,1,2\n", "no column 'machineID'"),
        (
            "datetime,machineID,volt\n2015-01-01 06:00:00,1,2\nyesterday,1,2\n",
            "row 2 of the data: 'yesterday' cannot be read as a time such as",
        ),
        ("datetime,machineID,volt\n,1,2\n", "row 1 of the data: '' cannot be read"),
        ("datetime,machineID,volt\n99999-01-01,1,2\n", "'99999-01-01' cannot be read"),
        (
            "datetime,machineID,volt\n2015-01-01T06:00:00+01:00,1,2\n2015-01-01T06:00:00,1,2\n",
            "some times have an offset and some have none",
        ),
        ("datetime,machineID,volt\n0215-01-01 06:00,1,2\n", "'0215-01-01 06:00' is not between the years"),
        (
            "datetime,machineID,volt\n2015-01-01 06:00:00,1,nan\n2015-01-01 07:00:00,1,high\n",
            "'volt' holds 'high', which is no number",
        ),
        (f"datetime,machineID,volt\n2015-01-01 06:00:00,{'x' * 51},1\n", "1 to 50 characters"),
    ],
)
def test_readings_that_cannot_be_used_are_told(directory, readings, words):
    (directory / "PdM_telemetry.csv").write_text(readings)
    with pytest.raises(PastUnreadable, match=words):
        read(directory)


def test_semicolons_part_cells_and_then_commas_decimals(directory):
    (directory / "PdM_telemetry.csv").write_text("datetime;machineID;volt\n2015-01-01 06:00:00; 1 ;170,5\n")
    (series,) = read(directory).series
    assert (series.machine, series.values.tolist()) == ("1", [170.5])


def test_words_that_mean_no_reading_can_be_named(directory):
    (directory / "PdM_telemetry.csv").write_text(
        "datetime,machineID,volt\n2015-01-01 06:00:00,1,Bad\n2015-01-01 07:00:00,1,3\n"
    )
    (directory / "replay.toml").write_text('[readings]\nmissing = ["Bad", "ERR"]\n')
    (series,) = read(directory).series
    assert series.values.tolist() == [3.0]


def test_what_is_of_no_machine_or_another_time_is_told(directory):
    (directory / "PdM_failures.csv").write_text(
        "datetime,machineID,failure\n2015-01-01 07:00:00,A9,comp1\n2015-06-01 08:00:00,2,comp1\n"
    )
    past = read(directory)
    assert past.left_out == [
        "PdM_failures.csv: 1 of machines without readings: A9.",
        "PdM_failures.csv: 1 before the first reading or after the last.",
    ]


@pytest.mark.parametrize(
    "times",
    [
        ["2015-03-29T01:59:00+01:00", "2015-03-29T03:01:00+02:00"],
        ["2015-03-29T00:59:00Z", "2015-03-29 03:01:00+0200"],
        ["2015-03-29T00:59:00Z", "2015-03-29T01:01:00.000Z"],
        [" 2015-03-29T01:59:00+01:00 ", "2015-03-29T03:01:00+02:00 "],
        ["2015-03-29T01:59:00+01", "2015-03-29T03:01:00+2:00"],
    ],
)
def test_each_time_may_have_its_own_offset(directory, times):
    rows = "".join(f"{time},1,2\n" for time in times)
    (directory / "PdM_telemetry.csv").write_text(f"datetime,machineID,volt\n{rows}")
    (series,) = read(directory).series
    assert (series.ts_us - microseconds(datetime(2015, 3, 29, 1, tzinfo=UTC))).tolist() == [-60e6, 60e6]


def test_a_directory_without_readings_is_told(tmp_path):
    with pytest.raises(PastUnreadable, match="there is no such file"):
        read(tmp_path)

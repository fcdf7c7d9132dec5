"""Local times of the hour that repeats when the clocks go back, told apart by their order and their arrival."""

import json
from zoneinfo import ZoneInfo

import pytest

from sensors.ingest.formats import csv, ndjson, thingsboard, wide_csv
from sensors.ingest.formats import json as json_format
from sensors.ingest.parsed import ParsedReadings
from sensors.ingest.repeated_hour import RepeatedHour, resolve_request
from sensors.ingest.timestamps import timestamp_us

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clocks go back by half an hour, at two


def us(local: str) -> int:
    """Of "02:30 +02", on the day of the change."""
    time, offset = local.split()
    return timestamp_us(f"2026-10-25T{time}:00{offset}:00")


def body(times: list[str], sensor: str = "a", day: str = "2026-10-25") -> list[dict]:
    return [
        {"sensor": sensor, "ts": f"{day}T{time}:00", "value": float(number)}
        for number, time in enumerate(times)
    ]


def read(rows: list[dict], zone: ZoneInfo = BERLIN) -> ParsedReadings:
    return json_format.parse(json.dumps({"readings": rows}).encode(), zone=zone)


def passes(parsed: ParsedReadings, times: list[str], day: str = "2026-10-25", zone: ZoneInfo = BERLIN) -> str:
    """For each row 1 or 2, and "." where the time occurs once."""
    assert parsed.again_us is None
    told = []
    for time, ts_us in zip(times, parsed.ts_us.tolist(), strict=True):
        first_us = timestamp_us(f"{day}T{time}:00", zone=zone)
        again_us = getattr(first_us, "again_us", None)
        told.append(
            "." if again_us is None else "1" if ts_us == first_us else "2" if ts_us == again_us else "?"
        )
    return "".join(told)


BY_ORDER = [
    ("01:45 02:00 02:15 02:30 02:45 02:00 02:15 02:30 02:45 03:00", ".11112222."),
    ("02:00 02:30 02:00 02:30", "1122"),
    ("02:00 02:40 02:30 02:45 02:05", "11112"),  # one is a little late
    ("02:00 02:45 02:00 01:50 02:15 03:00", "112.2."),  # one is late
    ("01:50 02:00 02:59 03:00", ".11."),
    ("00:30 01:30 02:30 02:30 03:30", "..12."),  # by the hour
    ("02:29 02:30 02:30 02:31", "1111"),  # the same twice, of one that sends by the minute
    ("02:10 03:10", "1."),
    ("01:30 02:10 02:50 02:30 03:10", ".112."),  # every 40 minutes
    ("01:29 02:11 02:51 02:29 03:10", ".112."),  # the same, not quite
    ("01:51 02:26 02:01 02:36 03:11", ".122."),  # every 35
    ("01:31 02:30 02:29 03:28", ".12."),  # every 59
    ("02:15 02:00 02:45 02:30", "1111"),  # every second one is late
    ("00:30 02:30 02:30 03:30", ".12."),  # by the hour, with a gap
    ("01:00 02:10 02:09 02:11 02:12", ".1111"),  # by the minute after a gap, one is late
    ("01:00 02:10 02:11 02:11 02:12", ".1111"),  # and the same twice
]


@pytest.mark.parametrize(("times", "expected"), BY_ORDER)
def test_of_old_data_the_order_tells_the_pass(times, expected):
    times = times.split()
    assert passes(RepeatedHour().resolve(read(body(times))), times) == expected


@pytest.mark.parametrize(("times", "expected"), BY_ORDER)
def test_a_file_that_is_read_in_parts_comes_to_the_same(times, expected):
    times = times.split()
    repeated_hour = RepeatedHour()
    told = [passes(repeated_hour.resolve(read(body([time]))), [time]) for time in times]
    assert "".join(told) == expected


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_of_sensors_that_send_by_the_hour_no_border_of_a_part_loses_any(size):
    """Sorted by time, as a historian writes them; "b" has a gap, and nothing in the part where the hour begins."""
    times = ["00:00", "01:00", "02:00", "02:00", "03:00"]
    file = [row for time in times for row in (*body([time]), *(body([time], "b") if time != "01:00" else ()))]
    repeated_hour = RepeatedHour()
    parts = [repeated_hour.resolve(read(file[begin : begin + size])) for begin in range(0, len(file), size)]
    moments = [
        (part.keys[key], ts_us)
        for part in parts
        for key, ts_us in zip(part.key_of_row, part.ts_us, strict=True)
    ]
    assert len(set(moments)) == len(file)


@pytest.mark.parametrize("in_parts", [False, True])
def test_the_year_before_tells_nothing_of_a_sensor(in_parts):
    """A duplicate is one, however long ago the reading before it was."""
    rows = [*body(["02:30"], day="2025-10-26"), *body(["02:30", "02:30"])]
    repeated_hour = RepeatedHour()
    parts = [repeated_hour.resolve(read(part)) for part in ([[row] for row in rows] if in_parts else [rows])]
    assert [int(ts_us) for part in parts for ts_us in part.ts_us][1:] == [us("02:30 +02")] * 2


def test_a_straggler_does_not_end_the_hour():
    rows = [*body(["02:00", "02:30", "02:00"]), *body(["12:00"], day="2026-10-20"), *body(["02:30", "03:00"])]
    resolved = RepeatedHour().resolve(read(rows))
    assert resolved.ts_us[4:].tolist() == [us("02:30 +01"), us("03:00 +01")]


def test_later_data_at_the_top_of_a_file_do_not_make_all_others_late():
    times = ["00:30", "01:30", "02:30", "02:30", "03:30"]
    resolved = RepeatedHour().resolve(read([*body(["12:00"], day="2026-11-20"), *body(times)]))
    assert resolved.ts_us[3:5].tolist() == [us("02:30 +02"), us("02:30 +01")]


def test_of_history_the_arrival_tells_nothing():
    rows = {"readings": body(["02:30"]), "historical": True}
    parsed = json_format.parse(json.dumps(rows).encode(), zone=BERLIN)
    assert passes(resolve_request(parsed, arrived_us=us("02:30 +01")), ["02:30"]) == "1"


def test_each_sensor_has_an_order_of_its_own():
    times = ["02:30", "02:45", "02:00", "02:15"]
    interleaved = [row for rows in zip(body(times), body(times[::-1], "b"), strict=True) for row in rows]
    parsed = RepeatedHour().resolve(read(interleaved))
    assert passes(parsed, [row["ts"][11:16] for row in interleaved]) == "11112121"


def test_one_sensor_after_the_other_is_no_step_back():
    times = ["02:00", "02:30", "02:59"]
    parsed = RepeatedHour().resolve(read(body(times) + body(times, "b")))
    assert passes(parsed, times * 2) == "111111"


def test_times_with_an_offset_are_what_they_say():
    rows = [
        {"sensor": "a", "ts": f"2026-10-25T02:{minute}:00{offset}", "value": 1.0}
        for minute, offset in ((50, "+01:00"), (10, "+02:00"))
    ]
    parsed = resolve_request(read(rows), arrived_us=us("02:55 +01"))
    assert parsed.ts_us.tolist() == [us("02:50 +01"), us("02:10 +02")]


def test_half_an_hour_that_repeats():
    times, day = ["01:20", "01:30", "01:50", "01:30", "01:50", "02:00"], "2026-04-05"
    parsed = RepeatedHour().resolve(read(body(times, day=day), LORD_HOWE))
    assert passes(parsed, times, day, LORD_HOWE) == ".1122."


@pytest.mark.parametrize(
    ("times", "arrival", "expected"),
    [
        ("02:30", "02:30 +02", "1"),
        ("02:30", "02:30 +01", "2"),
        ("02:30", "02:29 +01", "2"),  # the device's clock runs a little ahead
        ("02:30", "02:28 +01", "1"),
        ("02:30", "02:29 +02", "1"),
        ("02:10 02:40", "02:41 +01", "22"),
        ("02:10 02:40", "02:41 +02", "11"),
        ("02:50 03:00 03:05", "03:06 +01", "2.."),
        ("01:50 02:00 02:05", "02:06 +02", ".11"),
        ("01:50 02:00 02:05", "02:06 +01", ".11"),  # a buffer that comes late
        ("02:50 02:10", "02:51 +02", "11"),  # out of order, the second pass has not begun
        ("02:50 02:10", "02:11 +01", "12"),
        ("02:50 02:00 02:10", "03:30 +01", "122"),
    ],
)
def test_of_live_readings_the_arrival_tells_the_pass(times, arrival, expected):
    times = times.split()
    parsed = resolve_request(read(body(times)), arrived_us=us(arrival))
    assert passes(parsed, times) == expected


TIMES = [
    "01:59",
    *(f"02:{minute:02}" for minute in range(60)),
    *(f"02:{minute:02}" for minute in range(60)),
    "03:00",
]
CELLS = [f"2026-10-25T{time}:00,{number}" for number, time in enumerate(TIMES)]


@pytest.mark.parametrize(
    "parsed",
    [
        read(body(TIMES)),
        ndjson.parse("\n".join(map(json.dumps, body(TIMES))).encode(), zone=BERLIN),
        csv.parse("\n".join(["sensor,ts,value", *(f"a,{cells}" for cells in CELLS)]).encode(), zone=BERLIN),
        wide_csv.parse("\n".join(["ts,a", *CELLS]).encode(), zone=BERLIN),
        thingsboard.parse(
            json.dumps([{"ts": row["ts"], "values": {"a": row["value"]}} for row in body(TIMES)]).encode(),
            zone=BERLIN,
        ),
    ],
    ids=["JSON", "NDJSON", "CSV", "wide CSV", "ThingsBoard"],
)
def test_every_format_with_local_times_tells_both_passes(parsed):
    assert not parsed.refusals
    resolved = RepeatedHour().resolve(parsed)
    assert passes(resolved, TIMES) == "." + "1" * 60 + "2" * 60 + "."
    assert len(set(resolved.ts_us.tolist())) == len(TIMES)

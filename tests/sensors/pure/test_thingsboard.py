import json
from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.formats.thingsboard import parse, parse_gateway
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings
from smartmaint import clock

TS_MS = 1_795_341_600_000  # 2026-11-22T10:00:00Z
TS_US = TS_MS * 1_000
NOW_US = TS_US + 30_000_000


def device(body: object, **options) -> ParsedReadings:
    return parse(json.dumps(body).encode(), **({"device": "Pump 7", "now_us": NOW_US} | options))


def gateway(body: object) -> ParsedReadings:
    return parse_gateway(json.dumps(body).encode(), now_us=NOW_US)


def readings(parsed: ParsedReadings) -> list[tuple[str, int, float]]:
    keys = [parsed.keys[number] for number in parsed.key_of_row]
    return list(zip(keys, parsed.ts_us.tolist(), parsed.values.tolist(), strict=True))


def refusals(parsed: ParsedReadings) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_values_alone_are_of_the_time_of_arrival():
    parsed = device({"temperature": 21.5, "speed": 1480})

    assert readings(parsed) == [("Pump 7/temperature", NOW_US, 21.5), ("Pump 7/speed", NOW_US, 1480)]
    assert (parsed.index.tolist(), parsed.quality.tolist()) == ([0, 1], [0, 0])
    assert (parsed.units, parsed.refusals, parsed.historical) == ([None], [], False)


def test_without_a_moment_of_arrival_the_clock_counts():
    with clock.frozen(datetime(2026, 11, 22, 10, 0, 0, 250_001, tzinfo=UTC)):
        assert parse(b'{"a": 1}').ts_us.tolist() == [TS_US + 250_001]


def test_values_may_have_a_time():
    assert readings(device({"ts": TS_MS, "values": {"temperature": 21.5}})) == [
        ("Pump 7/temperature", TS_US, 21.5)
    ]


def test_a_list_may_hold_both_shapes():
    parsed = device(
        [{"ts": TS_MS, "values": {"a": 1, "b": 2}}, {"a": 3}, {"ts": TS_MS + 1, "values": {"a": 4}}]
    )

    assert readings(parsed) == [
        ("Pump 7/a", TS_US, 1),
        ("Pump 7/b", TS_US, 2),
        ("Pump 7/a", NOW_US, 3),
        ("Pump 7/a", TS_US + 1_000, 4),
    ]
    assert parsed.index.tolist() == [0, 1, 2, 3]


def test_a_device_without_a_name_sends_under_the_names_alone():
    assert readings(device({"pump-7/flow": 1}, device="")) == [("pump-7/flow", NOW_US, 1)]


def test_a_gateway_names_its_devices():
    parsed = gateway(
        {"Pump 7": [{"ts": TS_MS, "values": {"a": 1}}, {"b": 2}], "Fan 4": {"ts": TS_MS, "values": {"a": 3}}}
    )

    assert readings(parsed) == [("Pump 7/a", TS_US, 1), ("Pump 7/b", NOW_US, 2), ("Fan 4/a", TS_US, 3)]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (True, 1),
        (False, 0),
        ("21.5", 21.5),
        ("-7", -7),
        (".5", 0.5),
        ("007", 7),
        (10**30, 1e30),
    ],
)
def test_what_thingsboard_takes_for_a_number_is_one(value, read):
    assert readings(device({"a": value})) == [("Pump 7/a", NOW_US, read)]


@pytest.mark.parametrize(
    "value",
    ["on", "", "1e5", "+1", "1.", "0x10", "1 ", "٣", "NaN", {"x": 1}, [1], [], 10**400, 1e101, "9" * 400],
)
def test_other_values_are_refused_alone(value):
    parsed = device({"a": 1, "b": value, "c": 2})

    assert [key for key, *_ in readings(parsed)] == ["Pump 7/a", "Pump 7/c"]
    assert refusals(parsed) == [(1, "invalid_value")]
    assert parsed.refusals[0].raw.startswith('"b":')


def test_a_bare_nan_is_refused_alone():
    parsed = parse(b'{"a": 1, "b": NaN}')
    assert ([key for key, *_ in readings(parsed)], refusals(parsed)) == (["a"], [(1, "invalid_value")])


def test_null_is_left_out():
    parsed = device({"a": None, "b": 1})
    assert (readings(parsed), parsed.received, parsed.index.tolist()) == ([("Pump 7/b", NOW_US, 1)], 1, [0])


@pytest.mark.parametrize(
    "ts", [TS_MS, str(TS_MS), float(TS_MS), TS_MS // 1000, "2026-11-22T10:00:00Z", "2026-11-22T11:00:00"]
)
def test_times_are_milliseconds_and_other_ways_are_understood(ts):
    parsed = device({"ts": ts, "values": {"a": 1}}, zone=ZoneInfo("Europe/Berlin"))
    assert readings(parsed) == [("Pump 7/a", TS_US, 1)]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        (
            {"ts": "yesterday", "values": {"a": 1, "b": 2}},
            [(1, "invalid_timestamp"), (2, "invalid_timestamp")],
        ),
        ({"ts": None, "values": {"a": 1}}, [(1, "invalid_timestamp")]),
        ({"ts": True, "values": {"a": 1}}, [(1, "invalid_timestamp")]),
        ({"ts": 10**400, "values": {"a": 1}}, [(1, "invalid_timestamp")]),
        ({"ts": "9" * 30, "values": {"a": 1}}, [(1, "invalid_timestamp")]),
        ({"ts": "2026-11-22T10:00:00", "values": {"a": 1}}, [(1, "timestamp_naive")]),
        ({"ts": TS_MS, "temperature": 1}, [(1, "invalid_row")]),
        ({"ts": TS_MS, "values": [1]}, [(1, "invalid_row")]),
        ({"values": {"a": 1}}, [(1, "invalid_value")]),
        ({"": 1}, []),
        ({"a\0": 1}, [(1, "invalid_sensor")]),
        ({"a" * 200: 1}, [(1, "invalid_sensor")]),
        (5, [(1, "invalid_row")]),
        ([], [(1, "invalid_row")]),
        (None, [(1, "invalid_row")]),
        ({}, []),
        ({"ts": TS_MS, "values": {}}, []),
    ],
)
def test_what_cannot_be_read_is_refused_alone(entry, found):
    parsed = device([{"z": 0}, entry, {"z": 2}])

    assert refusals(parsed) == found
    assert [value for key, _, value in readings(parsed) if key == "Pump 7/z"] == [0, 2]


def test_a_device_of_a_gateway_that_sends_no_list_is_refused_alone():
    parsed = gateway({"A": 5, "B": [{"a": 1}], "": {"c": 1}})
    assert (refusals(parsed), readings(parsed)) == (
        [(0, "invalid_row")],
        [("B/a", NOW_US, 1), ("c", NOW_US, 1)],
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"5",
        b'"a"',
        b"null",
        b'{"a": 1',
        b'{"a": nan}',
        b'{"a": "\xff"}',
        b'{"a": "\0"}',
        b'{"\\ud800": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    ],
)
def test_a_body_that_is_not_json_of_that_shape_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse(body)
    with pytest.raises(MalformedBody):
        parse_gateway(body)


def test_a_gateway_sends_no_list():
    with pytest.raises(MalformedBody):
        parse_gateway(b"[]")


def test_more_than_ten_thousand_values_are_too_many():
    values = {str(number): number for number in range(MAX_READINGS)}
    assert device(values).received == MAX_READINGS
    for body in (values | {"more": 1}, [values, {"a": "on"}], [{"a": 1}] * (MAX_READINGS + 1)):
        with pytest.raises(TooManyReadings):
            device(body)
    with pytest.raises(TooManyReadings):
        gateway({"A": values, "B": [5]})
    with pytest.raises(TooManyReadings):
        parse(b"[" + b"{}," * 3_000_000 + b"{}]")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["ts", "values", "a"]) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(json_values)
def test_whatever_the_shape_readings_are_counted_without_a_gap(body):
    text = json.dumps(body, allow_nan=True).encode()
    for read in (parse, parse_gateway):
        with suppress(MalformedBody):
            parsed = read(text)
            seen = sorted([*parsed.index.tolist(), *(refusal.index for refusal in parsed.refusals)])
            assert seen == list(range(parsed.received))


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_else_is_raised(body):
    for text in (
        body,
        b'{"a":' + body + b"}",
        b'{"' + body + b'":1}',
        b'[{"ts":' + body + b',"values":{"a":1}}]',
    ):
        for read in (parse, parse_gateway):
            with suppress(MalformedBody, TooManyReadings):
                read(text)


@given(
    st.lists(
        st.tuples(
            st.text("abc:/-._19 ", min_size=1, max_size=10),
            st.integers(10**11, 4 * 10**12),
            st.floats(-1e100, 1e100) | st.booleans(),
        ),
    )
)
def test_what_is_written_is_read_back_exactly(written):
    parsed = device([{"ts": ts_ms, "values": {name: value}} for name, ts_ms, value in written])

    assert readings(parsed) == [
        (f"Pump 7/{name}", ts_ms * 1_000, float(value)) for name, ts_ms, value in written
    ]

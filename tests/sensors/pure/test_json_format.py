import contextlib
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensors.ingest.formats.json import by_row, parse
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings

TEN_O_CLOCK_US = 1_795_341_600_000_000  # 2026-11-22T10:00:00Z
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def body(*rows, **rest):
    return json.dumps({"readings": rows, **rest}).encode()


def row(**changes):
    return {"sensor": "pump-7/vibration", "ts": "2026-11-22T10:00:00Z", "value": 4.2} | changes


def readings(parsed: ParsedReadings) -> list[tuple]:
    """Everything of each reading, comparable (NaN equals no NaN, so values are told in words)."""
    return [
        (index, parsed.keys[key], ts_us, repr(value), quality, parsed.units[unit])
        for index, key, ts_us, value, quality, unit in zip(
            parsed.index.tolist(),
            parsed.key_of_row,
            parsed.ts_us.tolist(),
            parsed.values.tolist(),
            parsed.quality.tolist(),
            parsed.unit_of_row,
            strict=True,
        )
    ]


def refusal_codes(parsed):
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_a_full_row_becomes_one_element_of_each_array():
    parsed = parse(
        body(row(ts="2026-11-22T10:00:00.250Z", quality="uncertain", unit="mm/s"), historical=True)
    )
    assert parsed.index.tolist() == [0]
    assert parsed.keys == ["pump-7/vibration"]
    assert parsed.ts_us.tolist() == [TEN_O_CLOCK_US + 250_000]
    assert parsed.values.tolist() == [4.2]
    assert parsed.quality.tolist() == [1]
    assert parsed.units == ["mm/s"]
    assert parsed.historical is True
    assert parsed.received == 1
    assert parsed.refusals == []


def test_arrays_have_their_types_even_without_rows():
    parsed = parse(body())
    kinds = [parsed.index, parsed.key_of_row, parsed.ts_us, parsed.values, parsed.quality, parsed.unit_of_row]
    assert [array.dtype.str for array in kinds] == ["<i8", "<i8", "<i8", "<f8", "|i1", "<i8"]
    assert parsed.received == 0


def test_quality_unit_and_historical_have_defaults_and_unknown_keys_are_ignored():
    parsed = parse(body(row(colour="red"), batch=7))
    assert (parsed.quality.tolist(), parsed.units, parsed.historical) == ([0], [None], False)


def test_a_bad_row_stops_no_other():
    parsed = parse(body(row(), row(value="4.2"), row(value=5)))
    assert parsed.index.tolist() == [0, 2]
    assert parsed.values.tolist() == [4.2, 5.0]
    assert refusal_codes(parsed) == [(1, "invalid_value")]
    assert parsed.received == 3


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value": "4.2"}, "invalid_value"),
        ({"value": True}, "invalid_value"),
        ({"value": None}, "invalid_value"),
        ({"value": []}, "invalid_value"),
        ({"value": "NaN"}, "invalid_value"),
        ({"value": 10**30}, None),
        ({"value": "4.2", "quality": "bad"}, "invalid_value"),
        ({"ts": None}, "invalid_timestamp"),
        ({"ts": False}, "invalid_timestamp"),
        ({"ts": "2026-11-22"}, "invalid_timestamp"),
        ({"ts": "2026-W47-7T10:00:00Z"}, "invalid_timestamp"),
        ({"ts": "2026-02-30T10:00:00Z"}, "invalid_timestamp"),
        ({"ts": "2026-11-22T10:00:60Z"}, "invalid_timestamp"),
        ({"ts": "yesterday"}, "invalid_timestamp"),
        ({"ts": 10**21}, "invalid_timestamp"),
        ({"ts": "2026-11-22T10:00:00"}, "timestamp_naive"),
        ({"quality": 0}, "unknown_quality"),
        ({"quality": "fine"}, "unknown_quality"),
        ({"quality": "Good"}, None),
        ({"quality": None}, None),
        ({"unit": 5}, "unknown_unit"),
        ({"unit": ""}, "unknown_unit"),
        ({"unit": None}, None),
        ({"sensor": None}, "invalid_sensor"),
        ({"sensor": ""}, "invalid_sensor"),
        ({"sensor": "x" * 200}, None),
        ({"sensor": "x" * 201}, "invalid_sensor"),
        ({"sensor": "pump\u0000"}, "invalid_sensor"),
        ({"sensor": "Pumpe für Öl"}, None),
    ],
    ids=lambda part: str(part)[:40],
)
def test_each_field_is_refused_by_its_own_code(changes, code):
    parsed = parse(body(row(**changes)))
    assert refusal_codes(parsed) == ([(0, code)] if code else [])


@pytest.mark.parametrize(("field", "code"), [("value", "invalid_value"), ("ts", "invalid_timestamp")])
@pytest.mark.parametrize("number", ["1e400", "1" + "0" * 400, "-1" + "0" * 6000])
def test_a_number_that_nothing_can_hold_is_refused_by_its_field(field, code, number):
    fields = {"sensor": '"pump"', "ts": "0", "value": "1"} | {field: number}
    one_row = ",".join(f'"{name}":{text}' for name, text in fields.items())
    assert refusal_codes(parse(f'{{"readings":[{{{one_row}}}]}}'.encode())) == [(0, code)]


def test_a_refused_row_is_kept_as_it_was_sent():
    (refusal,) = parse(b'{"readings": [{"sensor": "a",  "ts": 0, "value": "much"}]}').refusals
    assert refusal.raw == '{"sensor": "a",  "ts": 0, "value": "much"}'


def test_a_missing_field_is_refused_by_its_code():
    parsed = parse(body({"ts": 0, "value": 1}, {"sensor": "a", "value": 1}, {"sensor": "a", "ts": 0}))
    assert refusal_codes(parsed) == [(0, "invalid_sensor"), (1, "invalid_timestamp"), (2, "invalid_value")]


def test_a_row_that_is_no_object_is_refused_alone():
    assert refusal_codes(parse(b'{"readings": [1, "a", [], null]}')) == [(i, "invalid_row") for i in range(4)]


@pytest.mark.parametrize("value", [None, "NaN", "Infinity", "-Infinity"])
def test_a_bad_reading_may_come_without_a_finite_value(value):
    parsed = parse(body(row(value=value, quality="bad")))
    assert parsed.quality.tolist() == [2]
    assert math.isnan(parsed.values[0])


def test_a_bare_number_as_quality_is_explained():
    assert "0 means good in OPC UA" in parse(body(row(quality=0))).refusals[0].detail


@pytest.mark.parametrize(
    "ts",
    [
        "2026-11-22T10:00:00Z",
        "2026-11-22t10:00:00z",
        "2026-11-22 10:00Z",
        "2026-11-22T11:00:00+01:00",
        "2026-11-22T04:30:00.000-0530",
        1_795_341_600,
        1_795_341_600.0,
        1_795_341_600_000,
        1_795_341_600_000_000,
        1_795_341_600_000_000_999,
    ],
)
def test_every_spelling_of_a_time_is_the_same_microsecond(ts):
    assert parse(body(row(ts=ts))).ts_us.tolist() == [TEN_O_CLOCK_US]


def test_digits_beyond_the_microsecond_are_cut_off():
    assert parse(body(row(ts="2026-11-22T10:00:00.123456999Z"))).ts_us.tolist() == [TEN_O_CLOCK_US + 123_456]


def test_a_naive_time_is_read_in_the_zone_of_the_key():
    parsed = parse(body(row(ts="2026-11-22T11:00:00")), zone=ZoneInfo("Europe/Berlin"))
    assert parsed.ts_us.tolist() == [TEN_O_CLOCK_US]


def test_of_a_local_time_that_occurs_twice_the_first_is_taken():
    parsed = parse(body(row(ts="2026-10-25T02:30:00")), zone=ZoneInfo("Europe/Berlin"))
    assert parsed.ts_us.tolist() == parse(body(row(ts="2026-10-25T00:30:00Z"))).ts_us.tolist()


def test_a_local_time_that_the_clock_change_leaves_out_is_refused():
    parsed = parse(body(row(ts="2026-03-29T02:30:00")), zone=ZoneInfo("Europe/Berlin"))
    assert refusal_codes(parsed) == [(0, "invalid_timestamp")]


@pytest.mark.parametrize("ts", ["0001-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_times_at_the_ends_of_the_calendar_raise_nothing(ts):
    for zone in ("Asia/Tokyo", "America/Lima"):
        assert parse(body(row(ts=ts)), zone=ZoneInfo(zone)).received == 1


@pytest.mark.parametrize(
    "malformed",
    [
        b"",
        b"readings",
        b"[]",
        b"{}",
        b'{"readings": {}}',
        b'{"readings": null}',
        b'{"readings": []} trailing',
        b'{"readings": [{"sensor": "a", "ts": 0, "value": Infinite}]}',
        b'{"readings": [NaN}',
        b'{"readings": [], "historical": "yes"}',
        b'{"readings": [], "historical": null}',
        b'{"readings": [], "x": "\xff"}',
        b'{"readings": [], "x": "\0"}',
        b'{"readings": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"readings": [], "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    ],
    ids=lambda malformed: malformed[:40],
)
def test_a_body_that_cannot_be_read_is_malformed(malformed):
    with pytest.raises(MalformedBody):
        parse(malformed)


@pytest.mark.parametrize("written", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize("count", [1, 50])
def test_what_python_writes_for_no_number_spoils_its_own_reading_alone(written, count):
    good = b",".join([b'{"sensor": "a", "ts": 0, "value": 1}'] * count)
    odd = b'{"sensor": "b", "ts": 0, "value": ' + written + b"}"
    bad = b'{"sensor": "c", "ts": 0, "quality": "bad", "value":' + written + b"}"
    parsed = parse(b'{"readings": [' + b",".join((good, odd, bad)) + b"]}")
    assert refusal_codes(parsed) == [(count, "invalid_value")]
    assert parsed.received == count + 2
    assert np.isnan(parsed.values[-1])


def test_words_in_quotes_are_left_as_they_are():
    """Also beside a number that has to be put into quotes."""
    parsed = parse(
        b'{"readings": [{"sensor": "a: NaN", "ts": 0, "value": 1}, {"sensor": "b", "ts": 0, "value": NaN}]}'
    )
    assert (parsed.received, parsed.keys[0]) == (2, "a: NaN")


def test_a_byte_order_mark_is_skipped():
    assert parse(b"\xef\xbb\xbf" + body(row())).received == 1


def test_ten_thousand_readings_are_taken_and_one_more_is_too_many():
    assert parse(body(*[row()] * MAX_READINGS)).received == MAX_READINGS
    with pytest.raises(TooManyReadings):
        parse(body(*[row()] * (MAX_READINGS + 1)))


def test_millions_of_tiny_elements_are_refused_before_they_are_decoded():
    with pytest.raises(TooManyReadings):
        parse(b'{"readings": [' + b"1," * 1_100_000 + b"1]}")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {},
    optional={
        "sensor": st.just("pump") | json_values,
        "ts": st.just(0) | st.datetimes().map(str) | json_values,
        "value": st.floats(-1e100, 1e100) | json_values,
        "quality": st.sampled_from(["good", "bad"]) | json_values,
        "unit": st.just("mm/s") | json_values,
    },
)


@given(st.lists(rows | json_values, max_size=6), st.sampled_from([None, ZoneInfo("Europe/Berlin")]))
@example([{"sensor": "pump", "ts": "0001-01-01 00:00", "value": 1}], ZoneInfo("Europe/Berlin"))
def test_every_row_is_accepted_or_refused_once(readings, zone):
    try:
        parsed = parse(json.dumps({"readings": readings}).encode(), zone=zone)
    except MalformedBody:
        return
    places = parsed.index.tolist() + [refusal.index for refusal in parsed.refusals]
    assert sorted(places) == list(range(len(readings)))
    assert parsed.received == len(readings)


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:readings0123\\u', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_malformed(junk):
    for candidate in (junk, b'{"readings": [' + junk + b"]}"):
        with contextlib.suppress(MalformedBody):
            parse(candidate)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200),
            st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)),
            st.integers(-14 * 60, 14 * 60),
            st.floats(-1e100, 1e100),
            st.sampled_from(["good", "uncertain", "bad"]),
        ),
        max_size=5,
    )
)
def test_what_was_sent_is_what_arrives(sent):
    moments = [moment.replace(tzinfo=timezone(timedelta(minutes=offset))) for _, moment, offset, _, _ in sent]
    parsed = parse(
        body(
            *(
                {"sensor": key, "ts": moment.isoformat(), "value": value, "quality": quality}
                for (key, _, _, value, quality), moment in zip(sent, moments, strict=True)
            )
        )
    )
    assert parsed.refusals == []
    assert [parsed.keys[number] for number in parsed.key_of_row] == [key for key, *_ in sent]
    assert parsed.ts_us.tolist() == [(moment - EPOCH) // timedelta(microseconds=1) for moment in moments]
    assert parsed.values.tolist() == [value for *_, value, _ in sent]
    assert parsed.quality.tolist() == [["good", "uncertain", "bad"].index(word) for *_, word in sent]


good_rows = st.fixed_dictionaries(
    {
        "sensor": st.sampled_from(["pump-7/vibration", "pump-7/flow", "Öl"]),
        "ts": st.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1)).map(lambda at: f"{at.isoformat()}Z")
        | st.integers(0, 59).map("2026-11-22T10:00:{:02}+01:00".format)
        | st.integers(-(10**17), 10**20 - 1)
        | st.floats(-1e17, 1e17),
        "value": st.floats(-1e100, 1e100) | st.integers(-(10**90), 10**90),
    },
    optional={
        "quality": st.sampled_from([None, "good", "Bad", "uncertain"]),
        "unit": st.sampled_from([None, "mm/s"]),
        "more": st.none(),
    },
)


@given(
    st.lists(good_rows, min_size=1, max_size=8),
    st.lists(rows | json_values, max_size=1),
    st.integers(10, 120),
    st.sampled_from([None, ZoneInfo("Europe/Berlin")]),
)
def test_many_rows_together_are_read_as_one_by_one(good, odd, count, zone):
    sent = [*(good[n % len(good)] for n in range(count)), *odd]
    written = json.dumps({"readings": sent, "historical": True}).encode()
    try:
        one_by_one = by_row(written, zone=zone)
    except MalformedBody:
        with pytest.raises(MalformedBody):
            parse(written, zone=zone)
        return
    together = parse(written, zone=zone)
    assert readings(together) == readings(one_by_one)
    assert together.refusals == one_by_one.refusals
    assert together.historical is True


@pytest.mark.parametrize(
    "odd",
    [
        b'{"sensor": "a", "ts": 0, "value": null}',
        b'{"sensor": "a", "ts": 0, "value": "NaN", "quality": "bad"}',
        b'{"sensor": "a", "ts": 0, "value": 1e400}',
        b'{"sensor": "a", "ts": 0, "value": -0}',
        b'{"sensor": "a", "ts": 0, "value": true}',
        b'{"sensor": "a", "ts": true, "value": 1}',
        b'{"sensor": "a", "ts": null, "value": 1, "ts": 5}',
        b'{"sensor": "", "ts": 0, "value": 1}',
        b'{"sensor": "a", "ts": 18446744073709551616, "value": 18446744073709551616}',
        b'{"sensor": "a", "ts": 0, "value": 1, "unit": ""}',
        b"[]",
    ],
)
def test_one_odd_row_among_many_changes_no_other(odd):
    some = b",".join([json.dumps(row()).encode()] * 50)
    parsed = parse(b'{"readings": [' + some + b"," + odd + b"," + some + b"]}")
    assert parsed.received == 101
    assert [one[1:] for one in readings(parsed) if one[0] != 50] == [
        ("pump-7/vibration", TEN_O_CLOCK_US, "4.2", 0, None)
    ] * 100
    assert [refusal.index for refusal in parsed.refusals] in ([], [50])

"""Machine events as they are posted: what is read, and what is refused and why."""

import json
from contextlib import suppress
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.events import MAX_MESSAGE, parse_csv, parse_json, read_csv
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, TooManyReadings

TEN = "2026-11-22T10:00:00Z"
TEN_US = 1_795_341_600_000_000


def posted(*events, **more) -> bytes:
    return json.dumps({"events": list(events)} | more).encode()


def event(**more) -> dict:
    return {"equipment": "P-101", "code": "E17", "ts": TEN} | more


def codes(parsed) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_an_event_has_a_machine_a_code_and_a_moment():
    (row,) = parse_json(posted(event(kind="Fault", message=" Motor overload "))).rows

    assert (row.equipment, row.code, row.ts_us) == ("P-101", "E17", TEN_US)
    assert (row.kind, row.message) == ("fault", "Motor overload")


def test_without_a_word_it_is_an_error_without_a_message():
    (row,) = parse_json(posted(event())).rows
    assert (row.kind, row.message) == ("error", "")


def test_a_code_may_be_a_number_and_a_time_too():
    (row,) = parse_json(posted(event(code=17, ts=TEN_US // 1_000))).rows
    assert (row.code, row.ts_us) == ("17", TEN_US)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"equipment": None}, "invalid_equipment"),
        ({"equipment": "x" * 51}, "invalid_equipment"),
        ({"code": ""}, "invalid_code"),
        ({"code": True}, "invalid_code"),
        ({"code": "a\nb"}, "invalid_code"),
        ({"code": "x" * 101}, "invalid_code"),
        ({"code": ["E17"]}, "invalid_code"),
        ({"ts": None}, "invalid_timestamp"),
        ({"ts": "yesterday"}, "invalid_timestamp"),
        ({"ts": "2026-11-22T10:00:00"}, "timestamp_naive"),
        ({"kind": "alarm"}, "unknown_kind"),
        ({"kind": 3}, "unknown_kind"),
        ({"message": {"text": "no"}}, "invalid_message"),
    ],
)
def test_what_is_wrong_is_refused_by_its_own_code_and_stops_no_other(wrong, code):
    parsed = parse_json(posted(event(), event(**wrong), event(code="E18")))

    assert codes(parsed) == [(1, code)]
    assert [row.code for row in parsed.rows] == ["E17", "E18"]


def test_a_row_that_is_no_object_is_refused():
    assert codes(parse_json(posted(event(), "E17", 3))) == [(1, "invalid_row"), (2, "invalid_row")]


def test_a_long_message_is_cut_and_the_event_kept():
    (row,) = parse_json(posted(event(message="x" * 5_000))).rows
    assert len(row.message) == MAX_MESSAGE
    assert row.message.endswith("…")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"events": {}}', b'{"readings": []}', b"\xff", b'{"events": [']
)
def test_a_body_that_holds_no_list_of_events_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse_json(body)


def test_no_request_holds_more_than_ten_thousand():
    assert parse_json(posted(*[event()] * MAX_READINGS)).received == MAX_READINGS
    with pytest.raises(TooManyReadings):
        parse_json(posted(*[event()] * (MAX_READINGS + 1)))


def test_csv_has_the_same_fields_by_name():
    text = "TS;code;equipment;message\n2026-11-22T11:00:00+01:00;E17;P-101;Überlast\n\n2026-11-22 10:00;E1;P-101;\n"

    parsed = parse_csv(text.encode())

    (row,) = parsed.rows
    assert (row.index, row.equipment, row.code, row.ts_us, row.message) == (
        2,
        "P-101",
        "E17",
        TEN_US,
        "Überlast",
    )
    assert codes(parsed) == [(4, "timestamp_naive")]


def test_csv_takes_local_times_in_a_zone_and_columns_by_other_names():
    text = b"datetime,machineID,errorID\n2026-11-22 11:00:00,1,error1\n"
    columns = {"ts": "datetime", "equipment": "machineID", "code": "errorID"}

    (parsed,) = read_csv(BytesIO(text), columns=columns, zone=ZoneInfo("Europe/Berlin"))

    assert [(row.equipment, row.code, row.ts_us) for row in parsed.rows] == [("1", "error1", TEN_US)]


def test_a_line_with_too_many_fields_is_refused():
    assert codes(parse_csv(f"equipment,code,ts\nP-101,E17,{TEN},x\n".encode())) == [(2, "invalid_row")]


@pytest.mark.parametrize("header", [b"equipment,code\n", b"equipment,code,ts,ts\n", b"", b"\xff\xfe\n"])
def test_a_header_that_cannot_be_used_spoils_the_file(header):
    with pytest.raises(MalformedBody):
        parse_csv(header + b"P-101,E17,2026-11-22T10:00:00Z\n")


def test_a_file_is_read_in_blocks():
    lines = "".join(f"P-101,E{number},{TEN}\n" for number in range(25)).encode()
    blocks = list(read_csv(BytesIO(b"equipment,code,ts\n" + lines), block_size=10))

    assert [block.received for block in blocks] == [10, 10, 5]
    assert blocks[2].rows[-1].index == 26


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_malformed(body):
    for parse in (parse_json, parse_csv):
        with suppress(MalformedBody, TooManyReadings):
            parse(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
        lambda x: st.lists(x, max_size=3),
    )
)
def test_any_value_of_a_field_is_taken_or_refused(value):
    for name in ("equipment", "code", "ts", "kind", "message"):
        assert parse_json(posted(event(**{name: value}))).received == 1


@pytest.mark.parametrize("no_json", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_is_malformed(no_json):
    with pytest.raises(MalformedBody, match="malformed"):
        parse_json(('{"events": [{"equipment": "P-1", "code": ' + no_json + "}]}").encode())

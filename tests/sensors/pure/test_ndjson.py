import json
from contextlib import suppress
from dataclasses import astuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensors.ingest.formats import json as native
from sensors.ingest.formats.ndjson import parse
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings

TS = "2026-11-22T10:00:00Z"
TS_US = 1_795_341_600_000_000
GOOD = b'{"sensor": "a", "ts": "2026-11-22T10:00:00Z", "value": 1}'


def refusals(parsed: ParsedReadings) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_every_line_is_a_reading_of_the_native_json():
    parsed = parse(
        b'{"sensor": "pump-7/vibration", "ts": "2026-11-22T10:00:00.250Z", "value": 4.25, "unit": "mm/s"}\n'
        b'{"sensor": "pump-7/flow", "ts": 1795341600, "value": null, "quality": "bad", "more": [1, 2]}\n'
    )

    assert [parsed.keys[number] for number in parsed.key_of_row] == ["pump-7/vibration", "pump-7/flow"]
    assert parsed.ts_us.tolist() == [TS_US + 250_000, TS_US]
    assert str(parsed.values.tolist()) == "[4.25, nan]"
    assert parsed.quality.tolist() == [0, 2]
    assert [parsed.units[number] for number in parsed.unit_of_row] == ["mm/s", None]
    assert (parsed.index.tolist(), parsed.refusals, parsed.historical) == ([1, 2], [], False)


def test_lines_are_counted_with_the_empty_ones_and_end_as_they_like():
    parsed = parse(b"\xef\xbb\xbf" + GOOD + b"\r\n\n  \n\t" + GOOD + b" \n\n" + GOOD)
    assert (parsed.index.tolist(), parsed.received) == ([1, 4, 6], 3)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"readings", "invalid_row"),
        (GOOD[:-1], "invalid_row"),
        (GOOD + b"," + GOOD, "invalid_row"),
        (GOOD + GOOD, "invalid_row"),
        (b'{"sensor": "a\xff", "ts": 1, "value": 1}', "invalid_row"),
        (b'{"sensor": "a\0", "ts": 1, "value": 1}', "invalid_row"),
        (b'{"sensor": "\\ud800", "ts": 1, "value": 1}', "invalid_row"),
        (b"[" * 100_000, "invalid_row"),
        (b"[" * 50_000 + b"]" * 50_000, "invalid_row"),
        (b"]}", "invalid_row"),
        (b"[]", "invalid_row"),
        (b"5", "invalid_row"),
        (b"null", "invalid_row"),
        (b'{"readings": []}', "invalid_sensor"),
        (b'{"sensor": "a", "ts": "2026-11-22T10:00:00", "value": 1}', "timestamp_naive"),
        (b'{"sensor": "a", "ts": 1, "value": NaN}', "invalid_value"),
        (b'{"sensor": "a", "ts": 1, "value": 1e400}', "invalid_value"),
        (b'{"sensor": "a", "ts": 1, "value": "1"}', "invalid_value"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_alone(line, code):
    parsed = parse(GOOD + b"\n\n" + line + b"\n" + GOOD + b"\n")

    assert refusals(parsed) == [(3, code)]
    assert parsed.index.tolist() == [1, 4]
    assert parsed.refusals[0].raw.startswith(line[:20].decode(errors="replace").replace("\0", "�"))


def test_pieces_of_json_over_several_lines_are_not_put_together():
    parsed = parse(GOOD + b"\n" + b'{"sensor": "a", "ts": 1\n"value": 1}\n')
    assert refusals(parsed) == [(2, "invalid_row"), (3, "invalid_row")]


def test_refusals_come_in_the_order_of_the_lines():
    parsed = parse(b'{"sensor": 1}\nx\n{"sensor": 2}\ny\n' + GOOD)
    assert [index for index, _ in refusals(parsed)] == [1, 2, 3, 4]


@pytest.mark.parametrize("body", [b"", b"\n\n", b"\xef\xbb\xbf", b"readings\n{\n", b"\0", b"a,b\n1,2\n"])
def test_a_body_without_a_line_of_json_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse(body)


def test_local_times_are_taken_in_the_zone():
    body = b'{"sensor": "a", "ts": "2026-11-22T11:00:00", "value": 1}'
    assert parse(body, zone=ZoneInfo("Europe/Berlin")).ts_us.tolist() == [TS_US]


def test_more_than_ten_thousand_lines_are_too_many():
    assert parse((GOOD + b"\n") * MAX_READINGS).received == MAX_READINGS
    with pytest.raises(TooManyReadings):
        parse((GOOD + b"\n") * (MAX_READINGS + 1))
    with pytest.raises(TooManyReadings):
        parse(b"x\n" * 1_000_000)


@given(st.binary(max_size=200))
@example(GOOD + b"\n\x85" + GOOD)
def test_whatever_the_bytes_every_line_is_accounted_for(body):
    with suppress(MalformedBody):
        lines = [line for line in body.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
        assert parse(body).received == len(lines)


rows = st.fixed_dictionaries(
    {"sensor": st.sampled_from(["a", "b/ü", "", 5])},
    optional={
        "ts": st.sampled_from([TS, "2026-11-22", 1_795_341_600, None, "1"]),
        "value": st.floats() | st.integers() | st.none() | st.sampled_from(["NaN", "x"]),
        "quality": st.sampled_from(["good", "bad", 5]),
        "unit": st.sampled_from(["Cel", None, ""]),
    },
).map(lambda row: json.dumps(row).replace("NaN", "null").replace("Infinity", "1e999"))


@given(st.lists(rows, min_size=1, max_size=30))
def test_lines_are_read_as_the_same_rows_in_a_list(lines):
    of_lines = parse("\n".join(lines).encode())
    of_list = native.parse(f'{{"readings": [{",".join(lines)}]}}'.encode())

    assert (of_lines.index - 1).tolist() == of_list.index.tolist()
    assert [one.index - 1 for one in of_lines.refusals] == [one.index for one in of_list.refusals]
    assert str(astuple(of_lines)[1:9]) == str(astuple(of_list)[1:9])

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.formats import csv as csv_format
from sensors.ingest.formats.csv import MAX_LINE_BYTES, Columns, read_blocks
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings

TS = "2026-11-22T10:00:00Z"
TS_US = 1_795_341_600_000_000


def parse(body: str | bytes, **options) -> ParsedReadings:
    """The only block of a short file."""
    (block,) = read_blocks(BytesIO(body if isinstance(body, bytes) else body.encode()), **options)
    return block


def keys(block: ParsedReadings) -> list[str]:
    """Each reading's sensor."""
    return [block.keys[number] for number in block.key_of_row]


def readings(blocks: list[ParsedReadings]) -> list[tuple]:
    """Everything of each reading, comparable (NaN equals no NaN, so values are told in words)."""
    return [
        (index, block.keys[key], ts_us, repr(value), quality, block.units[unit], block.historical)
        for block in blocks
        for index, key, ts_us, value, quality, unit in zip(
            block.index.tolist(),
            block.key_of_row,
            block.ts_us.tolist(),
            block.values.tolist(),
            block.quality.tolist(),
            block.unit_of_row,
            strict=True,
        )
    ]


def refusals(body: str | bytes, **options) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parse(body, **options).refusals]


def test_a_line_becomes_a_reading():
    block = parse(f"sensor,ts,value,quality,unit\npump-7/vibration,{TS},4.25,uncertain,mm/s\n")

    assert keys(block) == ["pump-7/vibration"]
    assert block.ts_us.tolist() == [TS_US]
    assert block.values.tolist() == [4.25]
    assert block.quality.tolist() == [1]
    assert block.units == ["mm/s"]
    assert block.index.tolist() == [2]
    assert (block.received, block.refusals, block.historical) == (1, [], True)


@pytest.mark.parametrize(
    "body",
    [
        f"\ufeffsensor,ts,value\r\na,{TS},1\r\n",
        f"sensor;ts;value\na;{TS};1",
        f"SENSOR\tTs\tValue\na\t{TS}\t1\n",
        f'"sensor","ts","value"\n"a","{TS}","1"\n',
        f"value,other,ts,sensor\n1,x,{TS},a\n",
        f"sensor,ts,value\n\n  \n a , {TS} , 1 \n\n",
        "sensor,ts,value\na,1795341600,1\n",
        "sensor,ts,value\na,1795341600000.0,+1e0\n",
        "sensor,ts,value\na,1795341600000000000,1.\n",
    ],
)
def test_the_usual_ways_to_write_it_are_read_alike(body):
    block = parse(body)

    assert (keys(block), block.ts_us.tolist(), block.values.tolist()) == (
        ["a"],
        [TS_US],
        [1.0],
    )


def test_columns_may_be_called_otherwise_and_times_may_be_local():
    block = parse(
        "Zeit;Messstelle;Wert\n2026-07-01 12:00;a;1\n",
        columns=Columns(sensor="Messstelle", ts="Zeit", value="Wert"),
        zone=ZoneInfo("Europe/Berlin"),
    )

    assert block.ts_us.tolist() == [int(datetime(2026, 7, 1, 10, tzinfo=UTC).timestamp()) * 1_000_000]


def test_a_quoted_field_may_hold_the_separator():
    assert parse(f'sensor,ts,value\n"tank, left",{TS},1\n').keys == ["tank, left"]


def test_an_empty_value_is_for_bad_readings_only():
    block = parse(f"sensor,ts,value,quality\na,{TS},,bad\nb,{TS},,good\nc,{TS},NaN,bad\n")

    assert np.isnan(block.values).all()
    assert [(one.index, one.code) for one in block.refusals] == [(3, "invalid_value")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"a,{TS}", "invalid_row"),
        (f"a,{TS},1,2", "invalid_row"),
        (f'a,{TS},"1', "invalid_row"),
        (f"a,{TS},1\0", "invalid_row"),
        (f"{'a' * MAX_LINE_BYTES},{TS},1", "invalid_row"),
        (f"{'a' * 3 * MAX_LINE_BYTES},{TS},1", "invalid_row"),
        (f",{TS},1", "invalid_sensor"),
        (f"{'a' * 201},{TS},1", "invalid_sensor"),
        ("a,yesterday,1", "invalid_timestamp"),
        ("a,2026-11-22T10:00:00,1", "timestamp_naive"),
        (f"a,{'9' * 5000},1", "invalid_timestamp"),
        (f"a,{'9' * 39},1", "invalid_timestamp"),
        (f"a,{TS},one", "invalid_value"),
        (f"a,{TS},1_000", "invalid_value"),
        (f"a,{TS},1e999", "invalid_value"),
        (f'a,{TS},"4,2"', "invalid_value"),
        (f"a,{TS},true", "invalid_value"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_alone(line, code):
    body = f"sensor,ts,value\na,{TS},1\n{line}\nb,{TS},2\n"

    block = parse(body)

    assert [(one.index, one.code) for one in block.refusals] == [(3, code)]
    assert keys(block) == ["a", "b"]
    assert block.index.tolist() == [2, 4]
    assert block.received == 3


def test_a_refused_line_is_kept_as_it_was_written():
    (refusal,) = parse(f"sensor,ts,value\na,{TS},much\n").refusals

    assert refusal.raw == f"a,{TS},much\n"


def test_a_line_in_another_encoding_is_refused_alone():
    body = f"sensor,ts,value\na,{TS},1\n".encode() + f"ofen-ä,{TS},1\n".encode("latin-1")

    assert refusals(body) == [(3, "invalid_row")]


def test_a_decimal_comma_is_explained():
    (refusal,) = parse(f"sensor;ts;value\na;{TS};4,2\n").refusals

    assert refusal.detail == "The value has a comma: write it with a decimal point."


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", r"no column 'sensor'"),
        (b"timestamp,value\n", r"no column 'sensor'. It has: 'timestamp', 'value'\."),
        (b"sensor,ts,value,TS\n", r"column 'ts' more than once"),
        ("sensor,ts,value\n".encode("utf-16"), r"UTF-16"),
        (b"sensor,ts,\0value\n", r"NUL"),
        (b"sensor,ts,value\xff\n", r"not UTF-8"),
        (b"x" * (MAX_LINE_BYTES + 1), r"longer than 64 KiB"),
        (b'"sensor,ts,value\n', r"quotes"),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_file(body, words):
    with pytest.raises(MalformedBody, match=words):
        list(read_blocks(BytesIO(body)))


def test_a_long_file_comes_in_blocks_with_the_numbers_of_its_lines():
    body = "sensor,ts,value\n" + f"a,{TS},1\nbroken\n" * 5

    blocks = list(read_blocks(BytesIO(body.encode()), block_size=4))

    assert [block.received for block in blocks] == [4, 4, 2]
    assert [block.index.tolist() for block in blocks] == [[2, 4], [6, 8], [10]]
    assert [refusal.index for block in blocks for refusal in block.refusals] == [3, 5, 7, 9, 11]


def test_a_file_without_readings_has_no_blocks():
    assert list(read_blocks(BytesIO(b"sensor,ts,value\n"))) == []


@given(st.binary(max_size=300), st.sampled_from([b"", b"sensor,ts,value\n", b"sensor;ts;value;unit\n"]))
def test_whatever_the_bytes_every_line_is_accounted_for(body, header):
    try:
        blocks = list(read_blocks(BytesIO(header + body)))
    except MalformedBody:
        return
    lines = [line for line in (header + body).split(b"\n")[1:] if line.strip()]
    assert sum(block.received for block in blocks) == len(lines)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4 * 10**15),
            st.floats(-1e100, 1e100),
            st.sampled_from(["good", "uncertain", "bad"]),
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read_back_exactly(readings):
    lines = [
        f"a,{(datetime.fromtimestamp(0, UTC) + np.timedelta64(ts_us, 'us').item()).isoformat()},{value!r},{quality}"
        for ts_us, value, quality in readings
    ]

    block = parse("\n".join(["sensor,ts,value,quality", *lines]))

    assert block.ts_us.tolist() == [ts_us for ts_us, _, _ in readings]
    assert block.values.tolist() == [value for _, value, _ in readings]
    assert block.refusals == []


def lines_of_a_logger(count: int) -> list[str]:
    start = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    return [f"pump-{n % 3},{(start + timedelta(seconds=n)).isoformat()},{n / 7!r}" for n in range(count)]


def in_small_blocks(body: bytes, **options) -> list[ParsedReadings]:
    """A few lines at a time: those are read one by one, and more of them by their columns."""
    return list(read_blocks(BytesIO(body), block_size=5, **options))


@pytest.mark.parametrize(
    "odd", ["broken", "", "a,yesterday,1", 'a,b,"', "a,2026-11-22T10:00:00,\0", "x" * 70_000]
)
def test_an_odd_line_among_many_is_found_and_the_others_are_stored(odd):
    lines = lines_of_a_logger(500)
    lines[123] = odd

    (block,) = read_blocks(BytesIO("\n".join(["sensor,ts,value", *lines]).encode()))

    assert [refusal.index for refusal in block.refusals] == ([125] if odd else [])
    assert block.index.tolist() == [number for number in range(2, 502) if number != 125]
    assert keys(block) == [f"pump-{n % 3}" for n in range(500) if n != 123]
    assert block.values.tolist() == [n / 7 for n in range(500) if n != 123]


def test_lines_longer_than_a_chunk_that_is_read_are_refused_alone():
    lines = lines_of_a_logger(100)
    lines[50] = "x" * 3_000_000

    blocks = list(read_blocks(BytesIO("\n".join(["sensor,ts,value", *lines]).encode()), block_size=40))

    assert [(refusal.index, refusal.code) for block in blocks for refusal in block.refusals] == [
        (52, "invalid_row")
    ]
    assert [block.received for block in blocks] == [40, 40, 20]


ordinary = st.sampled_from(["a", "b/c", " a ", '"a"', "", "ä"])
times = (
    st.datetimes(datetime(1999, 1, 1), datetime(2030, 1, 1)).map(str)
    | st.integers(0, 59).map("2026-11-22T10:00:{:02}Z".format)
    | st.integers(0, 59).map("2026-10-25T02:30:{:02}".format)
    | st.integers(1_700_000_000, 1_800_000_000).map(str)
    | st.sampled_from(["", "yesterday", "2026-02-30T00:00:00Z", "1795341600.25"])
)
numbers = st.floats(-1e100, 1e100).map(repr) | st.sampled_from(
    ["", "1", "+1.", "-.5e3", "1_0", "nan", "inf", "1e999", "x"]
)
words = st.sampled_from(["", "good", "Bad", "uncertain", "fine"])
units = st.sampled_from(["", "mm/s", "Cel"])
written = st.tuples(ordinary, times, numbers, words, units).map(",".join)


@given(
    st.lists(written | st.text(max_size=20), min_size=1, max_size=8),
    st.integers(30, 200),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([None, ZoneInfo("Europe/Berlin")]),
)
def test_many_lines_together_are_read_as_one_by_one(lines, count, end, zone):
    body = end.join(["sensor,ts,value,quality,unit", *(lines[n % len(lines)] for n in range(count))]).encode()

    together, one_by_one = list(read_blocks(BytesIO(body), zone=zone)), in_small_blocks(body, zone=zone)

    assert readings(together) == readings(one_by_one)
    assert [one for block in together for one in block.refusals] == [
        one for block in one_by_one for one in block.refusals
    ]


@given(
    st.lists(
        st.tuples(ordinary, st.integers(0, 59), st.floats(-1e100, 1e100), words), min_size=40, max_size=80
    ),
    st.sampled_from([",", ";", "\t"]),
)
def test_good_lines_together_are_read_as_one_by_one(rows, separator):
    lines = [
        separator.join(
            [key or "a", f"2026-11-22 10:00:{second:02}Z", repr(value), word.replace("fine", "good")]
        )
        for key, second, value, word in rows
    ]
    body = "\n".join([separator.join(["sensor", "ts", "value", "quality"]), *lines]).encode()

    together, one_by_one = list(read_blocks(BytesIO(body))), in_small_blocks(body)

    assert readings(together) == readings(one_by_one)
    assert [block.refusals for block in together] == [[]]


def test_a_request_may_be_long_or_wide():
    long = csv_format.parse(f"sensor,ts,value\na,{TS},1\n".encode())
    wide = csv_format.parse(f"ts,a\n{TS},1\n".encode())

    assert readings([long]) == readings([wide]) == [(2, "a", TS_US, "1.0", 0, None, False)]


def test_a_request_without_readings_holds_none():
    assert csv_format.parse(b"sensor,ts,value\n\n").received == 0


def test_a_request_holds_ten_thousand_readings_and_no_more():
    line = f"a,{TS},1\n"

    assert csv_format.parse(("sensor,ts,value\n" + line * MAX_READINGS).encode()).received == MAX_READINGS
    for body in (line * (MAX_READINGS + 1), "\n" * 1_000_000):
        with pytest.raises(TooManyReadings):
            csv_format.parse(("sensor,ts,value\n" + body).encode())


@given(st.binary(max_size=300), st.sampled_from([b"", b"sensor,ts,value\n", b"ts,a,b\n"]))
def test_whatever_the_bytes_a_request_is_read_or_malformed(body, header):
    with suppress(MalformedBody):
        csv_format.parse(header + body)

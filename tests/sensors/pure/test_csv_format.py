from datetime import UTC, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.formats.csv import MAX_LINE_BYTES, Columns, read_blocks
from sensors.ingest.parsed import MalformedBody, ParsedReadings

TS = "2026-11-22T10:00:00Z"
TS_US = 1_795_341_600_000_000


def parse(body: str | bytes, **options) -> ParsedReadings:
    """The only block of a short file."""
    (block,) = read_blocks(BytesIO(body if isinstance(body, bytes) else body.encode()), **options)
    return block


def refusals(body: str | bytes, **options) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parse(body, **options).refusals]


def test_a_line_becomes_a_reading():
    block = parse(f"sensor,ts,value,quality,unit\npump-7/vibration,{TS},4.25,uncertain,mm/s\n")

    assert block.sensor_keys.tolist() == ["pump-7/vibration"]
    assert block.ts_us.tolist() == [TS_US]
    assert block.values.tolist() == [4.25]
    assert block.quality.tolist() == [1]
    assert block.units.tolist() == ["mm/s"]
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

    assert (block.sensor_keys.tolist(), block.ts_us.tolist(), block.values.tolist()) == (
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
    assert parse(f'sensor,ts,value\n"tank, left",{TS},1\n').sensor_keys.tolist() == ["tank, left"]


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
    assert block.sensor_keys.tolist() == ["a", "b"]
    assert block.index.tolist() == [2, 4]
    assert block.received == 3


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

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensors.ingest.formats.wide_csv import MAX_LINE_BYTES, is_wide, parse, read_blocks
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings

TS = "2026-11-22T10:00:00Z"
TS_US = 1_795_341_600_000_000
MINUTE_US = 60_000_000
MINUTES = [f"2026-11-22T10:{minute:02}:00Z" for minute in range(60)]


def read(body: str | bytes, **options) -> ParsedReadings:
    """The only block of a short file."""
    (block,) = read_blocks(BytesIO(body if isinstance(body, bytes) else body.encode()), **options)
    return block


def readings(parsed: ParsedReadings) -> list[tuple[int, str, int, float]]:
    """Line, key, time and value of each."""
    keys = [parsed.keys[number] for number in parsed.key_of_row]
    return list(zip(parsed.index.tolist(), keys, parsed.ts_us.tolist(), parsed.values.tolist(), strict=True))


def refusals(parsed: ParsedReadings) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_every_cell_is_a_reading_of_its_columns_sensor():
    block = read(
        f"timestamp,pump-7/temperature [Cel],pump-7/flow\n{MINUTES[0]},71.5,4.02\n{MINUTES[1]},71.625,4.125\n"
    )

    assert readings(block) == [
        (2, "pump-7/temperature", TS_US, 71.5),
        (2, "pump-7/flow", TS_US, 4.02),
        (3, "pump-7/temperature", TS_US + MINUTE_US, 71.625),
        (3, "pump-7/flow", TS_US + MINUTE_US, 4.125),
    ]
    assert [block.units[number] for number in block.unit_of_row] == ["Cel", None, "Cel", None]
    assert (block.quality.tolist(), block.refusals, block.historical) == ([0] * 4, [], True)


def test_an_empty_cell_is_no_reading():
    block = read(f"ts,a,b,c\n{MINUTES[0]},,1,\n{MINUTES[1]},,, \n{MINUTES[2]},,,3\n")

    assert readings(block) == [(2, "b", TS_US, 1), (4, "c", TS_US + 2 * MINUTE_US, 3)]
    assert (block.received, block.keys) == (2, ["b", "c"])


@pytest.mark.parametrize(
    "body",
    [
        f"\ufeffts,a,b\r\n{TS},1,2\r\n",
        f"ts;a;b\n{TS};1;2",
        f"TS\ta\tb\n{TS}\t1\t2\n",
        f'"Time","a","b"\n"{TS}","1","2"\n',
        f"a,timestamp,b\n1,{TS},2\n",
        f"a,b,ts\n1,2,{TS}\n",
        f"ts,a,b\n\n  \n {TS} , 1 , 2 \n\n",
        "ts,a,b\n1795341600,1.,+2e0\n",
        "ts,a,b\n1795341600000.0,1,2\n",
        "ts,a,b\n1795341600000000000,1,2\n",
        "ts,a,b\n2026-11-22 11:00:00,1,2\n",
    ],
)
def test_the_usual_ways_to_write_it_are_read_alike(body):
    block = read(body, zone=ZoneInfo("Europe/Berlin"))

    assert sorted(reading[1:] for reading in readings(block)) == [("a", TS_US, 1), ("b", TS_US, 2)]


@pytest.mark.parametrize(
    ("header", "key", "unit"),
    [
        ("a [Cel]", "a", "Cel"),
        ("a  [Cel]", "a", "Cel"),
        ("a [[degF]]", "a", "[degF]"),
        ("a [mm[Hg]]", "a", "mm[Hg]"),
        ("DB1[3]", "DB1[3]", None),
        ("DB1[3] [bar]", "DB1[3]", "bar"),
        ("[3] a", "[3] a", None),
        ("tank left", "tank left", None),
        ('"tank, left [%]"', "tank, left", "%"),
    ],
)
def test_a_unit_in_brackets_follows_the_key_after_a_blank(header, key, unit):
    block = read(f"ts,{header}\n{TS},1\n")
    assert (block.keys, block.units) == ([key], [unit])


def test_the_time_may_be_called_otherwise_and_the_keys_may_have_a_prefix():
    block = read(f"Zeit;ts [s]\n{TS};1\n", time_column="zeit", prefix="pump-7/")
    assert (block.keys, block.units) == (["pump-7/ts"], ["s"])


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("one", "invalid_value"),
        ("NaN", "invalid_value"),
        ("inf", "invalid_value"),
        ("1e999", "invalid_value"),
        ("1e101", "invalid_value"),
        ("1_000", "invalid_value"),
        ("0x10", "invalid_value"),
        ("1 2", "invalid_value"),
        ("1\r2", "invalid_value"),
        ("12:30", "invalid_value"),
        ('"4,2"', "invalid_value"),
        ("٣", "invalid_value"),
        ("true", "invalid_value"),
        ("1\0", "invalid_row"),
    ],
)
def test_a_cell_that_cannot_be_read_is_refused_alone(cell, code):
    block = read(f"ts,a,b\n{MINUTES[0]},1,2\n{MINUTES[1]},{cell},3\n{MINUTES[2]},4,5\n")

    assert refusals(block) == [(3, code)]
    assert [line for line, *_ in readings(block)] == (
        [2, 2, 3, 4, 4] if code == "invalid_value" else [2, 2, 4, 4]
    )
    if code == "invalid_value":
        assert block.refusals[0].detail.startswith("a: ")
        assert block.refusals[0].raw == f"a: {cell.strip(chr(34))}"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{TS},1", "invalid_row"),
        (f"{TS},1,2,3", "invalid_row"),
        (f'{TS},1,"2', "invalid_row"),
        (f"{TS},1,{'1' * MAX_LINE_BYTES}", "invalid_row"),
        (f"{TS},1,{'1' * 3 * MAX_LINE_BYTES}", "invalid_row"),
        ("yesterday,1,2", "invalid_timestamp"),
        (",1,2", "invalid_timestamp"),
        ("2026-13-22T10:00:00Z,1,2", "invalid_timestamp"),
        (f"{'9' * 5000},1,2", "invalid_timestamp"),
        ("2026-11-22T10:00:00,1,2", "timestamp_naive"),
    ],
)
def test_a_line_that_cannot_be_read_is_one_refusal(line, code):
    block = read(f"ts,a,b\n{TS},1,2\n{line}\n{TS},3,4\n")

    assert refusals(block) == [(3, code)]
    assert block.values.tolist() == [1, 2, 3, 4]
    assert block.refusals[0].raw == line[:500]


def test_lines_that_are_too_short_and_too_long_do_not_make_up_for_each_other():
    block = read("ts,a\n1795341600\n1795341660,1,1795341720\n")
    assert (refusals(block), readings(block)) == ([(2, "invalid_row"), (3, "invalid_row")], [])


def test_a_line_in_another_encoding_is_refused_alone():
    block = read(f"ts,a\n{TS},1\n".encode() + "ä,1\n".encode("latin-1"))
    assert (refusals(block), block.values.tolist()) == ([(3, "invalid_row")], [1])


def test_a_value_in_a_column_without_a_name_is_refused():
    block = read(f"ts,a,\n{MINUTES[0]},1,\n{MINUTES[1]},2,3\n")

    assert [value for *_, value in readings(block)] == [1, 2]
    assert refusals(block) == [(3, "invalid_sensor")]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"", r"no column 'ts' or 'time' or 'timestamp'\. It has: ''"),
        (b"when,a\n", r"It has: 'when', 'a'\."),
        (b"ts,time,a\n", r"more than one column of times: 'ts', 'time'"),
        (b"ts\n", r"no column of a sensor"),
        (b"ts,,\n", r"no column of a sensor"),
        (b"ts,a [Cel],a\n", r"'a' more than once"),
        (b"ts," + b"a" * 201 + b"\n", r"1 to 200 characters"),
        (b"ts,a [" + b"u" * 41 + b"]\n", r"unit"),
        (b"ts,a []\n", r"unit"),
        ("ts,a\n".encode("utf-16"), r"UTF-16"),
        (b"ts,\0a\n", r"NUL"),
        (b"ts,a\xff\n", r"not UTF-8"),
        (b"ts," + b"x" * MAX_LINE_BYTES, r"longer than 1024 KiB"),
        (b'"ts,a\n', r"quotes"),
    ],
)
def test_a_header_that_cannot_be_used_refuses_the_file(header, words):
    with pytest.raises(MalformedBody, match=words):
        list(read_blocks(BytesIO(header)))


def test_a_header_of_very_many_columns_is_read_in_time():
    header = "ts," + ",".join(f"s{number}" for number in range(100_000))
    assert len(read(f"{header}\n{TS}{',1' * 100_000}\n").values) == 100_000


def test_a_long_file_comes_in_blocks_with_the_numbers_of_its_lines():
    body = "ts,a,b\n" + "".join(f"{minute},1,\n\nbroken\n" for minute in MINUTES[:4])

    blocks = list(read_blocks(BytesIO(body.encode()), block_size=4))

    assert [block.index.tolist() for block in blocks] == [[2], [5], [8], [11]]
    assert [refusal.index for block in blocks for refusal in block.refusals] == [4, 7, 10, 13]


def test_a_file_without_readings_has_no_blocks():
    assert list(read_blocks(BytesIO(b"ts,a\n\n"))) == []


@pytest.mark.parametrize(
    ("header", "wide"),
    [
        (b"ts,pump-7/flow\n", True),
        (b'\xef\xbb\xbf"Timestamp";"pump-7/flow [m3/h]"\r\n', True),
        (b"sensor,ts,value\n", False),
        (b"ts,value\n", False),
        (b"SENSOR,TS,reading\n", False),
        (b"when,pump-7/flow\n", False),
        (b"", False),
        (b"ts,\xff\n", False),
        (b'"ts,a\n', False),
    ],
)
def test_a_wide_header_is_known_by_its_names(header, wide):
    assert is_wide(header) is wide


def test_a_body_is_a_file_of_live_readings():
    parsed = parse(f"ts,a\n{TS},1\n".encode())

    assert (readings(parsed), parsed.historical) == ([(2, "a", TS_US, 1)], False)
    assert parse(b"ts,a\n").received == 0


def test_more_than_ten_thousand_readings_in_a_body_are_too_many():
    lines = [f"{TS},1,,{number}" for number in range(MAX_READINGS // 2)]
    assert parse("\n".join(["ts,a,b,c", *lines]).encode()).received == MAX_READINGS
    for more in (f"{TS},,1,", "broken", "\n" * 2 * MAX_READINGS, ",\n" * 30 * MAX_READINGS):
        with pytest.raises(TooManyReadings):
            parse("\n".join(["ts,a,b,c", *lines, more]).encode())


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"ts,a\n", b"ts;a;b [Cel]\n", b"a,time,\n"]),
)
@example(b"1,1\r1\n", b"ts,a\n")
def test_whatever_the_bytes_no_line_is_lost(body, header):
    with suppress(MalformedBody):
        blocks = list(read_blocks(BytesIO(header + body)))
        seen = {number for block in blocks for number in block.index.tolist()}
        seen |= {refusal.index for block in blocks for refusal in block.refusals}
        lines = (header + body).split(b"\n")
        for number, line in enumerate(lines[1:], start=2):
            assert number in seen or not line.strip(b"0123456789.:-TZ,; \t\r\v\f") or not line.strip()


plain_cells = st.sampled_from(["", " ", "1", "-2.5", "+3e-2", "1e308", "7.", ".5", "00"]) | st.floats().map(
    repr
)
times = st.sampled_from(
    [TS, "1795341600", "1795341600.25", "2026-02-30T00:00:00Z", "x", "", "2026-11-22 10:00"]
)


@given(st.lists(st.tuples(times, plain_cells, plain_cells), max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_lines_are_read_the_same_one_by_one_and_together(lines, end):
    header, *body = ["ts,a,b", *(",".join(line) for line in lines)]
    together = parse(end.join([header, *body]).encode())
    alone = [parse(f"{header}{end}{line}".encode()) for line in body]

    assert [reading[1:] for reading in readings(together)] == [
        reading[1:] for one in alone for reading in readings(one)
    ]
    assert [(refusal.code, refusal.detail) for refusal in together.refusals] == [
        (refusal.code, refusal.detail) for one in alone for refusal in one.refusals
    ]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4 * 10**15), st.lists(st.none() | st.floats(-1e100, 1e100), min_size=3, max_size=3)
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read_back_exactly(rows):
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    lines = [
        ",".join(
            [
                (epoch + timedelta(microseconds=ts_us)).isoformat(timespec="microseconds"),
                *("" if value is None else repr(value) for value in values),
            ]
        )
        for ts_us, values in rows
    ]

    block = read("\n".join(["ts,a,b,c", *lines]))

    assert readings(block) == [
        (number, key, ts_us, value)
        for number, (ts_us, values) in enumerate(rows, start=2)
        for key, value in zip("abc", values, strict=True)
        if value is not None
    ]
    assert block.refusals == []

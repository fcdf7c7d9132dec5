import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.formats.senml import ABSOLUTE_FROM_S, UCUM_CODES, parse
from sensors.ingest.parsed import MAX_READINGS, MalformedBody, ParsedReadings, TooManyReadings
from sensors.ingest.units import UnknownUnit, unit
from smartmaint import clock

TS_S = 1_795_341_600  # 2026-11-22T10:00:00Z
NOW_US = (TS_S + 30) * 1_000_000


def read(*records, now_us: int = NOW_US) -> ParsedReadings:
    return parse(json.dumps(records).encode(), now_us=now_us)


def keys(parsed: ParsedReadings) -> list[str]:
    return [parsed.keys[number] for number in parsed.key_of_row]


def units(parsed: ParsedReadings) -> list[str | None]:
    return [parsed.units[number] for number in parsed.unit_of_row]


def refusals(parsed: ParsedReadings) -> list[tuple[int, str]]:
    return [(refusal.index, refusal.code) for refusal in parsed.refusals]


def test_base_fields_hold_for_the_records_after_them():
    parsed = read(
        {"bn": "pump-7/", "bt": TS_S, "bu": "Cel", "n": "inlet", "v": 21.5},
        {"n": "inlet", "t": 5, "v": 21.75},
        {"n": "motor", "t": -5.25, "v": 355, "u": "K"},
        {"bn": "fan-4/", "n": "motor", "v": 40},
    )

    assert keys(parsed) == ["pump-7/inlet", "pump-7/inlet", "pump-7/motor", "fan-4/motor"]
    assert units(parsed) == ["Cel", "Cel", "K", "Cel"]
    assert [ts_us - TS_S * 1_000_000 for ts_us in parsed.ts_us] == [0, 5_000_000, -5_250_000, 0]
    assert parsed.values.tolist() == [21.5, 21.75, 355, 40]
    assert (parsed.index.tolist(), parsed.quality.tolist()) == ([0, 1, 2, 3], [0, 0, 0, 0])
    assert (parsed.received, parsed.refusals, parsed.historical) == (4, [], False)


def test_a_record_may_have_the_base_name_alone_or_none():
    assert keys(read({"bn": "pump-7", "v": 1}, {"bn": "", "n": "fan-4", "v": 1})) == ["pump-7", "fan-4"]


@pytest.mark.parametrize(
    ("base", "own", "seconds"),
    [
        ({}, {}, TS_S + 30),
        ({}, {"t": -10}, TS_S + 20),
        ({}, {"t": 10}, TS_S + 40),
        ({"bt": -100}, {"t": 90}, TS_S + 20),
        ({}, {"t": ABSOLUTE_FROM_S}, ABSOLUTE_FROM_S),
        ({}, {"t": ABSOLUTE_FROM_S - 1}, TS_S + 30 + ABSOLUTE_FROM_S - 1),
        ({"bt": TS_S}, {"t": -1}, TS_S - 1),
    ],
)
def test_small_times_count_from_now(base, own, seconds):
    assert read(base | own | {"n": "a", "v": 1}).ts_us.tolist() == [seconds * 1_000_000]


def test_without_a_moment_of_arrival_the_clock_counts():
    with clock.frozen(datetime(2026, 11, 22, 10, 0, 0, 250_001, tzinfo=UTC)):
        assert parse(b'[{"n": "a", "v": 1}]').ts_us.tolist() == [TS_S * 1_000_000 + 250_001]


def test_a_record_with_base_fields_alone_is_no_reading():
    parsed = read({"bn": "dev:", "bt": TS_S}, {"n": "a", "v": 1})

    assert (keys(parsed), parsed.index.tolist(), parsed.received) == (["dev:a"], [1], 1)


def test_a_base_value_is_added():
    parsed = read({"bv": 20, "n": "a", "v": 1.5}, {"n": "a", "t": 1}, {"n": "a", "vb": True})

    assert parsed.values.tolist() == [21.5, 20, 1]


def test_booleans_are_one_and_zero():
    assert read({"n": "a", "vb": True}, {"n": "b", "vb": False}).values.tolist() == [1, 0]


def test_a_sum_beside_a_value_is_passed_over():
    parsed = read({"n": "a", "v": 2, "s": 10, "ut": 5, "unknown": {"x": []}})
    assert (parsed.values.tolist(), parsed.refusals) == ([2], [])


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"n": "a"}, "invalid_value"),
        ({"n": "a", "s": 10}, "invalid_value"),
        ({"n": "a", "vs": "on"}, "invalid_value"),
        ({"n": "a", "vd": "aGk"}, "invalid_value"),
        ({"n": "a", "v": "1"}, "invalid_value"),
        ({"n": "a", "v": True}, "invalid_value"),
        ({"n": "a", "v": None}, "invalid_value"),
        ({"n": "a", "v": 10**400}, "invalid_value"),
        ({"n": "a", "v": 1e101}, "invalid_value"),
        ({"n": "a", "vb": 1}, "invalid_value"),
        ({"n": "a", "v": 1, "vb": True}, "invalid_row"),
        ({"v": 1}, "invalid_sensor"),
        ({"n": 5, "v": 1}, "invalid_sensor"),
        ({"n": "a\0", "v": 1}, "invalid_sensor"),
        ({"n": "a" * 201, "v": 1}, "invalid_sensor"),
        ({"n": "a", "v": 1, "t": "now"}, "invalid_timestamp"),
        ({"n": "a", "v": 1, "t": True}, "invalid_timestamp"),
        ({"n": "a", "v": 1, "t": TS_S * 1000}, "invalid_timestamp"),
        ({"n": "a", "v": 1, "t": -(10**400)}, "invalid_timestamp"),
        ({"n": "a", "v": 1, "u": 5}, "unknown_unit"),
        ({"n": "a", "v": 1, "u": ""}, "unknown_unit"),
        ({}, "invalid_sensor"),
        (5, "invalid_row"),
        ([], "invalid_row"),
        (None, "invalid_row"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_alone(record, code):
    parsed = read({"n": "b", "v": 1}, record, {"n": "b", "t": 1, "v": 2})

    assert refusals(parsed) == [(1, code)]
    assert parsed.index.tolist() == [0, 2]
    assert json.loads(parsed.refusals[0].raw or "0") == record or len(parsed.refusals[0].raw) == 500


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"9" * 5000, b"1e-9999999999999999999999"])
def test_a_number_that_no_float_can_hold_spoils_no_other_record(number):
    parsed = parse(b'[{"n": "a", "v": 1}, {"n": "a", "v": %b}]' % number)
    assert parsed.index.tolist()[0] == 0
    assert parsed.received == 2


@pytest.mark.parametrize(
    "base", [{"bn": 5}, {"bt": "now"}, {"bt": 1e300}, {"bu": 5}, {"bv": "1"}, {"bv": 10**400}, {"bver": 11}]
)
def test_base_fields_that_cannot_be_read_refuse_the_whole_list(base):
    with pytest.raises(MalformedBody, match="base fields of record 1"):
        read({"n": "a", "v": 1}, base)


@pytest.mark.parametrize("version", [1, 10, 26])
def test_the_versions_that_are_understood(version):
    assert read({"bver": version, "n": "a", "v": 1}).received == 1


@pytest.mark.parametrize("version", [0, 11, 27, 42, "10", 10.5, None, 10**400])
def test_a_version_that_is_not_understood_refuses_the_whole_list(version):
    with pytest.raises(MalformedBody, match="version"):
        read({"bver": version, "n": "a", "v": 1})


def test_a_field_that_must_be_understood_refuses_the_whole_list():
    with pytest.raises(MalformedBody, match='Record 1 has the field "unknown_"'):
        read({"n": "a_", "v": 1}, {"n": "a", "v": 1, "unknown_": 1})


def test_an_escaped_label_is_a_label_too():
    with pytest.raises(MalformedBody, match="must be understood"):
        parse(b'[{"n": "a", "v": 1, "x\\u005f": 1}]')


@pytest.mark.parametrize(("name", "code"), UCUM_CODES.items())
def test_unit_names_that_differ_become_ucum_codes(name, code):
    assert units(read({"n": "a", "v": 1, "u": name})) == [code]


@pytest.mark.parametrize(
    ("name", "dimension"),
    [
        *[("m", "length"), ("mm", "length"), ("cm", "length"), ("km", "length")],
        *[("kg", "mass"), ("g", "mass"), ("s", "time"), ("ms", "time"), ("min", "time"), ("h", "time")],
        *[("A", "current"), ("mA", "current"), ("V", "voltage"), ("mV", "voltage"), ("Ohm", "resistance")],
        *[("K", "temperature"), ("Cel", "temperature"), ("Pa", "pressure"), ("hPa", "pressure")],
        *[
            ("Hz", "frequency"),
            ("MHz", "frequency"),
            ("1/s", "rotational speed"),
            ("1/min", "rotational speed"),
        ],
        *[("W", "power"), ("kW", "power"), ("VA", "apparent power"), ("kVA", "apparent power")],
        *[("J", "energy"), ("Wh", "energy"), ("kWh", "energy"), ("N", "force")],
        *[("m/s", "velocity"), ("km/h", "velocity"), ("m/s2", "acceleration")],
        *[("m3", "volume"), ("l", "volume"), ("m3/s", "volume flow"), ("l/s", "volume flow")],
        *[("rad", "angle"), ("deg", "angle"), ("lat", "angle"), ("lon", "angle")],
        *[
            ("/", "fraction"),
            ("%", "fraction"),
            ("%RH", "fraction"),
            ("%EL", "fraction"),
            ("ppm", "fraction"),
        ],
        *[("/100", "fraction"), ("/1000", "fraction"), ("count", "fraction")],
        *[("pH", "acidity"), ("dB", "level"), ("S/m", "conductivity"), ("kg/m3", "mass concentration")],
    ],
)
def test_units_of_the_registries_are_in_the_table_of_units(name, dimension):
    (code,) = units(read({"n": "a", "v": 1, "u": name}))
    assert unit(code).dimension == dimension


@pytest.mark.parametrize("name", ["C", "F", "B", "T", "H", "Bspl"])
def test_a_unit_that_plants_write_for_another_thing_is_not_mistaken(name):
    (code,) = units(read({"n": "a", "v": 1, "u": name}))
    with pytest.raises(UnknownUnit):
        unit(code)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"5",
        b'[{"n": "a", "v": 1}',
        b'[{"n": "a", "v": nan}]',
        b'[{"n": "\xff", "v": 1}]',
        b'[{"n": "\0", "v": 1}]',
        b'[{"n": "\\ud800", "v": 1}]',
        b"[" * 100_000,
        b'[{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}]",
    ],
)
def test_a_body_that_is_no_list_of_json_is_malformed(body):
    with pytest.raises(MalformedBody):
        parse(body)


def test_a_bare_nan_is_refused_alone():
    parsed = parse(b'[{"n": "a", "v": NaN}, {"n": "b", "v": 1}]')
    assert ([refusal.index for refusal in parsed.refusals], parsed.values.tolist()) == ([0], [1])


def test_a_byte_order_mark_and_an_empty_list_are_read():
    assert parse(b"\xef\xbb\xbf[]").received == 0


def test_the_last_of_two_fields_of_one_name_counts():
    assert parse(b'[{"n": "a", "v": 1, "v": 2}]').values.tolist() == [2]


def test_more_than_ten_thousand_records_are_too_many():
    assert read(*[{"n": "a", "v": 1}] * MAX_READINGS).received == MAX_READINGS
    with pytest.raises(TooManyReadings):
        read(*[{"n": "a", "v": 1}] * (MAX_READINGS + 1))
    with pytest.raises(TooManyReadings):
        parse(b"[" + b"0," * 5_000_000 + b"0]")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
labels = st.sampled_from(
    ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x", "x_"]
)


@given(st.lists(json_values | st.dictionaries(labels, json_values)))
def test_whatever_the_records_every_one_is_accounted_for(records):
    with suppress(MalformedBody):
        parsed = parse(json.dumps(records, allow_nan=True).encode())
        seen = set(parsed.index.tolist()) | {refusal.index for refusal in parsed.refusals}
        assert len(seen) == parsed.received
        bases_alone = [
            index
            for index, record in enumerate(records)
            if isinstance(record, dict) and index not in seen and any(label[:1] == "b" for label in record)
        ]
        assert len(seen) + len(bases_alone) == len(records)


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_else_is_raised(body):
    for text in (
        body,
        b"[" + body + b"]",
        b'[{"n":"' + body + b'","v":1}]',
        b'[{"n":"a","v":' + body + b"}]",
    ):
        with suppress(MalformedBody, TooManyReadings):
            parse(text)


@given(
    st.lists(
        st.tuples(
            st.text("abc:/-._19", min_size=1, max_size=10),
            st.integers(ABSOLUTE_FROM_S * 1_000_000, 4 * 10**15),
            st.floats(-1e100, 1e100),
            st.sampled_from([None, "Cel", "%RH", "m/s2"]),
        ),
        min_size=1,
    )
)
def test_what_is_written_is_read_back_exactly(readings):
    parsed = read(
        *(
            {"n": key, "t": ts_us / 1_000_000, "v": value} | ({"u": name} if name else {})
            for key, ts_us, value, name in readings
        )
    )

    assert keys(parsed) == [key for key, *_ in readings]
    assert parsed.ts_us.tolist() == [ts_us for _, ts_us, *_ in readings]
    assert parsed.values.tolist() == [value for _, _, value, _ in readings]
    assert units(parsed) == [UCUM_CODES.get(name, name) for *_, name in readings]

"""From topics and payloads to keys and readings. Without a broker."""

import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.bridge.joining import joined, renamed, shared_out
from sensors.bridge.messages import Manners, Message
from sensors.bridge.payloads import KINDS, read_message
from sensors.bridge.topics import TopicNaming, check_filter, shared_filter, topic_template
from sensors.ingest.body import MAX_BODY_BYTES
from sensors.ingest.fields import BAD, GOOD
from sensors.ingest.naming import BadTemplate
from sensors.ingest.parsed import ParsedReadings, RowProblem
from sensors.ingest.timestamps import timestamp_us

TS_MS = 1_795_341_600_000
TS_US = TS_MS * 1000
ARRIVED_US = TS_US + 5_000_000
TOPIC = "works/pump-7/state"


def read_parts(
    kind: str, body: bytes, *, sensor: str | None = None, **manners: object
) -> list[ParsedReadings]:
    template = topic_template(sensor) if sensor else None
    message = Message(TOPIC, body, ARRIVED_US, mid=1)
    return read_message(KINDS[kind](), message, Manners(template=template, **manners)).parts


def read(kind: str, body: bytes, *, sensor: str | None = None, **manners: object) -> ParsedReadings:
    """All parts as one request."""
    parts = read_parts(kind, body, sensor=sensor, **manners)
    return parts[0] if len(parts) == 1 else joined([(0, part) for part in parts])


def rows(parsed: ParsedReadings) -> list[tuple[str, int, float]]:
    return [
        (parsed.keys[key], int(ts_us), float(value))
        for key, ts_us, value in zip(parsed.key_of_row, parsed.ts_us, parsed.values, strict=True)
    ]


def codes(parsed: ParsedReadings) -> list[str]:
    return [refusal.code for refusal in parsed.refusals]


class TestTopics:
    @pytest.mark.parametrize(
        ("template", "key"),
        [
            ("{1}/{3}", "works/state"),
            ("{2}", "pump-7"),
            ("{topic}", TOPIC),
            ("{2}.{2}", "pump-7.pump-7"),
        ],
    )
    def test_levels_count_from_one(self, template, key):
        assert TopicNaming(TOPIC, topic_template(template)).of_topic() == key

    def test_the_payload_s_name_stands_in_the_template(self):
        naming = TopicNaming(TOPIC, topic_template("{2}/{name}/{field}"))
        assert naming.of_sensor("x") == naming.of_field("x") == "pump-7/x/x"

    @pytest.mark.parametrize(
        ("template", "name"), [("{4}", None), ("{2}/{name}", None), ("{2}", "x"), ("{topic}", "x")]
    )
    def test_a_template_that_does_not_fit_the_message_refuses_it(self, template, name):
        naming = TopicNaming(TOPIC, topic_template(template))
        with pytest.raises(RowProblem) as refused:
            naming.of_topic() if name is None else naming.of_field(name)
        assert refused.value.code == "missing_tag"

    @pytest.mark.parametrize(
        "template", ["", "pump", "{0}", "{-1}", "{²}", "{measurement}", "{1", "{1}}", "{}"]
    )
    def test_other_templates_are_refused(self, template):
        with pytest.raises(BadTemplate):
            topic_template(template)

    @pytest.mark.parametrize("topic", ["a/b", "#", "+/+/c", "a/#", "/", "+"])
    def test_filters(self, topic):
        assert check_filter(topic) == topic
        assert shared_filter(topic, "works") == f"$share/works/{topic}"

    @pytest.mark.parametrize("topic", ["", "a#", "#/a", "a/b+", "a\0", "ä" * 40_000])
    def test_what_is_no_filter(self, topic):
        with pytest.raises(ValueError):  # noqa: PT011
            check_filter(topic)

    @pytest.mark.parametrize("group", ["", "a/b", "a+", "#"])
    def test_what_is_no_group(self, group):
        with pytest.raises(ValueError, match="shared subscription"):
            shared_filter("a", group)


class TestValue:
    @pytest.mark.parametrize(
        ("body", "value"),
        [(b"21.5", 21.5), (b" -3\n", -3), (b"1e-3", 0.001), (b".5", 0.5), (b"true", 1), (b"False", 0)],
    )
    def test_it_is_of_the_moment_it_came(self, body, value):
        assert rows(read("value", body)) == [(TOPIC, ARRIVED_US, value)]

    @pytest.mark.parametrize("body", [b"", b"on", b"1_000", b"1,5", b"nan", b"inf", b"0x1F", b"\xff", b"1 2"])
    def test_other_payloads_are_malformed(self, body):
        parsed = read("value", body)
        assert (codes(parsed), rows(parsed)) == (["malformed"], [])

    def test_a_number_that_nothing_measures_is_refused(self):
        assert codes(read("value", b"1e200")) == ["invalid_value"]


class TestJson:
    def test_the_native_body(self):
        body = (
            b'{"readings": [{"sensor": "a", "ts": %d, "value": 1}, {"sensor": "b", "ts": 5, "value": "x"}]}'
        )
        parsed = read("json", body % TS_MS)
        assert rows(parsed) == [("a", TS_US, 1)]
        assert codes(parsed) == ["invalid_value"]

    @pytest.mark.parametrize(
        ("body", "row"),
        [
            (b"21.5", (TOPIC, ARRIVED_US, 21.5)),
            (b"21", (TOPIC, ARRIVED_US, 21)),
            (b"true", (TOPIC, ARRIVED_US, 1)),
            (b'{"value": 2}', (TOPIC, ARRIVED_US, 2)),
            (b'{"value": false}', (TOPIC, ARRIVED_US, 0)),
            (b'{"ts": %d, "value": 2}' % TS_MS, (TOPIC, TS_US, 2)),
            (b'{"sensor": "a", "value": 2}', ("a", ARRIVED_US, 2)),
        ],
    )
    def test_one_reading(self, body, row):
        parsed = read("json", body)
        assert (rows(parsed), codes(parsed)) == ([row], [])

    @pytest.mark.parametrize(("historical", "offset_h"), [("true", 2), ("false", 1)])
    def test_old_data_of_the_hour_that_repeats_are_of_the_first_pass(self, historical, offset_h):
        """When they came tells nothing of them, as over HTTP."""
        body = (
            b'{"historical": %b, "readings": [{"sensor": "a", "ts": "2026-10-25T02:30:00", "value": 1}]}'
            % historical.encode()
        )
        parsed = read("json", body, zone=ZoneInfo("Europe/Berlin"))
        assert parsed.ts_us.tolist() == [timestamp_us(f"2026-10-25T02:30:00+0{offset_h}:00")]

    def test_quality_unit_and_zone(self):
        parsed = read(
            "json",
            b'{"ts": "2026-11-22T10:00:00", "value": null, "quality": "bad", "unit": "mm/s"}',
            zone=ZoneInfo("Europe/Berlin"),
        )
        assert (parsed.ts_us[0], parsed.quality[0], parsed.units) == (TS_US - 3_600_000_000, BAD, ["mm/s"])
        assert math.isnan(parsed.values[0])

    def test_a_list_of_readings(self):
        parsed = read("json", b'[{"ts": %d, "value": 1}, {"value": "x"}, 7, {"ts": "?", "value": 1}]' % TS_MS)
        assert rows(parsed) == [(TOPIC, TS_US, 1)]
        assert codes(parsed) == ["invalid_value", "invalid_row", "invalid_timestamp"]

    def test_values_by_name(self):
        body = b'{"temperature": 21.5, "running": true, "label": "x"}'
        parsed = read("json", body)
        assert rows(parsed) == [
            (f"{TOPIC}/temperature", ARRIVED_US, 21.5),
            (f"{TOPIC}/running", ARRIVED_US, 1),
        ]
        assert codes(parsed) == ["invalid_value"]
        body = b'{"ts": %d, "values": {"temperature": 21.5}}' % TS_MS
        assert rows(read("json", body, sensor="{2}.{name}")) == [("pump-7.temperature", TS_US, 21.5)]

    def test_what_stands_beside_a_value_is_a_value_by_name(self):
        body = (
            b'{"ts": %d, "value": 2, "unit": "mm/s", "battery": 98, "charging": true, "spare": null}' % TS_MS
        )
        parsed = read("json", body)
        assert rows(parsed) == [
            (TOPIC, TS_US, 2),
            (f"{TOPIC}/battery", TS_US, 98),
            (f"{TOPIC}/charging", TS_US, 1),
        ]
        assert [parsed.units[unit] for unit in parsed.unit_of_row] == ["mm/s", None, None]
        assert codes(parsed) == []

    def test_what_stands_beside_the_value_of_a_named_sensor_is_that_sensor_s(self):
        body = b'[{"sensor": "a", "value": 2, "battery": 98}, {"value": 3, "battery": 97}]'
        assert rows(read("json", body)) == [
            ("a", ARRIVED_US, 2),
            (TOPIC, ARRIVED_US, 3),
            (f"{TOPIC}/battery", ARRIVED_US, 97),
            ("a/battery", ARRIVED_US, 98),
        ]
        parsed = read("json", b'{"sensor": "a", "value": 2, "battery": 98}', sensor="{2}:{name}")
        assert rows(parsed) == [("pump-7:a", ARRIVED_US, 2), ("pump-7:a/battery", ARRIVED_US, 98)]

    def test_what_cannot_be_taken_beside_a_value_is_refused_by_name(self):
        parsed = read("json", b'{"value": 2, "timestamp": "x", "more": {"a": 1}}')
        assert rows(parsed) == [(TOPIC, ARRIVED_US, 2)]
        assert [(refusal.code, refusal.raw) for refusal in parsed.refusals] == [
            ("invalid_value", f'{TOPIC}: "timestamp":"x"'),
            ("invalid_value", f'{TOPIC}: "more":{{"a": 1}}'),
        ]
        parsed = read("json", b'{"value": 2, "battery": 98}', sensor="{2}")
        assert rows(parsed) == [("pump-7", ARRIVED_US, 2)]
        assert codes(parsed) == ["missing_tag"]
        assert '"battery"' in parsed.refusals[0].detail
        assert parsed.refusals[0].raw == f"{TOPIC}: battery = 98"

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("json", b'[{"value": "hot"}]'),
            ("json", b'{"ts": "noon", "values": {"a": 1}}'),
            ("json", b"nonsense"),
            ("senml", b'[{"n": "a", "vs": "hot"}]'),
            ("value", b"hot"),
        ],
    )
    def test_what_cannot_be_read_is_kept_behind_its_topic(self, kind, body):
        [refusal] = [refusal for part in read_parts(kind, body) for refusal in part.refusals]
        assert refusal.raw.startswith(f"{TOPIC}: ")
        assert refusal.raw.count(TOPIC) == 1
        assert len(refusal.raw) > len(f"{TOPIC}: ")

    def test_a_row_that_is_refused_whole_is_refused_once(self):
        for body in (
            b'[{"value": 1}, {"battery": 98}]',
            b'[{"value": 1}, {"sensor": 7, "value": 1, "b": 9}]',
        ):
            parsed = read("json", body)
            assert (len(rows(parsed)), len(parsed.refusals)) == (1, 1)

    def test_what_stands_beside_values_is_refused_by_name(self):
        for body in (
            b'{"ts": %d, "values": {"a": 1}, "rssi": -70}',
            b'[{"ts": %d, "values": {"a": 1}, "rssi": -70}]',
        ):
            parsed = read("json", body % TS_MS)
            assert rows(parsed) == [(f"{TOPIC}/a", TS_US, 1)]
            assert [(refusal.code, refusal.raw) for refusal in parsed.refusals] == [
                ("invalid_row", f'{TOPIC}: "rssi":-70')
            ]

    def test_text_is_left_out_where_the_key_says_so(self):
        body = b'{"a": "x", "b": {"c": 1}, "d": [1], "e": 1e200, "f": 1}'
        parsed = read("json", body, leaves_out_text=True)
        assert (rows(parsed), codes(parsed)) == ([(f"{TOPIC}/f", ARRIVED_US, 1)], ["invalid_value"])
        assert codes(read("json", b'{"value": 1, "a": "x", "e": 1e200}', leaves_out_text=True)) == [
            "invalid_value"
        ]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b'"21.5"',
            b"{",
            b"\xff",
            b"[[[[",
            b"1\0",
            b"[" * 100_000,
            b"NaN",
            b"1e999",
            b"9" * 400,
        ],
    )
    def test_other_payloads_are_malformed(self, body):
        parsed = read("json", body)
        assert (codes(parsed), rows(parsed)) == (["malformed"], [])

    @pytest.mark.parametrize(
        "body", [b"[%s]" % b",".join([b'{"value":1}'] * 10_001), b" " * (MAX_BODY_BYTES + 1)]
    )
    def test_too_much_is_refused(self, body):
        assert codes(read("json", body)) == ["too_many"]


def test_senml_names_the_sensors():
    body = b'[{"bn": "pump-7/", "bt": %d, "n": "t", "u": "Cel", "v": 21}, {"n": "on", "vb": true}]' % (
        TS_MS // 1000
    )
    assert rows(read("senml", body)) == [("pump-7/t", TS_US, 21), ("pump-7/on", TS_US, 1)]
    assert rows(read("senml", b'[{"n": "t", "v": 1, "t": -5}]', sensor="{1}:{name}")) == [
        ("works:t", TS_US, 1)
    ]
    assert codes(read("senml", b"{}")) == ["malformed"]


@given(st.sampled_from(["json", "senml", "value"]), st.binary(max_size=60) | st.text().map(str.encode))
def test_no_payload_makes_anything_but_readings_and_refusals(kind, body):
    assert isinstance(read(kind, body), ParsedReadings)


class TestJoining:
    def test_messages_become_one_request_numbered_by_message(self):
        parts = [
            (0, read("json", b'{"sensor": "a", "value": 1, "unit": "m"}')),
            (1, read("json", b"?")),
            (2, read("json", b'[{"sensor": "b", "value": 2}, {"sensor": "a", "value": 3}]')),
        ]
        [these] = shared_out(parts)
        parsed = joined(these)
        assert parsed.keys == ["a", "b"]
        assert parsed.index.tolist() == [0, 2, 2]
        assert [parsed.units[unit] for unit in parsed.unit_of_row] == ["m", None, None]
        assert rows(parsed) == [("a", ARRIVED_US, 1), ("b", ARRIVED_US, 2), ("a", ARRIVED_US, 3)]
        assert [(refusal.index, refusal.code) for refusal in parsed.refusals] == [(1, "malformed")]
        assert parsed.received == 4

    def test_history_is_a_request_of_its_own(self):
        old = read("json", b'{"readings": [{"sensor": "a", "ts": 1, "value": 1}], "historical": true}')
        live, historical = map(joined, shared_out([(0, old), (1, read("value", b"2"))]))
        assert (live.historical, rows(live)) == (False, [(TOPIC, ARRIVED_US, 2)])
        assert (historical.historical, historical.index.tolist()) == (True, [0])

    def test_nothing_makes_no_request(self):
        assert shared_out([(0, read("json", b"[]"))]) == []

    def test_a_key_that_cannot_be_named_refuses_its_rows_alone(self):
        def name(key: str) -> str:
            if key == "b":
                raise RowProblem("invalid_sensor", "No.")
            return key.upper()

        parsed = renamed(
            read("json", b'[{"sensor":"a","value":1},{"sensor":"b","value":2},{"sensor":"c","value":3}]'),
            name,
        )
        assert rows(parsed) == [("A", ARRIVED_US, 1), ("C", ARRIVED_US, 3)]
        assert [(refusal.index, refusal.code) for refusal in parsed.refusals] == [(1, "invalid_sensor")]
        assert parsed.quality.tolist() == [GOOD, GOOD]

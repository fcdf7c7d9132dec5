"""Sparkplug B: payloads, births, gaps in the numbers. Without a broker."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.bridge.joining import joined, shared_out
from sensors.bridge.messages import Manners, Message
from sensors.bridge.payloads import read_message
from sensors.bridge.sparkplug_nodes import SparkplugKind
from sensors.bridge.topics import topic_template
from sensors.ingest.fields import BAD, GOOD, UNCERTAIN
from sensors.ingest.formats import sparkplug
from sensors.ingest.formats.sparkplug import Birth
from sensors.ingest.parsed import MalformedBody, ParsedReadings, TooManyReadings
from tests.sensors.bridge.sparkplug_wire import block, metric, payload, quality, whole

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING = range(1, 13)
TS_MS = 1_795_341_600_000
TS_US = TS_MS * 1000
ARRIVED_US = TS_US + 5_000_000

# Made with another implementation (pysparkplug 0.6.1): bdSeq, Node Control/Rebirth, Speed (Int16, -1500, alias 1,
# 123 ms later), Load (Double, 61.25, alias 2, quality 500), Running (Boolean, alias 3, with metadata), Serial (String),
# Curve (DataSet), Old (Float 0.5, historical, 1,600 s earlier), Gone (null); sequence number 3.
OF_ANOTHER_MAKER = bytes.fromhex(
    "08808acb95a034120b0a05626453657120085801121a0a144e6f646520436f6e74726f6c2f52656269727468200b70001218"
    "0a055370656564100118fb8acb95a034200350a4f4ffff0f12250a044c6f61641002200a4a100a075175616c697479120508"
    "0318f403690000000000a04e4012230a0752756e6e696e671003200b4212421077686574686572206974207475726e737001"
    "12100a0653657269616c200c7a04412d313712200a05437572766520108a01140801120178180a220b0a0921000000000000"
    "f83f12150a034f6c641880b6e994a03420092801650000003f120a0a04476f6e65200938011803"
)


def parse(body: bytes, birth: Birth | None = None, **options: bool) -> sparkplug.SparkplugReadings:
    return sparkplug.parse(
        sparkplug.read_payload(body),
        birth=birth or Birth(),
        key_of=str,
        arrived_us=ARRIVED_US,
        **options,
    )


def rows(parsed: ParsedReadings) -> list[tuple[str, int, float, int]]:
    return [
        (parsed.keys[key], int(ts_us), float(value), int(quality))
        for key, ts_us, value, quality in zip(
            parsed.key_of_row, parsed.ts_us, parsed.values, parsed.quality, strict=True
        )
    ]


def one_value(content: bytes, birth: Birth | None = None) -> tuple[float, int]:
    parsed = parse(payload(content, ts_ms=TS_MS), birth).live
    assert not parsed.refusals, parsed.refusals
    [(_, _, value, quality)] = rows(parsed)
    return value, quality


def one_refusal(content: bytes, birth: Birth | None = None) -> str:
    parsed = parse(payload(content, ts_ms=TS_MS), birth).live
    assert rows(parsed) == []
    [refusal] = parsed.refusals
    return refusal.code


class TestPayloads:
    def test_what_another_implementation_wrote_is_read(self):
        readings = parse(OF_ANOTHER_MAKER)
        live = rows(readings.live)
        assert live[:3] == [
            ("Speed", TS_US + 123_000, -1500.0, GOOD),
            ("Load", TS_US, 61.25, UNCERTAIN),
            ("Running", TS_US, 1.0, GOOD),
        ]
        assert live[3][:2] == ("Gone", TS_US)
        assert math.isnan(live[3][2])
        assert live[3][3] == BAD
        assert [(refusal.index, refusal.code) for refusal in readings.live.refusals] == [
            (5, "invalid_value"),
            (6, "invalid_value"),
        ]
        assert rows(readings.historical) == [("Old", TS_US - 1_600_000_000, 0.5, GOOD)]
        assert readings.historical.historical
        assert not readings.is_unborn

    def test_text_is_left_out_where_the_key_says_so(self):
        readings = parse(OF_ANOTHER_MAKER, leaves_out_text=True)
        assert (len(readings.live.index), readings.live.refusals) == (4, [])

    @pytest.mark.parametrize(
        ("datatype", "fields", "value"),
        [
            (INT8, {"int_value": 0xFF}, -1),
            (INT8, {"int_value": 0xFFFFFFFF}, -1),
            (INT8, {"int_value": 0x7F}, 127),
            (INT16, {"int_value": 0xFFFF8000}, -32768),
            (INT32, {"int_value": 0x80000000}, -(2**31)),
            (INT64, {"long_value": 2**64 - 7}, -7),
            (UINT8, {"int_value": 255}, 255),
            (UINT32, {"int_value": 0xFFFFFFFF}, 2**32 - 1),
            (UINT64, {"long_value": 2**63}, 2.0**63),
            (FLOAT, {"float_value": 0.1}, 0.10000000149011612),
            (DOUBLE, {"double_value": 0.1}, 0.1),
            (BOOLEAN, {"boolean_value": False}, 0),
        ],
    )
    def test_numbers_of_each_datatype(self, datatype, fields, value):
        assert one_value(metric("m", datatype=datatype, **fields)) == (value, GOOD)

    @pytest.mark.parametrize(("code", "expected"), [(0, BAD), (192, GOOD), (500, UNCERTAIN)])
    def test_quality(self, code, expected):
        assert one_value(metric("m", datatype=DOUBLE, double_value=1, extra=quality(code))) == (1, expected)

    def test_a_quality_that_is_not_sparkplug_s_is_refused(self):
        content = metric("m", datatype=DOUBLE, double_value=1, extra=quality(64))
        assert one_refusal(content) == "unknown_quality"

    def test_no_number_is_good_without_being_finite(self):
        content = metric("m", datatype=DOUBLE, double_value=math.nan)
        assert one_refusal(content) == "invalid_value"
        value, marked = one_value(
            metric("m", datatype=DOUBLE, double_value=math.inf, extra=quality(0)),
        )
        assert math.isnan(value)
        assert marked == BAD

    def test_the_datatype_that_a_birth_told_holds_for_data_that_tells_none(self):
        birth = Birth.of([("level", 7, INT16)])
        assert one_value(metric(alias=7, int_value=0xFFFF), birth) == (-1, GOOD)
        assert one_value(metric("level", int_value=0xFFFF), birth) == (-1, GOOD)

    def test_what_no_birth_explains_is_refused(self):
        assert one_refusal(metric(alias=8, double_value=1)) == "no_birth"
        assert one_refusal(metric("level", int_value=1)) == "no_birth"
        assert parse(payload(metric(alias=8, double_value=1))).is_unborn

    def test_without_any_time_it_is_of_the_moment_it_came(self):
        parsed = parse(payload(metric("m", datatype=DOUBLE, double_value=1))).live
        assert rows(parsed) == [("m", ARRIVED_US, 1.0, GOOD)]

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (metric("m", ts_ms=2**63, datatype=DOUBLE, double_value=1), "invalid_timestamp"),
            (metric("m", datatype=DOUBLE), "invalid_value"),
            (metric("m", datatype=STRING, string_value="x"), "invalid_value"),
            (metric(datatype=DOUBLE, double_value=1), "invalid_sensor"),
            (block(1, b"\xff") + whole(4, DOUBLE), "invalid_sensor"),
            (b"\x0f", "invalid_row"),
        ],
    )
    def test_a_metric_that_cannot_be_taken_stops_no_other(self, content, code):
        good = metric("good", datatype=DOUBLE, double_value=1)
        parsed = parse(payload(content, good, ts_ms=TS_MS)).live
        assert [refusal.code for refusal in parsed.refusals] == [code]
        assert rows(parsed) == [("good", TS_US, 1.0, GOOD)]

    def test_so_many_metrics_that_no_node_has_them_are_refused(self):
        with pytest.raises(TooManyReadings, match="at most 200,000"):
            sparkplug.read_payload(payload(*[b""] * 200_001))

    @given(st.binary(max_size=200) | st.lists(st.binary(max_size=40)).map(lambda parts: payload(*parts)))
    def test_no_bytes_make_anything_else(self, body):
        try:
            content = sparkplug.read_payload(body)
        except MalformedBody:
            return
        birth = sparkplug.read_birth(content)
        readings = sparkplug.parse(content, birth=birth, key_of=str, arrived_us=ARRIVED_US)
        assert readings.live.received + readings.historical.received <= len(content.metrics)

    @given(
        st.lists(
            st.tuples(
                st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50).filter(
                    lambda name: name != "bdSeq" and not name.startswith(("Node C", "Device C"))
                ),
                st.integers(-(2**63), 2**63 - 1),
                st.integers(0, TS_MS),
            ),
            max_size=20,
        )
    )
    def test_what_is_written_is_read(self, written):
        body = payload(
            *(
                metric(name, ts_ms=ts_ms, datatype=INT64, long_value=number % 2**64)
                for name, number, ts_ms in written
            )
        )
        assert rows(parse(body).live) == [
            (name, ts_ms * 1000, float(number), GOOD) for name, number, ts_ms in written
        ]


class TestTopics:
    def test_who_speaks(self):
        topic = sparkplug.read_topic("spBv1.0/Works/DDATA/line-1/pump-7")
        assert topic == sparkplug.Topic("Works", "DDATA", "line-1", "pump-7")
        assert (topic.edge_node, topic.speaker) == ("Works/line-1", "Works/line-1/pump-7")
        assert topic.rebirth_topic == "spBv1.0/Works/NCMD/line-1"
        assert sparkplug.read_topic("spBv1.0/STATE/scada") is None

    @pytest.mark.parametrize(
        "topic",
        [
            "plant/pump",
            "spAv1.0/Works/NDATA/line-1",
            "spBv1.0/Works/DDATA/line-1",
            "spBv1.0/Works/NDATA/line-1/pump-7",
            "spBv1.0/Works/NBIRTH/",
            "spBv1.0/Works/NOTES/line-1",
            "spBv1.0/Works",
            "spBv1.0/Works/NDATA/" + "n" * 600,
        ],
    )
    def test_other_topics_are_refused(self, topic):
        with pytest.raises(MalformedBody):
            sparkplug.read_topic(topic)


class Line:
    """A node called Works/line-1 that speaks to a bridge's memory."""

    def __init__(self, kind: SparkplugKind) -> None:
        self.kind = kind
        self.arrived_us = ARRIVED_US

    def says(
        self,
        what: str,
        *metrics: bytes,
        seq: int | None,
        device: str = "",
        again: bool = False,
        qos: int = 1,
        at_s: int = 0,
        manners: Manners | None = None,
    ) -> ParsedReadings | None:
        """One message, published so many seconds after `TS_MS`; returns its live readings."""
        self.arrived_us += 1_000_000
        topic = "/".join(filter(None, ["spBv1.0/Works", what, "line-1", device]))
        body = payload(*metrics, ts_ms=TS_MS + 1000 * at_s, seq=seq)
        message = Message(topic, body, self.arrived_us, mid=qos, is_redelivered=again)
        return next(iter(self.kind.read(message, manners or Manners())), None)

    def goes_on(self) -> "Line":
        """The line, and another bridge that remembers what this one kept."""
        kind = SparkplugKind()
        births = {speaker: birth for speaker, birth in self.kind.born.items() if birth is not None}
        kind.remember(births, self.kind.next_numbers())
        kind.cut()
        following = Line(kind)
        following.arrived_us = self.arrived_us
        return following


def codes(parsed: ParsedReadings) -> list[str]:
    return [refusal.code for refusal in parsed.refusals]


def keys(parsed: ParsedReadings) -> list[str]:
    return [key for key, *_ in rows(parsed)]


TEMPERATURE = metric("Temperature", alias=1, datatype=DOUBLE, double_value=20)


class TestNodes:
    @pytest.fixture
    def line(self) -> Line:
        return Line(SparkplugKind())

    def test_aliases_hold_for_the_speaker_that_told_them(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("DBIRTH", metric("Speed", alias=2, datatype=DOUBLE, double_value=1), seq=1, device="pump-7")
        data = line.says("DDATA", metric(alias=2, double_value=3), seq=2, device="pump-7")
        assert rows(data) == [("Works/line-1/pump-7/Speed", TS_US, 3.0, GOOD)]
        data = line.says("NDATA", metric(alias=1, double_value=21), seq=3)
        assert rows(data) == [("Works/line-1/Temperature", TS_US, 21.0, GOOD)]
        assert line.kind.rebirths == set()

    def test_the_values_of_a_birth_are_readings(self, line):
        assert rows(line.says("NBIRTH", TEMPERATURE, seq=0)) == [
            ("Works/line-1/Temperature", TS_US, 20.0, GOOD)
        ]

    def test_a_template_names_the_sensors(self, line):
        manners = Manners(template=topic_template("{4}.{name}"))
        parsed = line.says("NBIRTH", TEMPERATURE, seq=0, manners=manners)
        assert parsed.keys == ["line-1.Temperature"]

    def test_an_unknown_alias_asks_for_a_rebirth_but_not_all_the_time(self, line):
        data = line.says("NDATA", metric(alias=1, double_value=21), seq=5)
        assert [refusal.code for refusal in data.refusals] == ["no_birth"]
        assert line.kind.rebirths == {"spBv1.0/Works/NCMD/line-1"}
        line.kind.rebirths.clear()
        line.says("NDATA", metric(alias=1, double_value=21), seq=6)
        assert line.kind.rebirths == set()
        line.arrived_us += 10_000_000
        line.says("NDATA", metric(alias=1, double_value=21), seq=7)
        assert len(line.kind.rebirths) == 1

    def test_a_gap_in_the_numbers_asks_for_a_rebirth(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        for seq in [*range(1, 256), 0]:
            line.says("NDATA", TEMPERATURE, seq=seq)
        line.says("DDEATH", seq=1, device="pump-7")
        assert line.kind.rebirths == set()
        stored = line.says("NDATA", TEMPERATURE, seq=3)
        assert len(line.kind.rebirths) == 1
        assert len(rows(stored)) == 1

    def test_what_the_broker_sends_again_is_no_gap(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        for seq in (1, 2, 3):
            line.says("NDATA", TEMPERATURE, seq=seq)
        for seq in (2, 3):
            line.says("NDATA", TEMPERATURE, seq=seq, again=True)
        line.says("NDATA", TEMPERATURE, seq=4)
        assert line.kind.rebirths == set()

    def test_a_node_s_birth_ends_its_devices(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("DBIRTH", TEMPERATURE, seq=1, device="pump-7")
        line.says("NBIRTH", TEMPERATURE, seq=0)
        assert line.kind.born["Works/line-1/pump-7"] is None
        data = line.says("DDATA", metric(alias=1, double_value=3), seq=1, device="pump-7")
        assert [refusal.code for refusal in data.refusals] == ["no_birth"]

    def test_after_a_gap_aliases_wait_for_the_new_birth_and_names_do_not(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("DBIRTH", metric("Speed", alias=2, datatype=DOUBLE, double_value=1), seq=1, device="pump-7")
        data = line.says("NDATA", metric(alias=1, double_value=21), TEMPERATURE, seq=3)
        assert (keys(data), codes(data)) == (["Works/line-1/Temperature"], ["no_birth"])
        data = line.says("DDATA", metric(alias=2, double_value=1), seq=4, device="pump-7")
        assert (keys(data), codes(data)) == ([], ["no_birth"])
        assert line.kind.rebirths == {"spBv1.0/Works/NCMD/line-1"}
        assert line.kind.born == {"Works/line-1": None, "Works/line-1/pump-7": None}

        # What had been missed: the alias means another metric by now.
        line.says("NBIRTH", metric("Pressure", alias=1, datatype=DOUBLE, double_value=1), seq=0)
        data = line.says("NDATA", metric(alias=1, double_value=21), seq=1)
        assert (keys(data), codes(data)) == (["Works/line-1/Pressure"], [])

    def test_a_device_s_birth_after_a_gap_holds_for_the_device(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("DBIRTH", metric("Speed", alias=2, datatype=DOUBLE, double_value=1), seq=7, device="pump-7")
        assert keys(line.says("DDATA", metric(alias=2, double_value=1), seq=8, device="pump-7")) == [
            "Works/line-1/pump-7/Speed"
        ]
        assert codes(line.says("NDATA", metric(alias=1, double_value=1), seq=9)) == ["no_birth"]

    @pytest.mark.parametrize("body", [b"\xff", payload(*[b""] * 200_001)])
    def test_a_birth_that_cannot_be_read_ends_the_one_before(self, line, body):
        line.says("NBIRTH", TEMPERATURE, seq=0)
        message = Message("spBv1.0/Works/NBIRTH/line-1", body, line.arrived_us, mid=1)
        assert read_message(line.kind, message, Manners()).refused in {"malformed", "too_many"}
        assert line.kind.rebirths == {"spBv1.0/Works/NCMD/line-1"}
        assert codes(line.says("NDATA", metric(alias=1, double_value=21), seq=1)) == ["no_birth"]

    def test_a_birth_of_more_metrics_than_a_request_has_is_learned_and_read_in_parts(self, line):
        count = 25_000
        body = payload(
            *(metric(f"m{n}", alias=n, datatype=DOUBLE, double_value=n) for n in range(count)),
            ts_ms=TS_MS,
            seq=0,
        )
        message = Message("spBv1.0/Works/NBIRTH/line-1", body, line.arrived_us, mid=1)
        parts = [parsed for parsed in read_message(line.kind, message, Manners()).parts if parsed.received]
        assert [parsed.received for parsed in parts] == [10_000, 10_000, 5_000]
        requests = [joined(these) for these in shared_out((0, parsed) for parsed in parts)]
        assert [parsed.received for parsed in requests] == [10_000, 10_000, 5_000]
        assert [key for parsed in parts for key in keys(parsed)] == [
            f"Works/line-1/m{n}" for n in range(count)
        ]
        data = line.says("NDATA", metric(alias=24_999, double_value=3), seq=1)
        assert keys(data) == ["Works/line-1/m24999"]

    def test_deaths_and_commands_are_no_readings(self, line):
        for what, device in (("NDEATH", ""), ("DDEATH", "pump-7"), ("NCMD", ""), ("DCMD", "pump-7")):
            assert line.says(what, TEMPERATURE, seq=None, device=device) is None

    def test_numbers_that_no_message_has_ask_for_nothing(self, line):
        line.says("NBIRTH", TEMPERATURE, seq=None)
        assert keys(line.says("NDATA", metric(alias=1, double_value=21), seq=None)) == [
            "Works/line-1/Temperature"
        ]
        assert line.kind.rebirths == set()

    def test_a_rebirth_request_is_a_true_boolean_of_that_name(self):
        expected = payload(
            metric("Node Control/Rebirth", ts_ms=TS_MS, datatype=BOOLEAN, boolean_value=True), ts_ms=TS_MS
        )
        assert sparkplug.rebirth_request(TS_MS) == expected


PRESSURE = metric("Pressure", alias=1, datatype=DOUBLE, double_value=3)
BY_ALIAS = metric(alias=1, double_value=21)


class TestSilentNodes:
    @pytest.fixture
    def line(self) -> Line:
        line = Line(SparkplugKind())
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("DBIRTH", metric("Speed", alias=2, datatype=DOUBLE, double_value=1), seq=1, device="pump-7")
        line.kind.born.clear()
        return line

    def test_what_they_told_is_forgotten_with_them(self, line):
        line.kind.forget_silent(since_us=line.arrived_us, now_us=line.arrived_us)
        assert set(line.kind.births) == {"Works/line-1", "Works/line-1/pump-7"}
        line.kind.forget_silent(since_us=line.arrived_us + 1, now_us=line.arrived_us + 1)
        assert (line.kind.births, line.kind.next_numbers()) == ({}, {})
        assert line.kind.born == {"Works/line-1": None, "Works/line-1/pump-7": None}
        assert codes(line.says("NDATA", metric(alias=1, double_value=21), seq=2)) == ["no_birth"]
        assert len(line.kind.rebirths) == 1

    def test_one_that_never_was_born_is_forgotten_too(self):
        line = Line(SparkplugKind())
        line.says("NDATA", metric(alias=1, double_value=21), seq=2)
        line.kind.forget_silent(since_us=line.arrived_us + 1, now_us=line.arrived_us + 1)
        assert line.kind._nodes == {}

    def test_one_of_an_earlier_run_has_its_time_from_now_on(self):
        kind = SparkplugKind()
        kind.remember({"Works/line-1": Birth.of([("Pressure", 1, DOUBLE)])}, {"Works/line-1": 1})
        kind.forget_silent(since_us=ARRIVED_US, now_us=ARRIVED_US + 10)
        kind.forget_silent(since_us=ARRIVED_US + 10, now_us=ARRIVED_US + 20)
        assert set(kind.births) == {"Works/line-1"}
        kind.forget_silent(since_us=ARRIVED_US + 11, now_us=ARRIVED_US + 21)
        assert kind.births == {}


class TestAfterAnInterruption:
    """The alias 1 was the temperature, then the node was born anew and it is the pressure."""

    @pytest.fixture
    def before(self) -> Line:
        line = Line(SparkplugKind())
        line.says("NBIRTH", TEMPERATURE, seq=0)
        line.says("NDATA", BY_ALIAS, seq=1, at_s=10)
        line.says("NBIRTH", PRESSURE, seq=0, at_s=20)
        line.says("NDATA", BY_ALIAS, seq=1, at_s=30)
        return line

    def test_what_comes_again_is_not_read_by_a_newer_birth(self, before):
        line = before.goes_on()
        again = line.says("NDATA", BY_ALIAS, TEMPERATURE, seq=1, at_s=10, again=True)
        assert (keys(again), codes(again)) == (["Works/line-1/Temperature"], ["earlier_birth"])
        assert line.kind.rebirths == set()

    def test_what_comes_again_in_the_moment_of_the_birth_is_not_read_by_it(self, before):
        again = before.goes_on().says("NDATA", BY_ALIAS, seq=1, at_s=20, again=True)
        assert codes(again) == ["earlier_birth"]

    def test_nor_where_its_number_happens_to_be_the_next(self, before):
        again = before.goes_on().says("NDATA", BY_ALIAS, seq=2, at_s=10, again=True)
        assert codes(again) == ["earlier_birth"]

    def test_what_comes_again_and_is_younger_than_the_birth_is_read_by_it(self, before):
        again = before.goes_on().says("NDATA", BY_ALIAS, seq=1, at_s=30, again=True)
        assert keys(again) == ["Works/line-1/Pressure"]

    def test_a_birth_that_comes_again_goes_before_what_comes_again_after_it(self, before):
        line = before.goes_on()
        line.says("NDATA", BY_ALIAS, seq=1, at_s=10, again=True)
        line.says("NBIRTH", PRESSURE, seq=0, at_s=20, again=True)
        assert keys(line.says("NDATA", BY_ALIAS, seq=1, at_s=20, again=True)) == ["Works/line-1/Pressure"]
        assert keys(line.says("NDATA", BY_ALIAS, seq=2, at_s=5)) == ["Works/line-1/Pressure"]

    def test_births_that_come_again_are_each_read_by_their_own(self, before):
        line = before.goes_on()
        line.says("NBIRTH", TEMPERATURE, seq=0, again=True)
        assert keys(line.says("NDATA", BY_ALIAS, seq=1, at_s=10, again=True)) == ["Works/line-1/Temperature"]
        line.says("NBIRTH", PRESSURE, seq=0, at_s=20, again=True)
        assert keys(line.says("NDATA", BY_ALIAS, seq=1, at_s=30, again=True)) == ["Works/line-1/Pressure"]

    def test_a_birth_that_tells_the_same_again_holds_since_it_was_first_told(self, before):
        before.says("NBIRTH", PRESSURE, seq=0, at_s=40)
        line = before.goes_on()
        assert keys(line.says("NDATA", BY_ALIAS, seq=1, at_s=30, again=True)) == ["Works/line-1/Pressure"]

    def test_without_a_time_what_comes_again_is_refused(self, before):
        line = before.goes_on()
        topic, body = "spBv1.0/Works/NDATA/line-1", payload(BY_ALIAS, seq=1)
        [parsed, _] = line.kind.read(
            Message(topic, body, line.arrived_us, mid=1, is_redelivered=True), Manners()
        )
        assert codes(parsed) == ["earlier_birth"]

    def test_what_waited_is_read_by_the_births_that_were_kept(self, before):
        line = before.goes_on()
        assert keys(line.says("NDATA", BY_ALIAS, seq=2, at_s=5)) == ["Works/line-1/Pressure"]
        assert line.kind.rebirths == set()

    def test_what_the_broker_threw_away_meanwhile_is_a_gap(self, before):
        line = before.goes_on()
        assert codes(line.says("NDATA", BY_ALIAS, seq=9, at_s=40)) == ["no_birth"]
        assert len(line.kind.rebirths) == 1

    def test_births_without_a_number_to_go_on_from_do_not_hold(self, before):
        kind = SparkplugKind()
        kind.remember({"Works/line-1": Birth.of([("Pressure", 1, DOUBLE)])}, {})
        assert codes(Line(kind).says("NDATA", BY_ALIAS, seq=1)) == ["no_birth"]
        assert len(kind.rebirths) == 1

    def test_without_qos_a_birth_may_have_been_missed(self, before):
        before.kind.cut()
        assert codes(before.says("NDATA", BY_ALIAS, seq=2, qos=0, at_s=40)) == ["no_birth"]
        assert len(before.kind.rebirths) == 1
        before.says("NBIRTH", PRESSURE, seq=0, qos=0, at_s=50)
        data = before.says("NDATA", BY_ALIAS, seq=1, qos=0, at_s=60)
        assert (keys(data), codes(data)) == (["Works/line-1/Pressure"], [])

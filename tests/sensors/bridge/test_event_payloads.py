"""From topics and payloads to machine events. Without a broker."""

import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.bridge.event_payloads import read_events
from sensors.bridge.joining import events_joined
from sensors.bridge.messages import Content, Manners, Message
from sensors.bridge.payloads import KINDS, read_message
from sensors.bridge.topics import is_among, machine_template
from sensors.ingest.body import MAX_BODY_BYTES
from sensors.ingest.naming import BadTemplate
from sensors.ingest.parsed import MAX_READINGS

TS_US = 1_795_341_600_000_000
ARRIVED_US = TS_US + 5_000_000
TOPIC = "plant/pump-7/alarms"
EVENT = {"code": "E17", "kind": "fault", "ts": TS_US // 1000, "message": "Motor overload"}


def read(payload: object, *, machine: str | None = "{2}", zone: ZoneInfo | None = None) -> Content:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    template = machine_template(machine) if machine else None
    message = Message(TOPIC, body, ARRIVED_US, mid=1, is_event=True)
    return read_events(message, Manners(machine=template, zone=zone))


def rows(content: Content) -> list[tuple[str, str, str, int]]:
    return [(row.equipment, row.code, row.kind, row.ts_us) for row in content.events.rows]


def codes(content: Content) -> list[str]:
    return [refusal.code for refusal in content.events.refusals]


@pytest.mark.parametrize("payload", [EVENT, [EVENT], {"events": [EVENT]}])
def test_an_event_comes_alone_in_a_list_or_in_a_body(payload):
    content = read(payload)
    assert rows(content) == [("pump-7", "E17", "fault", TS_US)]
    assert content.events.rows[0].message == "Motor overload"
    assert (content.parts, content.refused, content.received) == ([], "", 1)


def test_what_has_no_time_is_of_the_moment_it_came():
    assert rows(read([{"code": 1}, {"code": 2, "ts": None}])) == [
        ("pump-7", "1", "error", ARRIVED_US),
        ("pump-7", "2", "error", ARRIVED_US),
    ]


def test_the_payload_s_machine_goes_before_the_topic_s():
    assert rows(read(EVENT | {"equipment": "P-101"}))[0][0] == "P-101"
    assert rows(read(EVENT | {"equipment": None}))[0][0] == "pump-7"


@pytest.mark.parametrize(
    ("machine", "equipment"), [("{1}-{2}", "plant-pump-7"), ("{topic}", TOPIC), ("P/{2}", "P/pump-7")]
)
def test_the_template_gives_the_machine(machine, equipment):
    assert rows(read(EVENT, machine=machine))[0][0] == equipment


@pytest.mark.parametrize(
    ("payload", "machine", "code"),
    [
        (EVENT, None, "invalid_equipment"),
        (EVENT, "{4}", "missing_tag"),
        (EVENT, "{2}" * 9, "invalid_equipment"),
        ({"events": {"code": "E17"}}, "{2}", "malformed"),
        ({"value": 3}, "{2}", "invalid_code"),
        ([EVENT | {"ts": "yesterday"}], "{2}", "invalid_timestamp"),
        ([EVENT | {"kind": "bad"}], "{2}", "unknown_kind"),
        (["E17"], "{2}", "invalid_row"),
        ("E17", "{2}", "malformed"),
        (17, "{2}", "malformed"),
        (b"\xff", "{2}", "malformed"),
        (b"", "{2}", "malformed"),
        (b"[" * 5_000 + b"]" * 5_000, "{2}", "malformed"),
        ([EVENT] * (MAX_READINGS + 1), "{2}", "too_many"),
        (b" " * (MAX_BODY_BYTES + 1), "{2}", "too_many"),
    ],
)
def test_what_is_refused_and_why(payload, machine, code):
    content = read(payload, machine=machine)
    assert (rows(content), codes(content)) == ([], [code])
    assert content.refused == (code if code in {"malformed", "too_many"} else "")


def test_a_refused_event_stops_no_other():
    content = read([EVENT, EVENT | {"code": ""}, EVENT | {"code": "E18"}])
    assert [code for _, code, _, _ in rows(content)] == ["E17", "E18"]
    assert [(refusal.index, refusal.code) for refusal in content.events.refusals] == [(1, "invalid_code")]


def test_a_time_without_an_offset_is_the_key_s():
    content = read(EVENT | {"ts": "2026-11-22T11:00:00"}, zone=ZoneInfo("Europe/Berlin"))
    assert rows(content)[0][3] == TS_US
    assert codes(read(EVENT | {"ts": "2026-11-22T11:00:00"})) == ["timestamp_naive"]


def test_events_are_read_whatever_the_readings_payload_is():
    message = Message(TOPIC, json.dumps(EVENT).encode(), ARRIVED_US, is_event=True)
    for kind in KINDS.values():
        assert read_message(kind(), message, Manners(machine=machine_template("{2}"))) == read(EVENT)


def test_the_events_of_messages_are_joined_in_their_order():
    first, second = read([EVENT, EVENT | {"code": ""}]), read(EVENT)
    whole = events_joined([None, first.events, None, second.events])
    assert [row.index for row in whole.rows] == [1, 3]
    assert [refusal.index for refusal in whole.refusals] == [1]
    assert whole.received == 3
    assert replace(whole.rows[1], index=0) == second.events.rows[0]


@pytest.mark.parametrize("template", ["pump", "{name}", "{2}/{field}", "{0}", "{machine}"])
def test_a_template_of_a_machine_names_levels_only(template):
    with pytest.raises(BadTemplate):
        machine_template(template)


@pytest.mark.parametrize(
    ("subscribed", "is_one"),
    [
        (["plant/+/alarms"], True),
        (["other", "plant/#"], True),
        (["$share/works/plant/+/alarms"], True),
        (["plant/+"], False),
        (["$share/works/plant/+"], False),
        ([], False),
    ],
)
def test_whether_a_topic_is_among_those_of_events(subscribed, is_one):
    assert is_among(TOPIC, subscribed) is is_one


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["events", "code", "ts", "kind", "x"]), inner)
        ),
    )
)
def test_whatever_comes_is_events_or_refusals(payload):
    content = read(payload)
    assert content.received == len(content.events.rows) + len(content.events.refusals)
    assert (not content.refused) or content.received == 1

"""The table of transitions against the state diagram of ANSI/ISA-18.2, and severity."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.alarms.flood import begins_flood, ends_flood
from sensors.alarms.severity import SEVERITIES, is_worse, severity_of, worse_of
from sensors.alarms.states import (
    ANNUNCIATED,
    SET_ASIDE,
    TRANSITIONS,
    UNANSWERED,
    Condition,
    Event,
    NotPossible,
    State,
    is_annunciation,
    may_happen,
    next_state,
    words,
)

ABNORMAL, NORMAL = Condition(is_active=True), Condition(is_active=False)
LATCHING = Condition(is_active=False, is_latching=True)
ANOTHER = Condition(is_active=True, is_another=True)


def walk(*steps: tuple[Event, Condition]) -> list[State]:
    """The states on the way from normal."""
    states = [State.NORMAL]
    for event, condition in steps:
        states.append(next_state(states[-1], event, condition))
    return states[1:]


def test_acknowledged_and_then_back_to_normal():
    assert walk((Event.RAISED, ABNORMAL), (Event.ACKNOWLEDGED, ABNORMAL), (Event.RETURNED, NORMAL)) == [
        State.UNACKNOWLEDGED,
        State.ACKNOWLEDGED,
        State.NORMAL,
    ]


def test_what_went_unseen_waits_to_be_acknowledged():
    assert walk((Event.RAISED, ABNORMAL), (Event.RETURNED, NORMAL), (Event.ACKNOWLEDGED, NORMAL)) == [
        State.UNACKNOWLEDGED,
        State.RETURNED_UNACKNOWLEDGED,
        State.NORMAL,
    ]


def test_what_returns_and_comes_again_is_one_alarm():
    assert walk((Event.RAISED, ABNORMAL), (Event.RETURNED, NORMAL), (Event.RAISED, ABNORMAL))[-1] == (
        State.UNACKNOWLEDGED
    )


def test_a_latching_alarm_stays_until_it_is_reset():
    assert walk(
        (Event.RAISED, ABNORMAL),
        (Event.RETURNED, LATCHING),
        (Event.ACKNOWLEDGED, LATCHING),
        (Event.RESET, LATCHING),
    ) == [
        State.UNACKNOWLEDGED,
        State.LATCHED_UNACKNOWLEDGED,
        State.LATCHED_ACKNOWLEDGED,
        State.NORMAL,
    ]
    assert walk((Event.RAISED, ABNORMAL), (Event.RETURNED, LATCHING), (Event.RESET, LATCHING))[-1] == (
        State.RETURNED_UNACKNOWLEDGED
    )
    assert walk((Event.RAISED, ABNORMAL), (Event.ACKNOWLEDGED, ABNORMAL), (Event.RETURNED, LATCHING))[-1] == (
        State.LATCHED_ACKNOWLEDGED
    )


def test_a_shelved_alarm_comes_back_as_its_condition_is():
    raised = (Event.RAISED, ABNORMAL)
    shelved = (Event.SHELVED, ABNORMAL)
    assert walk(raised, shelved, (Event.UNSHELVED, ABNORMAL))[-1] == State.UNACKNOWLEDGED
    assert walk(raised, shelved, (Event.RETURNED, NORMAL), (Event.UNSHELVED, NORMAL))[1:] == [
        State.SHELVED,
        State.SHELVED,
        State.NORMAL,
    ]
    suppressed = Condition(is_active=True, is_suppressed=True)
    assert walk(raised, shelved, (Event.UNSHELVED, suppressed))[-1] == State.SUPPRESSED_BY_DESIGN


def test_shelving_is_no_way_round_a_latch():
    for latched in (State.LATCHED_ACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED):
        assert not may_happen(latched, Event.SHELVED)
    assert next_state(State.SHELVED, Event.UNSHELVED, LATCHING) == State.LATCHED_UNACKNOWLEDGED


def test_an_alarm_of_a_machine_that_is_worked_on_calls_nobody():
    worked_on = Condition(is_active=True, is_suppressed=True)
    assert walk((Event.RAISED, worked_on)) == [State.SUPPRESSED_BY_DESIGN]
    assert walk((Event.RAISED, worked_on), (Event.UNSUPPRESSED, ABNORMAL))[-1] == State.UNACKNOWLEDGED
    assert walk((Event.RAISED, worked_on), (Event.UNSUPPRESSED, NORMAL))[-1] == State.NORMAL
    for state in ANNUNCIATED:
        assert next_state(state, Event.SUPPRESSED, worked_on) == State.SUPPRESSED_BY_DESIGN


def test_out_of_service_until_somebody_puts_it_back():
    for state in ANNUNCIATED | {State.SHELVED, State.SUPPRESSED_BY_DESIGN}:
        assert next_state(state, Event.TAKEN_OUT, ABNORMAL) == State.OUT_OF_SERVICE
    assert next_state(State.OUT_OF_SERVICE, Event.PUT_BACK, ABNORMAL) == State.UNACKNOWLEDGED
    assert next_state(State.OUT_OF_SERVICE, Event.PUT_BACK, NORMAL) == State.NORMAL
    for event in (Event.UNSHELVED, Event.UNSUPPRESSED, Event.ACKNOWLEDGED, Event.SHELVED):
        assert not may_happen(State.OUT_OF_SERVICE, event)


@pytest.mark.parametrize("state", sorted(SET_ASIDE))
def test_what_is_set_aside_does_not_show_what_its_condition_does(state):
    for event in (Event.RAISED, Event.WORSENED, Event.RETURNED):
        if (state, event) != (State.SHELVED, Event.WORSENED):
            assert next_state(state, event, ABNORMAL) == state


def test_what_is_worse_or_another_fault_comes_back_from_the_shelf():
    assert next_state(State.SHELVED, Event.WORSENED, ABNORMAL) == State.UNACKNOWLEDGED
    assert next_state(State.SHELVED, Event.RAISED, ANOTHER) == State.UNACKNOWLEDGED
    worked_on = Condition(is_active=True, is_suppressed=True)
    assert next_state(State.SHELVED, Event.WORSENED, worked_on) == State.SUPPRESSED_BY_DESIGN


def test_who_acknowledged_has_not_seen_another_fault():
    assert next_state(State.ACKNOWLEDGED, Event.RAISED, ABNORMAL) == State.ACKNOWLEDGED
    assert next_state(State.ACKNOWLEDGED, Event.RAISED, ANOTHER) == State.UNACKNOWLEDGED


def test_what_cannot_be_is_refused_in_words():
    with pytest.raises(NotPossible, match=r"An alarm that is normal cannot be acknowledged\."):
        next_state(State.NORMAL, Event.ACKNOWLEDGED, NORMAL)
    for state, event in itertools.product(State, Event):
        if not may_happen(state, event):
            with pytest.raises(NotPossible):
                next_state(state, event, ABNORMAL)


def test_nothing_but_being_raised_leads_out_of_normal():
    assert [event for state, event in TRANSITIONS if state == State.NORMAL] == [Event.RAISED]


conditions = st.builds(Condition, st.booleans(), st.booleans(), st.booleans(), st.booleans())


@given(st.lists(st.tuples(st.sampled_from(list(Event)), conditions), max_size=30))
def test_whatever_happens_an_alarm_that_stands_is_abnormal_and_one_is_called_only_once(steps):
    """The invariants that the database holds too: a returned condition never stands as active."""
    state, is_active = State.NORMAL, False
    for event, told in steps:
        active = {Event.RAISED: True, Event.WORSENED: True, Event.RETURNED: False}.get(event, is_active)
        condition = replace(told, is_active=active)
        possible = may_happen(state, event) and not (
            # These do not happen to a condition that is so already.
            event == Event.RETURNED and not is_active
        )
        if not possible:
            continue
        before, state, is_active = state, next_state(state, event, condition), active
        if state in (State.UNACKNOWLEDGED, State.ACKNOWLEDGED):
            assert is_active, (before, event)
        if is_annunciation(before, state):
            assert before != State.UNACKNOWLEDGED
            assert state in UNANSWERED


def test_severity_follows_what_was_passed_and_what_the_machine_matters():
    by_criticality = {
        (kind, level): [severity_of(kind=kind, level=level, criticality=criticality) for criticality in "ABC"]
        for kind, level in [
            ("limit", "HH"),
            ("limit", "LL"),
            ("limit", "H"),
            ("no_data", ""),
            ("profile", ""),
        ]
    }
    assert by_criticality == {
        ("limit", "HH"): ["critical", "major", "minor"],
        ("limit", "LL"): ["critical", "major", "minor"],
        ("limit", "H"): ["major", "minor", "warning"],
        ("no_data", ""): ["major", "minor", "warning"],
        ("profile", ""): ["minor", "warning", "warning"],
    }


def test_severities_are_compared():
    assert worse_of("minor", "major") == worse_of("major", "minor") == "major"
    assert is_worse("critical", than="warning")
    assert not is_worse("minor", than="minor")
    assert SEVERITIES == ("critical", "major", "minor", "warning")


def test_a_flood_begins_above_ten_and_ends_below_five():
    assert [begins_flood(count, flood_from=10) for count in (10, 11)] == [False, True]
    assert [ends_flood(count, flood_from=10) for count in (5, 4)] == [False, True]
    assert ends_flood(0, flood_from=1)


def test_states_are_read_as_words():
    assert words(State.SUPPRESSED_BY_DESIGN) == "suppressed by design"

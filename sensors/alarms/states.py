"""The states of an alarm after ANSI/ISA-18.2 (IEC 62682) and the one table of transitions between them. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where an alarm stands. In the first five people see it as an alarm; in the last three it is out of their way."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED_ACKNOWLEDGED = "latched_acknowledged"
    SHELVED = "shelved"
    SUPPRESSED_BY_DESIGN = "suppressed_by_design"
    OUT_OF_SERVICE = "out_of_service"


class Event(StrEnum):
    """What moves an alarm from one state to another."""

    RAISED = "raised"
    """The condition is abnormal, for the first time or again."""
    WORSENED = "worsened"
    """The condition went on to a higher severity than people were told of."""
    RETURNED = "returned"
    """The condition is normal again."""
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    TAKEN_OUT = "taken_out"
    PUT_BACK = "put_back"


@dataclass(frozen=True)
class Condition:
    """What is the case when an event happens."""

    is_active: bool
    """The process is abnormal now."""
    is_latching: bool = False
    """The alarm stays after the condition has gone, until somebody resets it."""
    is_suppressed: bool = False
    """The machine is being worked on."""
    is_another: bool = False
    """It may well be another fault: the failure mode names none, and it is another sensor that shows it."""


class NotPossible(Exception):
    """An event that cannot happen in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"An alarm that is {words(state)} cannot be {words(event)}.")
        self.state, self.event = state, event


ANNUNCIATED = frozenset(
    {
        State.UNACKNOWLEDGED,
        State.ACKNOWLEDGED,
        State.RETURNED_UNACKNOWLEDGED,
        State.LATCHED_UNACKNOWLEDGED,
        State.LATCHED_ACKNOWLEDGED,
    }
)
UNANSWERED = frozenset({State.UNACKNOWLEDGED, State.RETURNED_UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED})
"""Those that wait for somebody to acknowledge them."""
SET_ASIDE = frozenset({State.SHELVED, State.SUPPRESSED_BY_DESIGN, State.OUT_OF_SERVICE})

_LATCHED = {
    State.UNACKNOWLEDGED: State.LATCHED_UNACKNOWLEDGED,
    State.ACKNOWLEDGED: State.LATCHED_ACKNOWLEDGED,
}
_RETURNED = {State.UNACKNOWLEDGED: State.RETURNED_UNACKNOWLEDGED, State.ACKNOWLEDGED: State.NORMAL}


def _back(event: Event, condition: Condition) -> State:
    """Where an alarm goes that nobody holds back any more. From the shelf a latch comes back as a latch."""
    if condition.is_suppressed:
        return State.SUPPRESSED_BY_DESIGN
    if condition.is_active:
        return State.UNACKNOWLEDGED
    is_latched = condition.is_latching and event == Event.UNSHELVED
    return State.LATCHED_UNACKNOWLEDGED if is_latched else State.NORMAL


_SUPPRESSED = State.SUPPRESSED_BY_DESIGN
# Of an event in a state: the state that follows, or None where the condition decides (`next_state`).
TRANSITIONS: dict[tuple[State, Event], State | None] = {
    (State.NORMAL, Event.RAISED): None,
    (State.UNACKNOWLEDGED, Event.RAISED): State.UNACKNOWLEDGED,
    (State.ACKNOWLEDGED, Event.RAISED): None,
    (State.RETURNED_UNACKNOWLEDGED, Event.RAISED): State.UNACKNOWLEDGED,
    (State.LATCHED_UNACKNOWLEDGED, Event.RAISED): State.UNACKNOWLEDGED,
    (State.LATCHED_ACKNOWLEDGED, Event.RAISED): State.UNACKNOWLEDGED,
    (State.UNACKNOWLEDGED, Event.WORSENED): State.UNACKNOWLEDGED,
    (State.ACKNOWLEDGED, Event.WORSENED): State.UNACKNOWLEDGED,
    (State.RETURNED_UNACKNOWLEDGED, Event.WORSENED): State.UNACKNOWLEDGED,
    (State.LATCHED_UNACKNOWLEDGED, Event.WORSENED): State.UNACKNOWLEDGED,
    (State.LATCHED_ACKNOWLEDGED, Event.WORSENED): State.UNACKNOWLEDGED,
    (State.UNACKNOWLEDGED, Event.RETURNED): None,
    (State.ACKNOWLEDGED, Event.RETURNED): None,
    (State.UNACKNOWLEDGED, Event.ACKNOWLEDGED): State.ACKNOWLEDGED,
    (State.RETURNED_UNACKNOWLEDGED, Event.ACKNOWLEDGED): State.NORMAL,
    (State.LATCHED_UNACKNOWLEDGED, Event.ACKNOWLEDGED): State.LATCHED_ACKNOWLEDGED,
    (State.LATCHED_UNACKNOWLEDGED, Event.RESET): State.RETURNED_UNACKNOWLEDGED,
    (State.LATCHED_ACKNOWLEDGED, Event.RESET): State.NORMAL,
    # Not what is latched: the shelf is no way round the reset.
    (State.UNACKNOWLEDGED, Event.SHELVED): State.SHELVED,
    (State.ACKNOWLEDGED, Event.SHELVED): State.SHELVED,
    (State.RETURNED_UNACKNOWLEDGED, Event.SHELVED): State.SHELVED,
    **{(state, Event.SUPPRESSED): _SUPPRESSED for state in ANNUNCIATED},
    **{(state, Event.TAKEN_OUT): State.OUT_OF_SERVICE for state in ANNUNCIATED},
    (State.SHELVED, Event.SHELVED): State.SHELVED,
    (State.SHELVED, Event.TAKEN_OUT): State.OUT_OF_SERVICE,
    (_SUPPRESSED, Event.TAKEN_OUT): State.OUT_OF_SERVICE,
    (State.SHELVED, Event.UNSHELVED): None,
    (_SUPPRESSED, Event.UNSUPPRESSED): None,
    (State.OUT_OF_SERVICE, Event.PUT_BACK): None,
    # What is set aside does not show what its condition does.
    **{
        (state, event): state
        for state in SET_ASIDE
        for event in (Event.RAISED, Event.WORSENED, Event.RETURNED)
    },
    # But who shelved an alarm has seen neither what is worse nor another fault.
    (State.SHELVED, Event.RAISED): None,
    (State.SHELVED, Event.WORSENED): None,
}


def may_happen(state: State, event: Event) -> bool:
    return (state, event) in TRANSITIONS


def next_state(state: State, event: Event, condition: Condition) -> State:
    """The state after an event; raises NotPossible. `condition` is what is the case once the event has happened."""
    if (state, event) not in TRANSITIONS:
        raise NotPossible(state, event)
    following = TRANSITIONS[state, event]
    if following is not None:
        return following
    if event == Event.RETURNED:
        return _LATCHED[state] if condition.is_latching else _RETURNED[state]
    if event == Event.RAISED and state != State.NORMAL and not condition.is_another:
        return state
    return _back(event, condition)


def is_annunciation(before: State, after: State) -> bool:
    """Whether people are called by this: the alarm was not standing unacknowledged, and is now."""
    return after == State.UNACKNOWLEDGED and before != State.UNACKNOWLEDGED


def words(name: State | Event) -> str:
    return name.value.replace("_", " ")

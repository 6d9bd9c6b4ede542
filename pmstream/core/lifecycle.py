"""Where an instance stands in its life: the LIFECYCLE it walks, and what comes due by itself.

Rule: derived from the record, never stored beside it.
"""

from enum import StrEnum

from msgspec import Struct

from pmstream.core.instance import Instance, Status, Wait


class Condition(StrEnum):
    """Where an instance stands in its life; derived from its record."""

    ABSENT = "absent"
    IDLE = "idle"
    RETRYING = "retrying"
    AWAITING = "awaiting"
    PARKED = "parked"
    HOLDING = "holding"
    DRAINING = "draining"
    COMPLETED = "completed"


_COMMAND_OUT = "a command is out; its reply is awaited"
_MARKED = "it ended, and leaves a marker (completed_for)"

LIFECYCLE: dict[Condition, dict[Condition, str]] = {
    # from: {to: what leads there}
    Condition.ABSENT: {
        Condition.IDLE: "an event creates it",
        Condition.RETRYING: "its first event failed; the answer was Retry",
        Condition.PARKED: "its first event failed; the answer was Park",
        Condition.AWAITING: _COMMAND_OUT,
        Condition.HOLDING: "an early event waits for the start (hold)",
        Condition.COMPLETED: "its first event ended it: " + _MARKED,
    },
    Condition.IDLE: {
        Condition.RETRYING: "an input failed; the answer was Retry",
        Condition.PARKED: "an input failed; the answer was Park",
        Condition.AWAITING: _COMMAND_OUT,
        Condition.COMPLETED: _MARKED,
        Condition.ABSENT: "Stop, or after_command ended it",
    },
    Condition.RETRYING: {
        Condition.IDLE: "the retry succeeded, nothing waits behind",
        Condition.DRAINING: "the retry succeeded, inputs wait behind",
        Condition.PARKED: "the retry, or an event that passed it, failed; the answer was Park",
        Condition.AWAITING: _COMMAND_OUT,
        Condition.COMPLETED: _MARKED,
        Condition.ABSENT: "the input was dropped, or ended an instance that nothing waits for",
    },
    Condition.AWAITING: {
        Condition.IDLE: "the last command was answered, nothing waits behind",
        Condition.DRAINING: "the last command was answered, inputs wait behind",
        Condition.RETRYING: "a command was rejected or timed out; the answer was Retry",
        Condition.PARKED: "a command was rejected or timed out; the answer was Park",
        Condition.COMPLETED: _MARKED,
        Condition.ABSENT: "after_command ended it",
    },
    Condition.PARKED: {
        Condition.RETRYING: "released, or passed by an event that creates, it failed; Retry; "
        "or what passed it halts",
        Condition.AWAITING: "an event that creates passed it, or it was released: " + _COMMAND_OUT,
        Condition.IDLE: "an operator released or skipped it, nothing waits behind",
        Condition.DRAINING: "an operator released or skipped it, inputs wait behind",
        Condition.COMPLETED: "an operator stopped or released it, and it ended: " + _MARKED,
        Condition.ABSENT: "an operator stopped it; or skipped what never began",
    },
    Condition.HOLDING: {
        Condition.RETRYING: "the start came: it is tried next; or its time is up, answer Retry; "
        "or what passed it halts",
        Condition.PARKED: "its time is up, or an event that passed it failed; the answer was Park",
        Condition.AWAITING: "an event that creates passed it: " + _COMMAND_OUT,
        Condition.DRAINING: "its time is up and it was dropped, inputs wait behind",
        Condition.ABSENT: "its time is up and it was dropped",
    },
    Condition.DRAINING: {
        Condition.IDLE: "the backlog is empty",
        Condition.RETRYING: "an input from the backlog failed; the answer was Retry",
        Condition.PARKED: "an input from the backlog failed, or had; the answer was Park",
        Condition.AWAITING: _COMMAND_OUT,
        Condition.HOLDING: "an early event comes from the backlog",
        Condition.COMPLETED: "the backlog is empty, and it has ended",
        Condition.ABSENT: "an input from the backlog ended it, nothing waits behind",
    },
    Condition.COMPLETED: {
        Condition.RETRYING: "this worker cannot decode an event yet",
        Condition.PARKED: "StartNew met the marker; the answer was Park",
        Condition.ABSENT: "the marker expired",
    },
}


_WAITING = {
    Wait.RETRY: Condition.RETRYING,
    Wait.OPERATOR: Condition.PARKED,
    Wait.REPLY: Condition.AWAITING,
    Wait.START: Condition.HOLDING,
}

_RESTING = {
    Status.RUNNING: Condition.IDLE,
    Status.COMPLETED: Condition.COMPLETED,
    Status.ABSENT: Condition.ABSENT,
}


def condition(instance: Instance | None) -> Condition:
    """Tells where the instance stands in LIFECYCLE."""
    if instance is None:
        return Condition.ABSENT
    if instance.work is not None and instance.work.wait is not None:
        return _WAITING[instance.work.wait]
    return Condition.DRAINING if instance.backlog.size else _RESTING[instance.status]


class DueKind(StrEnum):
    """What may come due in an instance by itself."""

    RETRY = "retry"
    DRAIN = "drain"
    REPLY = "reply"
    START = "start"
    TIMER = "timer"
    MARKER = "marker"


BY_CLOCK = frozenset({DueKind.RETRY, DueKind.DRAIN})
"""These come due by the clock alone; all others only when their partition has taken every
earlier input, so that downtime or lag fires no deadline whose answer already lies in the log."""


class Coming(Struct, frozen=True):
    """Something that comes due: what, when (milliseconds since the epoch), a timer's name."""

    kind: DueKind
    due: int
    name: str = ""


_WORK_DUE = {
    Wait.RETRY: DueKind.RETRY,
    Wait.REPLY: DueKind.REPLY,
    Wait.START: DueKind.START,
}


def coming(instance: Instance) -> list[Coming]:
    """What is to happen to the instance by itself, and when.

    Draining is due at once (0), so that a crash in mid-drain goes on.
    """
    found: list[Coming] = []
    work = instance.work
    if work is not None:
        if work.wait in _WORK_DUE:
            found.append(Coming(_WORK_DUE[work.wait], work.due))
    elif instance.backlog.size:
        found.append(Coming(DueKind.DRAIN, 0))
    for name, timer in instance.timers.pending.items():
        if not timer.queued:
            found.append(Coming(DueKind.TIMER, timer.due, name))
    if instance.status is Status.COMPLETED:
        found.append(Coming(DueKind.MARKER, instance.until))
    return found

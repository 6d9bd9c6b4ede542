"""What an input makes of its instance, before the shell hears of it."""

from enum import StrEnum

from msgspec import Struct

from pmstream.core.failure import Halt
from pmstream.core.instance import Instance, Status, Wait, Work
from pmstream.core.messages import Emitted
from pmstream.core.process import Callbacks
from pmstream.core.turn import Turn


class Outcome(StrEnum):
    """What happened to an input; for metrics, spans and history."""

    HANDLED = "handled"
    ENDED = "ended"
    IGNORED = "ignored"
    LATE = "late"
    QUEUED = "queued"
    RETRYING = "retrying"
    AWAITING = "awaiting"
    HELD = "held"
    SKIPPED = "skipped"
    PARKED = "parked"
    HALTED = "halted"
    ORDERED = "ordered"
    """An operator's order was obeyed, and no event worked on."""
    REFUSED = "refused"
    """An operator's order was not obeyed."""


class Result(Struct, frozen=True, gc=False):
    """What became of an input.

    Attributes:
        outcome: what happened.
        life: the instance, or its marker, as the input leaves it, without what waits; None is:
            no instance.
        commands: to emit, in order.
        work: what the input left undone.
        halt: stop the process manager; then nothing else here counts.
    """

    outcome: Outcome
    life: Instance | None
    commands: tuple[Emitted, ...] = ()
    work: Work | None = None
    halt: Halt | None = None


_UNDONE = {
    Wait.OPERATOR: Outcome.PARKED,
    Wait.RETRY: Outcome.RETRYING,
    Wait.REPLY: Outcome.AWAITING,
    Wait.START: Outcome.HELD,
}


def undone(what: Work | Halt, life: Instance | None, commands: tuple[Emitted, ...] = ()) -> Result:
    """The input waits for something, or stops the process manager."""
    if isinstance(what, Halt):
        return Result(Outcome.HALTED, life, halt=what)
    assert what.wait is not None, "work that waits for nothing"
    return Result(_UNDONE[what.wait], life, commands, what)


def ended(turn: Turn, life: Instance, commands: tuple[Emitted, ...] = ()) -> Result:
    """The instance ends; its marker stays for `completed_for`."""
    return Result(Outcome.ENDED, ended_marker(turn.callbacks, life, turn.now), commands)


def ended_marker(callbacks: Callbacks, life: Instance, now: int) -> Instance | None:
    """What an instance leaves that ends now, for `completed_for`."""
    if not callbacks.completed_for_ms:
        return None
    until = now + callbacks.completed_for_ms
    return Instance(status=Status.COMPLETED, born=life.born, until=until)

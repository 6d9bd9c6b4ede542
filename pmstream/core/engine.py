"""route() and step(): what an event means to the router, and an input to its instance.

Rule: pure and total. What the author's code or the input did wrong becomes an answer; an
exception out of here is a bug of pmstream and stops the worker.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from pmstream.core import failure
from pmstream.core.answering import ask, describe, stacktrace
from pmstream.core.failure import FailureContext, Halt, Kind, Stage
from pmstream.core.handling import Outcome, Result, run
from pmstream.core.instance import Backlog, Entry, Instance, Status, Wait, Work
from pmstream.core.messages import Coder, Emitted, Encoded, Metadata, Routed
from pmstream.core.process import Callbacks
from pmstream.core.routing import CREATING, Route, resolve
from pmstream.core.turn import Turn

__all__ = [
    "Arrived",
    "Coder",
    "DeadLetter",
    "Dropped",
    "Due",
    "Encoded",
    "Entry",
    "Halt",
    "Input",
    "Outcome",
    "Routing",
    "Step",
    "Take",
    "Waiting",
    "route",
    "step",
]


class Dropped(Struct, frozen=True):
    """interested() failed and error() answered Skip; `error` is type and text."""

    error: str


class DeadLetter(Struct, frozen=True):
    """interested() failed and error() answered Park: an operator shall look at the event."""

    reason: str
    error: str


class Routing(Struct, frozen=True):
    """Where an event goes; nowhere when `route` is None.

    Attributes:
        route: what it means to the instances.
        ids: their process UUIDs, distinct, in order.
        failure: what to do instead, when interested() failed.
    """

    route: Route | None = None
    ids: list[str] = field(default_factory=list)
    failure: Dropped | DeadLetter | Halt | None = None


class Arrived(Struct, frozen=True):
    """A routed event was read; `event` is its decoded value, None when not decoded yet."""

    routed: Routed
    event: Any = None


class Due(Struct, frozen=True):
    """A due entry came due: a hint, checked against the instance. `kind`: retry or drain."""

    kind: str


class Waiting(Struct, frozen=True):
    """The backlog entry that the last step told to take."""

    entry: Entry


Input = Arrived | Due | Waiting
"""All that `step` works on."""


class Take(StrEnum):
    """Which backlog entry the shell is to hand to `step` next."""

    FIRST = "first"
    CREATING = "creating"


class Step(Struct, frozen=True, kw_only=True):
    """The work of one input.

    Attributes:
        instance: the instance after it; None is: no record.
        commands: encoded, with ids, to emit in order.
        put: a backlog entry to write.
        taken: sequence number of the backlog entry that this step consumed, to delete.
        take: hand this backlog entry to `step` next, if there is one.
        halt: stop the process manager; then nothing of this input counts.
        outcome: what happened.
    """

    instance: Instance | None
    outcome: Outcome
    commands: tuple[Emitted, ...] = ()
    put: Entry | None = None
    taken: int | None = None
    take: Take | None = None
    halt: Halt | None = None


def route(callbacks: Callbacks, event: Any, metadata: Metadata, now: int) -> Routing:
    """Asks interested() where an event goes; never raises for what the author's code did.

    Args:
        callbacks: of the process manager.
        event: its decoded value.
        metadata: of the event; without a process UUID.
        now: milliseconds since the epoch.
    """
    try:
        resolved = resolve(callbacks.interested(event, metadata), callbacks.fan_out_limit)
    except Exception as error:  # noqa: BLE001 - the author's code
        return _unrouted(callbacks, error, event, metadata, now)
    return Routing() if resolved is None else Routing(*resolved)


def step(
    callbacks: Callbacks,
    instance: Instance | None,
    input: Input,
    now: int,
    coder: Coder,
    max_state_bytes: int,
) -> Step:
    """Works on one input of one instance.

    Args:
        callbacks: of the process manager.
        instance: as the last step left it; None when there is no record.
        input: what happened.
        now: milliseconds since the epoch.
        coder: the bytes of messages.
        max_state_bytes: limit of the state, and of a failure's context.
    """
    event: Any = None
    work: Work | None = None
    if isinstance(input, Arrived):
        if instance is not None and _must_queue(instance, input.routed):
            return _queue(instance, input.routed)
        routed, event = input.routed, input.event
    elif isinstance(input, Due):
        work = _due_work(instance, input, now)
        if work is None:
            return _hint(instance, input)
        routed = work.input
    else:
        work = input.entry.work
        routed = work.input
    if isinstance(input, Waiting) and input.entry.work.wait is Wait.OPERATOR:
        life = instance if instance is not None and instance.exists else None
        result = Result(Outcome.PARKED, life, work=work)
    else:
        turn = Turn(callbacks, routed, event, work, now, coder, max_state_bytes)
        result = run(turn, instance)
    return _settle(instance, input, result, now)


def _must_queue(instance: Instance, routed: Routed) -> bool:
    """Whether something is before it that it may not pass."""
    work = instance.work
    if work is None:
        return instance.backlog.size > 0
    return not (work.not_started and routed.route in CREATING)


def _queue(instance: Instance, routed: Routed) -> Step:
    backlog = instance.backlog
    entry = Entry(backlog.next, Work(input=routed))
    longer = Backlog(backlog.first, backlog.next + 1, backlog.size + 1)
    return Step(instance=replace(instance, backlog=longer), outcome=Outcome.QUEUED, put=entry)


def _due_work(instance: Instance | None, due: Due, now: int) -> Work | None:
    work = instance.work if instance is not None else None
    if due.kind != "retry" or work is None or work.wait is not Wait.RETRY or work.due > now:
        return None
    return work


def _hint(instance: Instance | None, due: Due) -> Step:
    """Nothing is due: goes on with draining, or does nothing."""
    take = _take(instance) if due.kind == "drain" else None
    return Step(
        instance=instance,
        outcome=Outcome.IGNORED,
        take=Take.FIRST if take is Take.FIRST else None,
    )


def _take(instance: Instance | None) -> Take | None:
    if instance is None or not instance.backlog.size:
        return None
    if instance.work is None:
        return Take.FIRST
    return Take.CREATING if instance.work.not_started else None


def _settle(instance: Instance | None, input: Input, result: Result, now: int) -> Step:
    """Puts together what the input left, what waited before it, and what waits behind."""
    if result.halt is not None:
        return Step(instance=instance, outcome=Outcome.HALTED, halt=result.halt)
    work, put, taken = result.work, None, None
    backlog = instance.backlog if instance is not None else _EMPTY
    passed = instance.work if instance is not None and not isinstance(input, Due) else None
    if passed is not None:
        if work is None:
            work = _tried_again(passed, now) if result.life is not None else passed
        else:
            put = Entry(backlog.first - 1, passed)
            backlog = Backlog(put.sequence, backlog.next, backlog.size + 1)
    if isinstance(input, Waiting):
        taken = input.entry.sequence
        backlog = _without(backlog, taken, passed=passed is not None)
    after = _record(result.life, work, backlog)
    return Step(
        instance=after,
        outcome=result.outcome,
        commands=result.commands,
        put=put,
        taken=taken,
        take=_take(after),
    )


_EMPTY = Backlog()
_ABSENT = Instance(status=Status.ABSENT)


def _tried_again(passed: Work, now: int) -> Work:
    """What waited for a start has it: a retry is due at once, an operator is still awaited."""
    return replace(passed, due=now) if passed.wait is Wait.RETRY else passed


def _without(backlog: Backlog, taken: int, *, passed: bool) -> Backlog:
    if backlog.size == 1:
        return _EMPTY
    # One that was taken out of turn leaves a gap; what is before the first one is gone.
    first = backlog.first if passed and taken != backlog.first else taken + 1
    return Backlog(first, backlog.next, backlog.size - 1)


def _record(life: Instance | None, work: Work | None, backlog: Backlog) -> Instance | None:
    if life is None:
        if work is None and not backlog.size:
            return None
        life = _ABSENT
    elif work is not None and work.not_started:
        work = replace(work, not_started=False)
    if life.work is work and life.backlog == backlog:
        return life
    return replace(life, work=work, backlog=backlog)


def _unrouted(
    callbacks: Callbacks, error: Exception, event: Any, metadata: Metadata, now: int
) -> Routing:
    context = FailureContext(
        context={},
        state=callbacks.state(),
        last_event=event,
        metadata=metadata,
        stage=Stage.INTERESTED,
        first_failed_at=now,
        stacktrace=stacktrace(error),
    )
    verdict = ask(callbacks, Kind.INTERESTED, error, event, context, max_context_bytes=0)
    if isinstance(verdict, Halt):
        return Routing(failure=verdict)
    if verdict.answer is failure.Park:
        return Routing(failure=DeadLetter(verdict.reason, describe(error)))
    return Routing(failure=Dropped(describe(error)))

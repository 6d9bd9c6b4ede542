"""What one input does to one instance, once its turn has come: handle, apply, encode, or fail.

Rule: nothing counts before all of it succeeded; a failure's answer is a value.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from msgspec import Struct

from pmstream.core import failure
from pmstream.core.answering import Verdict, commands_of
from pmstream.core.failure import Halt, Kind, Stage
from pmstream.core.instance import Instance, Status, Wait, Work
from pmstream.core.messages import (
    Emitted,
    Headers,
    Metadata,
    command_headers,
    command_id,
    inherited_headers,
)
from pmstream.core.process import AfterCommand, Callbacks
from pmstream.core.routing import ROUTES, Action
from pmstream.core.state import dump_state, load_state
from pmstream.core.turn import Failed, Turn
from pmstream.errors import AlreadyStarted, CommandInvalid, NotStarted, Undecodable


class Outcome(StrEnum):
    """What happened to an input; for metrics, spans and history."""

    HANDLED = "handled"
    ENDED = "ended"
    IGNORED = "ignored"
    QUEUED = "queued"
    RETRYING = "retrying"
    SKIPPED = "skipped"
    PARKED = "parked"
    HALTED = "halted"


class Result(Struct, frozen=True):
    """What became of an input.

    Attributes:
        outcome: what happened.
        life: the instance as the input leaves it, without what waits; None is: no instance.
        commands: to emit, in order.
        work: what the input left undone.
        halt: stop the process manager; then nothing else here counts.
    """

    outcome: Outcome
    life: Instance | None
    commands: tuple[Emitted, ...] = ()
    work: Work | None = None
    halt: Halt | None = None


class Handled(Struct, frozen=True):
    """What handle and apply made of an event."""

    state: bytes
    commands: list[Any]


# Taken once, because reading an Enum's attribute costs 0.2 µs (Python 3.11).
_HANDLED, _RUNNING = Outcome.HANDLED, Status.RUNNING
_HANDLE, _APPLY = Stage.HANDLE, Stage.APPLY

_NOT_HANDLED: dict[Action, Outcome] = {
    Action.NOTHING: Outcome.IGNORED,
    Action.DELETE: Outcome.ENDED,
}

_ROUTE_FAULTS: dict[type[Exception], tuple[Kind, str]] = {
    NotStarted: (Kind.ROUTE, "ContinueExisting met no instance {uuid}"),
    AlreadyStarted: (Kind.FINAL_ROUTE, "StartNew met the instance {uuid}"),
}

_REST: dict[type, Callable[[list[Any], int, Verdict], tuple[list[Any], int]]] = {
    # answer: (all commands, index of the failed one) -> the same for what is left to do
    failure.Retry: lambda todo, at, _: (todo, at),
    failure.Skip: lambda todo, at, _: (todo, at + 1),
    failure.SkipContinuePending: lambda todo, at, _: (todo, at + 1),
    failure.SkipDiscardPending: lambda todo, at, _: (todo[:at], at),
    failure.ContinueWith: lambda todo, at, verdict: (todo[:at] + verdict.commands, at),
}


def run(turn: Turn, instance: Instance | None) -> Result:
    """Works on an input whose turn has come, as ROUTES says."""
    life = instance if instance is not None and instance.status is _RUNNING else None
    if turn.work is not None and turn.work.stage is Stage.AFTER_COMMAND and life is not None:
        return _resume_after_commands(turn, life, turn.work)
    action, fault = ROUTES[turn.routed.route, life is not None]
    if action in _NOT_HANDLED:
        return Result(_NOT_HANDLED[action], None)
    undecodable = turn.decode()
    if undecodable is not None:
        return Result(Outcome.RETRYING, life, work=undecodable)
    while True:
        tried = _try_event(turn, life) if fault is None else _fail_route(turn, life, fault)
        if isinstance(tried, Handled):
            return _dispatch(turn, life, tried)
        verdict = turn.fail(tried)
        if not isinstance(verdict, Verdict):
            return _ended_by(verdict, life)
        if verdict.answer is failure.Skip:
            return Result(Outcome.SKIPPED, life)


def _fail_route(turn: Turn, life: Instance | None, fault: type[Exception]) -> Failed:
    kind, message = _ROUTE_FAULTS[fault]
    return Failed(
        kind=kind,
        stage=Stage.ROUTING,
        error=fault(message.format(uuid=turn.routed.process_uuid)),
        failed=turn.event,
        state=turn.state_of(life),
    )


def _try_event(turn: Turn, life: Instance | None) -> Handled | Failed:
    callbacks, event, stage = turn.callbacks, turn.event, _HANDLE
    try:
        if life is None:
            before = callbacks.state()
        else:
            before = load_state(life.state, callbacks, life.state_version)
        commands = commands_of(callbacks.handle(before, event, turn.metadata))
        stage = _APPLY
        after = callbacks.apply(before, event, turn.metadata)
        return Handled(dump_state(after, callbacks.state, turn.max_state_bytes), commands)
    except Exception as error:  # noqa: BLE001 - the author's code
        return Failed(
            kind=Kind.EVENT, stage=stage, error=error, failed=event, state=turn.state_of(life)
        )


def _dispatch(turn: Turn, life: Instance | None, handled: Handled) -> Result:
    """Encodes the commands; those that fail go the way that `error` says."""
    todo, at = handled.commands, 0
    out: list[tuple[Emitted, Any]] = []
    inherited = inherited_headers(turn.routed) if todo else ()
    while at < len(todo):
        try:
            out.append((_emit(turn, todo[at], len(out), inherited), todo[at]))
            at += 1
        except CommandInvalid as error:
            failed = Failed(
                kind=Kind.COMMAND,
                stage=Stage.DISPATCH,
                error=error,
                failed=todo[at],
                state=load_state(handled.state, turn.callbacks),
                index=at,
                pending=todo[at + 1 :],
            )
            verdict = turn.fail(failed)
            if not isinstance(verdict, Verdict):
                return _ended_by(verdict, life)
            todo, at = _REST[verdict.answer](todo, at, verdict)
    after = Instance(
        status=_RUNNING,
        state=handled.state,
        state_version=turn.callbacks.state_version,
        born=turn.routed.cause if life is None else life.born,
        timers={} if life is None else life.timers,
        trace=None if life is None else life.trace,
    )
    emitted = tuple([command for command, _ in out])
    if not (out and turn.callbacks.has_after_command):
        return Result(_HANDLED, after, emitted)
    return _after_commands(turn, after, out, 0, emitted)


def _emit(turn: Turn, command: Any, index: int, inherited: Headers) -> Emitted:
    encoded = turn.coder.encode_command(command)
    id = command_id(turn.routed, index)
    if encoded.headers:
        names = {name for name, _ in encoded.headers}
        inherited = (*encoded.headers, *(each for each in inherited if each[0] not in names))
    headers = command_headers(turn.metadata, id, inherited)
    return Emitted(encoded.topic, encoded.key, encoded.value, headers, id)


def _resume_after_commands(turn: Turn, life: Instance, work: Work) -> Result:
    undecodable = turn.decode()
    try:
        sent = [
            (each, turn.coder.decode_command(each.topic, each.value, each.headers))
            for each in work.sent
        ]
    except Undecodable as error:
        undecodable = turn.wait_for_decoder(error)
    if undecodable is not None:
        return Result(Outcome.RETRYING, life, work=undecodable)
    return _after_commands(turn, life, sent, work.command, ())


def _after_commands(
    turn: Turn,
    after: Instance,
    sent: list[tuple[Emitted, Any]],
    first: int,
    emitted: tuple[Emitted, ...],
) -> Result:
    """Calls after_command for each command that is out; `first` is the index of the first."""
    at = 0
    while at < len(sent):
        turn.count_attempt(turn.failures(Stage.AFTER_COMMAND, first + at) + 1)
        command = sent[at][1]
        try:
            if _wants_stop(turn.callbacks, after, command, turn.metadata):
                return Result(Outcome.ENDED, None, emitted)
            at += 1
        except Exception as error:  # noqa: BLE001 - the author's code
            failed = Failed(
                kind=Kind.AFTER_COMMAND,
                stage=Stage.AFTER_COMMAND,
                error=error,
                failed=command,
                state=turn.state_of(after),
                index=first + at,
                sent=tuple([each for each, _ in sent[at:]]),
            )
            verdict = turn.fail(failed)
            if not isinstance(verdict, Verdict):
                return _ended_by(verdict, after, emitted)
            at += verdict.answer is failure.Skip
    return Result(_HANDLED, after, emitted)


_AFTER_COMMANDS = tuple(AfterCommand)


def _wants_stop(callbacks: Callbacks, after: Instance, command: object, metadata: Metadata) -> bool:
    state = load_state(after.state, callbacks, after.state_version)
    answer = callbacks.after_command(state, command, metadata)
    if answer is None:
        return False
    if answer not in _AFTER_COMMANDS:
        raise TypeError(f"after_command() answered {answer!r}, neither an AfterCommand nor None")
    return answer == AfterCommand.STOP


def _ended_by(
    verdict: Work | Halt, life: Instance | None, commands: tuple[Emitted, ...] = ()
) -> Result:
    if isinstance(verdict, Halt):
        return Result(Outcome.HALTED, life, halt=verdict)
    outcome = Outcome.PARKED if verdict.wait is Wait.OPERATOR else Outcome.RETRYING
    return Result(outcome, life, commands, verdict)

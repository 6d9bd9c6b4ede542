"""What one input does to one instance, once its turn has come: handle, apply, or fail.

Rule: nothing counts before all of it succeeded; a failure's answer is a value.
"""

from typing import Any

from msgspec.structs import replace

from pmstream.core import failure
from pmstream.core.after import resume_after_commands
from pmstream.core.answering import Verdict, as_error, commands_of
from pmstream.core.dispatching import dispatch, send_again
from pmstream.core.failure import Kind, Stage
from pmstream.core.instance import Instance, Status, Timers, Wait, Work
from pmstream.core.messages import UNASKED, Timed, ids_of
from pmstream.core.result import Outcome, Result, ended, undone
from pmstream.core.routing import ROUTES, Action
from pmstream.core.state import dump_state, load_state
from pmstream.core.timers import changed, split
from pmstream.core.turn import Failed, Turn
from pmstream.errors import AlreadyCompleted, AlreadyStarted, NotStarted, TimeUp

Handled = tuple[Instance, list[Any]]
"""The instance after an event, and its commands."""


# Taken once, because reading an Enum's attribute costs 0.2 µs (Python 3.11).
_RUNNING, _ABSENT = Status.RUNNING, Status.ABSENT
_HANDLE, _APPLY = Stage.HANDLE, Stage.APPLY

_NOT_HANDLED: dict[Action, Outcome] = {
    Action.NOTHING: Outcome.IGNORED,
    Action.LATE: Outcome.LATE,
}

_ROUTE_FAULTS: dict[type[Exception], tuple[Kind, str]] = {
    NotStarted: (Kind.ROUTE, "ContinueExisting met no instance {uuid}"),
    AlreadyStarted: (Kind.FINAL_ROUTE, "StartNew met the instance {uuid}"),
    AlreadyCompleted: (Kind.FINAL_ROUTE, "StartNew met the completed process {uuid}"),
}


def run(turn: Turn, instance: Instance | None) -> Result:
    """Works on an input whose turn has come, as ROUTES says."""
    life = instance if instance is not None and instance.status is not _ABSENT else None
    work = turn.work
    if work is not None and life is not None:
        if work.stage is Stage.AFTER_COMMAND:
            return resume_after_commands(turn, life, work)
        if work.pending:
            return send_again(turn, life, work)
    if isinstance(turn.cause, Timed):
        return _run_timer(turn, turn.cause, life)
    action, fault = ROUTES[turn.cause.route, _ABSENT if life is None else life.status]
    if action in _TO_HANDLE:
        return _handle(turn, life, life, None)
    if life is None and turn.cause.hold and action in _WITHOUT_INSTANCE:
        held = _hold(turn, turn.cause.hold)
        if held is not None:
            return undone(held, None)
    if action in _NOT_HANDLED:
        return Result(_NOT_HANDLED[action], life)
    if action is Action.DELETE:
        assert life is not None, "ROUTES deletes what exists"
        return ended(turn, life)
    return _handle(turn, life, life, fault)


_TO_HANDLE = frozenset({Action.CREATE, Action.HANDLE})
_WITHOUT_INSTANCE = (Action.FAIL, Action.NOTHING)


def _hold(turn: Turn, hold: int) -> Work | None:
    """The Work is: it came early, and waits for the start; its time counts from its arrival."""
    work = turn.work or Work(input=turn.cause)
    due = work.due if work.wait is Wait.START else turn.now + hold
    if due <= turn.now or (turn.work is not None and work.wait is not Wait.START):
        return None  # its time is up, or was before: it failed since, and is tried again
    return replace(work, wait=Wait.START, due=due, not_started=True)


def _run_timer(turn: Turn, timer: Timed, life: Instance | None) -> Result:
    """Fires a timer, unless it was replaced, cancelled, or its instance has ended."""
    is_set = life.timers.pending.get(timer.name) if life is not None else None
    if life is None or is_set is None or (is_set.due, is_set.n) != (timer.due, timer.n):
        return Result(Outcome.IGNORED, life)
    others = {name: each for name, each in life.timers.pending.items() if name != timer.name}
    spent = replace(life, timers=Timers(others, life.timers.count))
    if not is_set.queued:
        queued = {**life.timers.pending, timer.name: replace(is_set, queued=True)}
        life = replace(life, timers=Timers(queued, life.timers.count))
    return _handle(turn, spent, life, None)


def _handle(
    turn: Turn, life: Instance | None, waiting: Instance | None, fault: type[Exception] | None
) -> Result:
    """Handles and applies the event; what fails goes the way that `error` says.

    Args:
        turn: of the event.
        life: the instance once the event is dealt with, before it changes anything.
        waiting: the instance while the event is not dealt with.
        fault: what ROUTES fails it with.
    """
    undecodable = turn.decode() if turn.event is None else None
    if undecodable is not None:
        return undone(undecodable, waiting)
    while True:
        tried = _try_event(turn, life) if fault is None else _fail_route(turn, life, fault)
        if isinstance(tried, tuple):
            return dispatch(turn, waiting, *tried)
        verdict = turn.fail(tried)
        if not isinstance(verdict, Verdict):
            return undone(verdict, waiting)
        if verdict.answer is failure.Skip:
            return Result(Outcome.SKIPPED, life)


def _fail_route(turn: Turn, life: Instance | None, fault: type[Exception]) -> Failed:
    kind, message = _ROUTE_FAULTS[fault]
    return Failed(
        kind=kind,
        stage=Stage.ROUTING,
        error=fault(message.format(uuid=turn.cause.process_uuid)),
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
        metadata = UNASKED if callbacks.handles_blindly else turn.metadata
        answer = callbacks.handle(before, event, metadata)
        commands = commands_of(answer) if answer is not None else []
        timers = _NO_TIMERS if life is None else life.timers
        if commands:
            commands, asked = split(commands)
            if asked:
                (_, id), limit = ids_of(turn.cause, turn.cause.cause), callbacks.timers_limit
                timers = changed(timers, asked, turn.now, id, limit)
        stage = _APPLY
        after = callbacks.apply(before, event, metadata)
        state = dump_state(after, callbacks.state, turn.max_state_bytes)
    except (Exception, TimeUp) as raised:  # noqa: BLE001 - the author's code
        return Failed(
            kind=Kind.EVENT,
            stage=stage,
            error=as_error(raised),
            failed=event,
            state=turn.state_of(life),
        )
    instance = Instance(
        status=_RUNNING,
        state=state,
        state_version=callbacks.state_version,
        born=turn.cause.cause if life is None else life.born,
        timers=timers,
        trace=None if life is None else life.trace,
    )
    return instance, commands


_NO_TIMERS = Timers()

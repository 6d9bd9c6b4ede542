"""Commands on their way out: encoded, then sent at once or, in confirm mode, one after another.

Rule: every command is encoded before any is sent; in confirm mode those that wait for their turn
are durable, and the next one goes out only when the one before it was answered.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pmstream.core import failure
from pmstream.core.after import after_commands, decode, resume_after_commands
from pmstream.core.answering import Verdict
from pmstream.core.failure import Halt, Kind, Stage
from pmstream.core.identity import asked_anew, commands_of_cause, inherited_headers
from pmstream.core.instance import Instance, Wait, Work
from pmstream.core.messages import COMMAND_ID, Emitted, Encoded, Headers
from pmstream.core.result import Outcome, Result, undone
from pmstream.core.state import load_state
from pmstream.core.turn import Failed, Turn
from pmstream.errors import CommandInvalid, CommandRejected, CommandTimeout, Undecodable

_REST: dict[type, Callable[[list[Any], int, Verdict], tuple[list[Any], int]]] = {
    # answer: (all commands, index of the failed one) -> the same for what is left to do
    failure.Retry: lambda todo, at, _: (todo, at),
    failure.Skip: lambda todo, at, _: (todo, at + 1),
    failure.SkipContinuePending: lambda todo, at, _: (todo, at + 1),
    failure.SkipDiscardPending: lambda todo, at, _: (todo[:at], at),
    failure.ContinueWith: lambda todo, at, verdict: (todo[:at] + verdict.commands, at),
}


class Sending(Struct, gc=False):
    """The commands of one event on their way: encoded, and as the author's.

    Attributes:
        ids: what their ids begin with.
        origin: headers that tell where they come from.
        inherited: the event's own headers.
        out, commands: those that are encoded, in either form.
    """

    ids: str
    origin: Headers
    inherited: Headers
    out: list[Emitted] = []
    commands: list[Any] = []

    def put(self, command: Any, encoded: Encoded, index: int) -> None:
        """Gives one its id and headers."""
        id = f"{self.ids}{index}"
        inherited = self.inherited
        if encoded.headers:
            names = {name for name, _ in encoded.headers}
            inherited = (*encoded.headers, *(each for each in inherited if each[0] not in names))
        headers = ((COMMAND_ID, id.encode()), *self.origin, *inherited)
        self.out.append(Emitted(encoded.topic, encoded.key, encoded.value, headers, id))
        self.commands.append(command)


class _Waiting:
    """Room for the commands that wait in the instance's record: an event may ask for many."""

    def __init__(self, limit: int, sending: Sending) -> None:
        headers = (*sending.origin, *sending.inherited)
        self._each = sum(len(name) + len(value or b"") for name, value in headers)
        self._limit, self._taken = limit, 0

    def put(self, encoded: Encoded) -> None:
        """Takes room for one; the first always has it. Raises CommandInvalid."""
        taken = self._taken + self._each + len(encoded.key) + len(encoded.value)
        if self._taken and taken > self._limit:
            raise CommandInvalid(
                f"the commands of one event that wait for their turn are too large together: "
                f"{taken} bytes and more; max_message_bytes is {self._limit}"
            )
        self._taken = taken


class Reply(Struct, frozen=True):
    """A service's answer to a command: accepted, or rejected for a reason (plain data)."""

    command_id: str
    accepted: bool
    reason: Any = None


def dispatch(turn: Turn, waiting: Instance | None, after: Instance, commands: list[Any]) -> Result:
    """Encodes the commands of an event and sends them, or the first of them.

    Args:
        turn: of the event.
        waiting: the instance while the event does not count.
        after: the instance once it counts.
        commands: what handle() answered.
    """
    if not commands:
        return Result(_HANDLED, after)
    sending = _encode(turn, after, commands, first=0)
    if not isinstance(sending, Sending):
        return undone(sending, waiting)
    emitted = tuple(sending.out)
    if emitted and turn.callbacks.confirm_timeout_ms:
        turn.next_subject()
        return _send(turn, after, emitted, 0, ())
    if not (emitted and turn.callbacks.has_after_command):
        return Result(_HANDLED, after, emitted)
    sent = list(zip(emitted, sending.commands, strict=True))
    return after_commands(turn, after, sent, 0, emitted)


_HANDLED = Outcome.HANDLED


def _encode(
    turn: Turn, after: Instance, todo: list[Any], first: int, unsent: tuple[Emitted, ...] = ()
) -> Sending | Work | Halt:
    """Encodes commands; those that fail go the way that `error` says.

    Args:
        turn: of the input.
        after: the instance, the event counted.
        todo: the author's commands.
        first: the index of their ids.
        unsent: what waits instead, when `error` answers that it has to wait.
    """
    at, cause, encode = 0, turn.cause, turn.coder.encode_command
    ids, origin = commands_of_cause(cause, turn.callbacks.name)
    sending = Sending(ids, origin, inherited_headers(cause) if cause.headers else ())
    waits = _Waiting(turn.max_state_bytes, sending) if turn.callbacks.confirm_timeout_ms else None
    while at < len(todo):
        try:
            encoded = encode(todo[at])
            if waits is not None:
                waits.put(encoded)
            sending.put(todo[at], encoded, first + len(sending.out))
            at += 1
        except CommandInvalid as error:
            failed = Failed(
                kind=Kind.COMMAND,
                stage=Stage.DISPATCH,
                error=error,
                failed=todo[at],
                state=load_state(after.state, turn.callbacks, after.state_version),
                index=first + at,
                pending=todo[at + 1 :],
                unsent=unsent,
            )
            verdict = turn.fail(failed)
            if not isinstance(verdict, Verdict):
                return verdict
            todo, at = _REST[verdict.answer](todo, at, verdict)
    return sending


# Confirm mode


def _send(
    turn: Turn, life: Instance, pending: tuple[Emitted, ...], index: int, sent: tuple[Emitted, ...]
) -> Result:
    """The first pending command goes out; the others wait until it is answered."""
    work = Work(
        input=turn.cause,
        stage=Stage.DISPATCH,
        wait=Wait.REPLY,
        due=turn.now + (turn.callbacks.confirm_timeout_ms or _DEFAULT_CONFIRM_MS),
        context=turn.context,
        attempts=turn.attempts,
        first_failed_at=turn.first_failed_at,
        command=index,
        sent=sent,
        pending=pending,
    )
    return undone(work, life, (pending[0],))


_DEFAULT_CONFIRM_MS = 30_000
"""For commands that were awaited when their process manager stopped using confirm mode."""


def send_again(turn: Turn, life: Instance, work: Work) -> Result:
    """The time of a delayed retry has come."""
    return _send(turn, life, work.pending, work.command, work.sent)


def replied(turn: Turn, life: Instance, work: Work, reply: Reply | None) -> Result:
    """The awaited command was answered; None is: its time is up."""
    command = work.pending[0]
    if reply is not None and reply.accepted:
        sent = (*work.sent, command) if turn.callbacks.has_after_command else ()
        return _go_on(turn, life, work.pending[1:], work.command + 1, sent)
    undecodable = turn.decode()
    try:
        failed, *pending = (decode(turn, each) for each in work.pending)
    except Undecodable as error:
        undecodable = turn.wait_for_decoder(error)
    if undecodable is not None:
        return undone(undecodable, life)
    again = work.pending
    if reply is not None:  # a new question; after a timeout the service may have done it already
        again = (asked_anew(command), *again[1:])
    verdict = turn.fail(
        Failed(
            kind=Kind.COMMAND,
            stage=Stage.DISPATCH,
            error=_error(reply, command),
            failed=failed,
            state=turn.state_of(life),
            index=work.command,
            pending=pending,
            sent=work.sent,
            unsent=again,
        )
    )
    if not isinstance(verdict, Verdict):
        return undone(verdict, life)
    if verdict.answer is failure.Retry:
        return _send(turn, life, again, work.command, work.sent)
    if verdict.answer is failure.ContinueWith:
        turn.subject = (Stage.DISPATCH, work.command + 1)  # the context goes to the first of them
        sending = _encode(turn, life, verdict.commands, work.command + 1, again)
        if isinstance(sending, Work | Halt):
            return undone(_as_before(sending, work), life)
        if sending.out:
            return _send(turn, life, tuple(sending.out), work.command + 1, work.sent)
    rest = work.pending[1:] if verdict.answer in _PENDING_GO_ON else ()
    return _go_on(turn, life, rest, work.command + 1, work.sent)


_PENDING_GO_ON = frozenset({failure.Skip, failure.SkipContinuePending})


def _error(reply: Reply | None, command: Emitted) -> Exception:
    if reply is None:
        return CommandTimeout(f"no reply to command {command.id} within confirm_timeout")
    return CommandRejected(reply.reason)


def _as_before(out: Work | Halt, work: Work) -> Work | Halt:
    """Replacements that cannot be encoded cannot wait: what waits is the command they were for."""
    if isinstance(out, Halt):
        return out
    return replace(out, command=work.command, sent=work.sent)


def _go_on(
    turn: Turn, life: Instance, rest: tuple[Emitted, ...], index: int, sent: tuple[Emitted, ...]
) -> Result:
    """Sends the next command; behind the last one it is after_command's turn."""
    turn.next_subject()
    if rest:
        return _send(turn, life, rest, index, sent)
    if not (sent and turn.callbacks.has_after_command):
        return Result(_HANDLED, life)
    turn.work = Work(input=turn.cause, stage=Stage.AFTER_COMMAND, sent=sent)
    return resume_after_commands(turn, life, turn.work)

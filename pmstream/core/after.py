"""after_command: called for each command that is out, in order; it may end the instance."""

from typing import Any

from pmstream.core import failure
from pmstream.core.answering import Verdict, as_error
from pmstream.core.failure import Kind, Stage
from pmstream.core.instance import Instance, Work
from pmstream.core.messages import Emitted, Metadata
from pmstream.core.process import AfterCommand, Callbacks
from pmstream.core.result import Outcome, Result, ended, undone
from pmstream.core.state import load_state
from pmstream.core.turn import Failed, Turn
from pmstream.errors import TimeUp, Undecodable


def resume_after_commands(turn: Turn, life: Instance, work: Work) -> Result:
    """Goes on behind the commands whose after_command has run."""
    undecodable = turn.decode()
    try:
        sent = [(each, decode(turn, each)) for each in work.sent]
    except Undecodable as error:
        undecodable = turn.wait_for_decoder(error)
    if undecodable is not None:
        return undone(undecodable, life)
    return after_commands(turn, life, sent, work.command, ())


def decode(turn: Turn, command: Emitted) -> Any:
    """Reads back a command that was encoded. Raises Undecodable."""
    return turn.coder.decode_command(command.topic, command.value, command.headers)


def after_commands(
    turn: Turn,
    after: Instance,
    sent: list[tuple[Emitted, Any]],
    first: int,
    emitted: tuple[Emitted, ...],
) -> Result:
    """Calls after_command for each command that is out.

    Args:
        turn: of the input.
        after: the instance, its event and commands counted.
        sent: the commands whose turn it is, encoded and as the author's.
        first: index of the first of them.
        emitted: what this step emits.
    """
    at = 0
    while at < len(sent):
        turn.count_attempt(turn.failures(Stage.AFTER_COMMAND, first + at) + 1)
        command = sent[at][1]
        try:
            if _wants_stop(turn.callbacks, after, command, turn.metadata):
                return ended(turn, after, emitted)
            at += 1
        except (Exception, TimeUp) as raised:  # noqa: BLE001 - the author's code
            failed = Failed(
                kind=Kind.AFTER_COMMAND,
                stage=Stage.AFTER_COMMAND,
                error=as_error(raised),
                failed=command,
                state=turn.state_of(after),
                index=first + at,
                sent=tuple([each for each, _ in sent[at:]]),
            )
            verdict = turn.fail(failed)
            if not isinstance(verdict, Verdict):
                return undone(verdict, after, emitted)
            at += verdict.answer is failure.Skip
    return Result(_HANDLED, after, emitted)


_HANDLED = Outcome.HANDLED
_AFTER_COMMANDS = tuple(AfterCommand)


def _wants_stop(callbacks: Callbacks, after: Instance, command: object, metadata: Metadata) -> bool:
    state = load_state(after.state, callbacks, after.state_version)
    answer = callbacks.after_command(state, command, metadata)
    if answer is None:
        return False
    if answer not in _AFTER_COMMANDS:
        raise TypeError(f"after_command() answered {answer!r}, neither an AfterCommand nor None")
    return answer == AfterCommand.STOP

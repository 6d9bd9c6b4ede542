"""Asks `error` about a failure and takes its answer apart.

Rule: what is illegal in an answer, or raised instead of one, stops the process manager with the
original error; nothing is guessed.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.durations import milliseconds
from pmstream.core.failure import LEGAL, FailureContext, Halt, Kind
from pmstream.core.masking import masked
from pmstream.core.messages import Metadata
from pmstream.core.process import Callbacks
from pmstream.errors import CommandRejected, EventTimeout, ProcessError, TimeUp

MAX_TEXT = 2_000
"""So many characters of an error's text are kept."""


class Verdict(Struct, frozen=True, kw_only=True):
    """A legal answer of `error`, checked and evaluated.

    Attributes:
        answer: its type, one of `failure.Answer`.
        context: as plain data, as it will come back.
        delay_ms: how long to wait.
        commands: what goes out in place of the failed and the pending ones.
        reason: why it is parked.
    """

    answer: type
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    delay_ms: int = 0
    commands: list[Any] = msgspec.field(default_factory=list)
    reason: str = ""


def ask(
    callbacks: Callbacks,
    kind: Kind,
    error: Exception,
    failed: object,
    context: FailureContext,
    max_context_bytes: int,
) -> Verdict | Halt:
    """Calls `error` and judges what it says; `failure.Stop` and illegal answers are a Halt."""

    def halt(why: str) -> Halt:
        place = _place(callbacks.name, context.metadata, context.last_event)
        told = masked(why, about(error, failed, context), context.metadata.process_uuid)
        return Halt(f"{place}: {why}", "" if told == why else f"{place}: {told}")

    try:
        answer = callbacks.error(error, failed, context)
    except (Exception, TimeUp) as raised:  # noqa: BLE001 - the author's code
        return halt(f"{describe(error)}; error() itself raised {describe(as_error(raised))}")
    name = type(answer).__name__
    if type(answer) not in LEGAL[kind]:
        legal = ", ".join(sorted(each.__name__ for each in LEGAL[kind]))
        return halt(
            f"{describe(error)}; error() answered {name}, illegal when {kind}: answer {legal}"
        )
    if isinstance(answer, failure.Stop):
        return halt(_why(answer.reason, error))
    try:
        return _TAKEN_APART[type(answer)](answer, error, max_context_bytes)
    except Exception as fault:  # noqa: BLE001 - the author's iterable or mapping
        return halt(f"{describe(error)}; error() answered an illegal {name}: {describe(fault)}")


def about(error: Exception, failed: object, context: FailureContext) -> Iterator[object]:
    """What a failure is about: its values stay out of logs and traces."""
    yield from (failed, context.last_event, context.state, *context.pending_commands)
    if isinstance(error, CommandRejected):
        yield error.reason


def commands_of(answer: object) -> list[Any]:
    """The commands that an author's code answered: none, one, or an iterable of them.

    Raises:
        TypeError: it is nothing of that; and whatever the iterable raises.
    """
    if answer is None:
        return []
    if isinstance(answer, Struct):
        return [answer]
    if isinstance(answer, _NO_SEQUENCES) or not isinstance(answer, Iterable):
        raise TypeError(
            "commands are a Struct, an ordered iterable of Structs, or None, "
            f"not {type(answer).__name__}"
        )
    return list(answer)


def materialized(answer: object) -> object:
    """What handle() answered, an iterator run to its end: the author's code is in it."""
    return list(answer) if isinstance(answer, Iterator) else answer


_NO_SEQUENCES = (str, bytes, bytearray, Mapping, set, frozenset)


def as_error(raised: BaseException) -> Exception:
    """What `error` is told of what the author's code raised, or of its interruption."""
    if isinstance(raised, TimeUp):
        told = EventTimeout(text(raised))
        told.__cause__ = raised
        return told
    assert isinstance(raised, Exception), "nothing else is caught"
    return raised


def describe(error: BaseException) -> str:
    """An error's type and text, on one line."""
    return f"{type(error).__name__}: {text(error)}"


def text(value: object) -> str:
    """The text of anything an author may hand us, fit to be stored."""
    try:
        found = str(value)
    except Exception:  # noqa: BLE001 - the author's __str__
        found = f"<{type(value).__name__} that has no text>"
    return found[:MAX_TEXT].encode(errors="backslashreplace").decode()


def stacktrace(error: Exception) -> str:
    """Where the author's code raised or was interrupted; empty for errors that pmstream found."""
    if isinstance(error, ProcessError) and not isinstance(error, EventTimeout):
        return ""
    return "".join(traceback.format_exception(error))


_context_encoder = msgspec.msgpack.Encoder()
_context_decoder = msgspec.msgpack.Decoder(dict[str, Any])


def copy_context(context: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy, as plain as if it had been stored in between.

    Raises:
        Exception: of whatever kind; it cannot be stored.
    """
    return _context_decoder.decode(_context_encoder.encode(dict(context)))


def _retry(answer: failure.Retry, _error: Exception, limit: int) -> Verdict:
    return Verdict(
        answer=failure.Retry,
        context=_plain(answer.context, limit),
        delay_ms=milliseconds(answer.delay, "delay"),
    )


def _continue_with(answer: failure.ContinueWith, _error: Exception, limit: int) -> Verdict:
    return Verdict(
        answer=failure.ContinueWith,
        context=_plain(answer.context, limit),
        commands=commands_of(answer.commands),
    )


def _park(answer: failure.Park, error: Exception, _limit: int) -> Verdict:
    return Verdict(answer=failure.Park, reason=text(answer.reason) or text(error))


def _plainly(answer: object, _error: Exception, _limit: int) -> Verdict:
    return Verdict(answer=type(answer))


_TAKEN_APART: dict[type, Callable[[Any, Exception, int], Verdict]] = {
    failure.Retry: _retry,
    failure.ContinueWith: _continue_with,
    failure.Park: _park,
    failure.Skip: _plainly,
    failure.SkipContinuePending: _plainly,
    failure.SkipDiscardPending: _plainly,
}


def _plain(context: object, limit: int) -> dict[str, Any]:
    if isinstance(context, FailureContext):
        context = context.context
    if not isinstance(context, Mapping):
        raise TypeError(f"context is {type(context).__name__}, not a mapping")
    packed = _context_encoder.encode(dict(context))
    if len(packed) > limit:
        raise ValueError(f"context has {len(packed)} bytes; the limit is {limit}")
    return _context_decoder.decode(packed)


def _place(manager: str, metadata: Metadata, event: object) -> str:
    process = f"process {metadata.process_uuid}, " if metadata.process_uuid else ""
    position = f"{metadata.topic}-{metadata.partition}-{metadata.offset}"
    return f"process manager {manager} stops at {process}event {position} ({type(event).__name__})"


def _why(reason: object, error: Exception) -> str:
    if reason is error or (isinstance(reason, str) and not reason):
        return describe(error)
    told = describe(reason) if isinstance(reason, BaseException) else text(reason)
    return f"{told} (after {describe(error)})"

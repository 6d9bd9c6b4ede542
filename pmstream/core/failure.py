"""What `error` receives about a failure, what it may answer, and which answer is legal where.

Rule: an answer is a value. Nobody sleeps, sends or stops anything while it is given.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any
from zlib import crc32

from msgspec import Struct, field

from pmstream.core.messages import Metadata


class Stage(StrEnum):
    """Where a failure happened."""

    INTERESTED = "interested"
    ROUTING = "routing"
    HANDLE = "handle"
    APPLY = "apply"
    DISPATCH = "dispatch"
    AFTER_COMMAND = "after-command"


class FailureContext(Struct, frozen=True, kw_only=True):
    """What is known when something failed; durable from a failure to its retry.

    Attributes:
        context: the author's own mapping, as the last `Retry` or `ContinueWith` left it.
        state: the instance's state as if nothing had failed.
        last_event: the event being handled.
        pending_commands: commands of this event that were to follow the failed one.
        metadata: of the event being handled.
        stage: where it failed.
        attempts: how often it has failed so far, this one counted.
        first_failed_at: milliseconds since the epoch.
        stacktrace: text, for exceptions raised by the author's code; else empty.
    """

    context: Mapping[str, Any]
    state: Any
    last_event: Any
    pending_commands: tuple[Any, ...] = ()
    metadata: Metadata
    stage: Stage
    attempts: int = 1
    first_failed_at: int = 0
    stacktrace: str = ""


class Retry(Struct, frozen=True):
    """Try the failed event or command again.

    Args:
        context: a mapping that the next failure's context carries; a whole FailureContext
            stands for its `context`. Values must be plain data (msgpack).
        delay: how long to wait: a timedelta, or seconds. Nobody else waits for it.
    """

    context: Mapping[str, Any] | FailureContext = field(default_factory=dict)
    delay: timedelta | float = 0


class Skip(Struct, frozen=True):
    """Drop the failed event: no commands, state unchanged. For a command: SkipContinuePending."""


class SkipContinuePending(Struct, frozen=True):
    """Drop the failed command, go on with the pending ones; state and event count."""


class SkipDiscardPending(Struct, frozen=True):
    """Drop the failed command and the pending ones; state and event count."""


class ContinueWith(Struct, frozen=True):
    """Dispatch these commands in place of the failed and all pending ones.

    Args:
        commands: any number of commands; none drops them all.
        context: as in `Retry`.
    """

    commands: Iterable[Any]
    context: Mapping[str, Any] | FailureContext = field(default_factory=dict)


class Park(Struct, frozen=True):
    """Put the instance aside for an operator; its later inputs wait behind, in order.

    Args:
        reason: told to the operator; the error's text when empty.
    """

    reason: str = ""


class Stop(Struct, frozen=True):
    """Stop the whole process manager.

    Args:
        reason: an error or a text; told by the worker as it ends.
    """

    reason: object = ""


Answer = Retry | Skip | SkipContinuePending | SkipDiscardPending | ContinueWith | Park | Stop
"""All that `error` may answer."""


class Halt(Struct, frozen=True):
    """The process manager is to stop.

    Attributes:
        reason: why.
        shown: the same for logs and traces, without the values of messages and states; "" is as
            it stands.
    """

    reason: str
    shown: str = ""

    @property
    def told(self) -> str:
        """What the worker says as it ends."""
        return self.shown or self.reason


class Kind(StrEnum):
    """The four kinds of failure that an answer is judged by, and two special ones."""

    INTERESTED = "interested raised"
    ROUTE = "strict route failed"
    EVENT = "handle or apply raised"
    COMMAND = "command failed"
    AFTER_COMMAND = "after_command raised"
    FINAL_ROUTE = "already started or completed"


LEGAL: dict[Kind, frozenset[type]] = {
    Kind.INTERESTED: frozenset({Skip, Park, Stop}),
    Kind.ROUTE: frozenset({Retry, Skip, Park, Stop}),
    Kind.EVENT: frozenset({Retry, Skip, Park, Stop}),
    Kind.COMMAND: frozenset(
        {Retry, Skip, SkipContinuePending, SkipDiscardPending, ContinueWith, Park, Stop}
    ),
    Kind.AFTER_COMMAND: frozenset({Retry, Skip, Park, Stop}),
    # Waiting would not help: what could change them waits behind.
    Kind.FINAL_ROUTE: frozenset({Skip, Park, Stop}),
}


def backoff(
    context: FailureContext,
    base: timedelta = timedelta(milliseconds=200),
    cap: timedelta = timedelta(minutes=1),
    jitter_seed: str = "",
) -> timedelta:
    """A delay that doubles with every attempt, up to `cap`, spread by up to a quarter.

    Args:
        context: of the failure at hand; its `attempts` is what counts.
        base: the delay after the first failure.
        cap: the longest delay.
        jitter_seed: what to spread by; the process UUID when empty. The core has no chance:
            the same seed and attempt give the same delay.
    """
    doublings = min(max(context.attempts - 1, 0), 40)
    delay = cap if base >= cap / 2**doublings else base * 2**doublings
    seed = f"{jitter_seed or context.metadata.process_uuid}/{context.attempts}"
    spread = crc32(seed.encode(errors="backslashreplace")) / 0xFFFFFFFF
    return delay * (1 - spread / 4)

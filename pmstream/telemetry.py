"""Telemetry: what a listener of an app hears about each try of the author's code.

`App(..., telemetry=[listener])` with a function of one argument, which receives AttemptStarted,
then AttemptStopped or AttemptFailed (Commanded's start, stop and exception). A command that is
refused, or an after_command that raises, fails behind the stop of its event. It runs in the
worker, between the events, so it must be quick; what it raises harms nobody and is told in the log
once. It hears of tries, not of facts: a batch that is done again after a crash or an abort is heard
again. What counts is in the topics.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct


class AttemptStarted(Struct, frozen=True, kw_only=True):
    """A process manager begins to handle an event, or a timer.

    Attributes:
        process_manager: its name.
        process_uuid: the instance.
        event_type: name of the event's type; its content is not told.
        event_id, correlation_id, topic, partition, offset: see `Metadata`.
        attempt: 1 for the first try.
    """

    process_manager: str
    process_uuid: str
    event_type: str
    event_id: str
    correlation_id: str
    topic: str
    partition: int
    offset: int
    attempt: int


class AttemptStopped(AttemptStarted, frozen=True, kw_only=True):
    """It was handled.

    Attributes:
        seconds: in `handle` and `apply`.
        commands: what `handle` answered, timers counted.
    """

    seconds: float
    commands: int


class AttemptFailed(AttemptStarted, frozen=True, kw_only=True):
    """It failed, and `error` was asked; also a failing `interested` (without a process UUID).

    Attributes:
        seconds: in the callback that failed and those before it; 0 for a command or a route.
        stage: where: interested, routing, handle, apply, dispatch, after-command.
        error: what was raised.
        stacktrace: text; empty for what pmstream found.
        attempts: how often this has failed so far, this one counted.
        answer: name of `error`'s answer, such as Retry; empty when `error` raised, too.
    """

    seconds: float
    stage: str
    error: Exception
    stacktrace: str
    attempts: int
    answer: str


Heard = AttemptStarted | AttemptStopped | AttemptFailed

Listener = Callable[[Any], object]
"""Hears each of them; what it answers is not looked at."""

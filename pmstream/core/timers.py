"""What a handler may ask of the clock: timers, set and cancelled beside its commands.

Rule: a timer is a value in the instance; it is durable, and its firing is an input like an event.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import Struct

from pmstream.core.durations import MAX_DURATION, Duration, milliseconds
from pmstream.core.instance import Timer, Timers

MAX_NAME = 100
"""Characters of a timer's name."""


class Set(Struct, frozen=True):
    """Fire a timer, later; replaces the timer of the same name.

    Args:
        name: unique in the instance: 1 to 100 printable characters.
        after: how long from now: a timedelta, or seconds.
        at: instead of `after`: a datetime with its time zone; one that has passed fires at once.
    """

    name: str
    after: Duration | None = None
    at: datetime | None = None


class Cancel(Struct, frozen=True):
    """Forget the timer of that name; nothing happens if there is none."""

    name: str


class TimerFired(Struct, frozen=True):
    """A timer came due: the event that `handle` and `apply` receive.

    Attributes:
        name: of the timer.
        due: when it was due, UTC; it may be handled later.
    """

    name: str
    due: datetime


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fired(name: str, due: int) -> TimerFired:
    """The event of a timer that was due at that time, milliseconds since the epoch."""
    return TimerFired(name, _EPOCH + timedelta(milliseconds=due))


def split(answer: list[Any]) -> tuple[list[Any], list[Set | Cancel]]:
    """Parts what handle() answered into commands and timers, each in order."""
    for each in answer:
        if isinstance(each, _ASKED):
            break
    else:  # as most: a list of timers would cost more than the look
        return answer, []
    timers = [each for each in answer if isinstance(each, _ASKED)]
    return [each for each in answer if not isinstance(each, _ASKED)], timers


_ASKED = (Set, Cancel)


def changed(
    timers: Timers, asked: Iterable[Set | Cancel], now: int, correlation_id: str, limit: int
) -> Timers:
    """The instance's timers after what a handler asked for.

    Args:
        timers: before.
        asked: in order.
        now: milliseconds since the epoch; `after` counts from here.
        correlation_id: of the event being handled.
        limit: how many timers an instance may have.

    Raises:
        TypeError, ValueError: an illegal name or time, or too many timers.
    """
    pending, count = dict(timers.pending), timers.count
    for each in asked:
        _check_name(each.name)
        if isinstance(each, Cancel):
            pending.pop(each.name, None)
        else:
            count += 1
            pending[each.name] = Timer(_due(each, now), count, correlation_id=correlation_id)
    if len(pending) > limit:
        raise ValueError(f"{len(pending)} timers in one process; timers_limit is {limit}")
    return Timers(pending, count)


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a timer's name is text, not {type(name).__name__}")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise ValueError(f"a timer's name has 1 to {MAX_NAME} printable characters, not {name!r}")


def _due(timer: Set, now: int) -> int:
    if (timer.after is None) == (timer.at is None):
        raise ValueError(f"timer {timer.name}: give either after or at")
    if timer.at is None:
        return now + milliseconds(timer.after, f"timer {timer.name}: after")
    if not isinstance(timer.at, datetime):
        raise TypeError(f"timer {timer.name}: at is {type(timer.at).__name__}, not a datetime")
    if timer.at.tzinfo is None:
        raise ValueError(f"timer {timer.name}: at has no time zone: {timer.at}")
    due = (timer.at - _EPOCH) // timedelta(milliseconds=1)
    latest = now + MAX_DURATION // timedelta(milliseconds=1)
    if not 0 <= due <= latest:
        raise ValueError(f"timer {timer.name}: at is out of range: {timer.at}")
    return due

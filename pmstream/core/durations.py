"""Spans of time as authors write them: a timedelta, or seconds."""

from datetime import timedelta

Duration = timedelta | float
"""How long: a timedelta, or seconds."""

MAX_DURATION = timedelta(days=36_500)
"""A time further away than this is taken for a mistake."""


def milliseconds(duration: object, what: str) -> int:
    """A duration in whole milliseconds; never 0 unless it is.

    Args:
        duration: what the author said.
        what: its name in an error.

    Raises:
        TypeError, ValueError: neither a timedelta nor seconds; negative, or over MAX_DURATION.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{what} is {type(duration).__name__}, neither a timedelta nor seconds")
    if not 0 <= seconds <= MAX_DURATION.total_seconds():
        raise ValueError(f"{what} is {duration}; it is 0 to {MAX_DURATION.days} days")
    return max(round(seconds * 1000), 1 if seconds else 0)

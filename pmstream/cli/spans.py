"""Times as operators type them: spans (30s, 10m, 2h, 7d) and moments."""

import re
from datetime import UTC, datetime

from pmstream.errors import ConfigurationError

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])")


def milliseconds(text: str, option: str) -> int:
    """A span in milliseconds; "" is 0.

    Raises:
        ConfigurationError: it is none.
    """
    if not text:
        return 0
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"{option} is {text!r}, which is no span of time: write 30s, 10m, 2h or 7d"
        )
    return round(float(found[1]) * _UNITS[found[2]])


def short(milliseconds: int) -> str:
    """A span for people, in its greatest unit."""
    unit = next(
        (each for each in ("d", "h", "m") if milliseconds >= _UNITS[each]),
        "s",
    )
    return f"{max(0, milliseconds) // _UNITS[unit]}{unit}"


def moment(text: str, option: str, now: int) -> int:
    """A moment, milliseconds since the epoch: now, so long ago, or a time with its zone.

    Raises:
        ConfigurationError: it is none.
    """
    if text == "now":
        return now
    if _SPAN.fullmatch(text):
        return now - milliseconds(text, option)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{option} is {text!r}, which is no time: write 2026-01-31T12:00+00:00, 2h, or now"
        ) from None
    if when.tzinfo is None:
        raise ConfigurationError(f"{option} {text} has no time zone: add +00:00 for UTC")
    return int(when.astimezone(UTC).timestamp() * 1000)

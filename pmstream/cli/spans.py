"""Spans of time as operators type them: 30s, 10m, 2h, 7d."""

import re

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

"""Where a process manager may start in its source topics: the forms of `start_from`."""

from collections.abc import Iterator, Mapping
from datetime import datetime

ORIGIN, CURRENT = "origin", "current"

StartFrom = str | datetime | Mapping[str, Mapping[int, int]]
"""ORIGIN, CURRENT, an aware datetime, or source topic to partition to the first offset to see.

Topics and partitions that a mapping does not name start at the origin. A datetime is the first
event of that time or later in each partition; later than the last event, it is CURRENT.
"""

_FORMS = "'origin', 'current', {topic: {partition: offset}} or an aware datetime"


def start_faults(start_from: object) -> Iterator[str]:
    """Yields one sentence for each fault; whether topics exist is not known here."""
    if isinstance(start_from, datetime):
        if start_from.utcoffset() is None:
            yield (
                f"start_from is {start_from!r}, a datetime without a time zone: say which, for "
                "example datetime(2026, 1, 31, tzinfo=UTC)"
            )
    elif isinstance(start_from, Mapping):
        for topic, offsets in start_from.items():
            yield from _topic_faults(topic, offsets)
    elif start_from not in (ORIGIN, CURRENT):
        yield f"start_from is {start_from!r}; it is {_FORMS}"


def _topic_faults(topic: object, offsets: object) -> Iterator[str]:
    if not isinstance(topic, str) or not isinstance(offsets, Mapping):
        yield f"start_from has {topic!r}: {offsets!r}; it is {_FORMS}"
        return
    for partition, offset in offsets.items():
        if type(partition) is not int or partition < 0 or type(offset) is not int or offset < 0:
            yield (
                f"start_from has partition {partition!r} at offset {offset!r} in {topic}; both "
                "are whole numbers of at least 0"
            )

"""A process manager's changelog, folded: the last record of each instance and backlog entry."""

from collections.abc import Collection

from pmstream.app import Names
from pmstream.operate.bounds import bounds, own_topic
from pmstream.operate.reading import read_once
from pmstream.runtime.log import Log, Record
from pmstream.runtime.store import BACKLOG, INSTANCE


def partitions(log: Log, names: Names) -> int:
    """How many it has.

    Raises:
        ConfigurationError: there is no such changelog.
        Unavailable: the cluster does not answer.
    """
    return own_topic(log, names.changelog).partitions


def last_records(
    log: Log, names: Names, only: Collection[int] | None = None
) -> dict[bytes, Record]:
    """Key to last record, of all partitions or some; tombstones take away.

    Raises:
        ConfigurationError: there is no such changelog.
        Unreachable, Unavailable: the cluster.
    """
    places = bounds(log, own_topic(log, names.changelog))
    if only is not None:
        places = {place: each for place, each in places.items() if place.partition in only}
    found: dict[bytes, Record] = {}
    for records in read_once(log, places):
        for record in records:
            if record.key is None or record.key[:1] not in (INSTANCE, BACKLOG):
                continue
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record
    return found


def fold(log: Log, names: Names, partition: int | None = None) -> dict[bytes, tuple[int, bytes]]:
    """Key to partition and last value, of all partitions or one. Raises as `last_records`."""
    found = last_records(log, names, None if partition is None else (partition,))
    return {key: (each.partition, each.value or b"") for key, each in found.items()}

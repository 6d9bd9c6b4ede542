"""Where an event waits: the instances that took it in and are not done with it."""

from datetime import UTC, datetime

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import instance
from pmstream.core.instance import Wait, Work
from pmstream.errors import Unreachable
from pmstream.operate.reading import read_once
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.store import BACKLOG, INSTANCE

RETRYING, PARKED, WAITING = "retrying", "parked", "waiting"

_WORDS = {Wait.RETRY: RETRYING, Wait.OPERATOR: PARKED}


class Deferred(Struct, frozen=True):
    """An instance that has an event before it.

    Attributes:
        uuid: of the process.
        how: RETRYING, PARKED, or WAITING (behind others, for a reply, for its start).
        since: when it failed first; if it did not, when it began to wait (ISO 8601, UTC).
        error: the last one; "" if none.
        partition: of inbox and changelog.
    """

    uuid: str
    how: str
    since: str
    error: str
    partition: int


def deferred(log: Log, names: Names, changelog: TopicInfo, event: str) -> list[Deferred]:
    """Instances that wait with an event, sorted by process UUID.

    Reads the whole changelog and remembers only what it looks for.

    Args:
        log: the cluster.
        names: of the process manager.
        changelog: its topic.
        event: `topic-partition-offset`.

    Raises:
        FormatError: a newer version wrote it.
        Unreachable: it cannot be read.
    """
    found: dict[bytes, Deferred] = {}
    places = [TopicPartition(names.changelog, number) for number in range(changelog.partitions)]
    for records in read_once(log, {place: _limits(log, place) for place in places}):
        for record in records:
            if record.key is not None and record.key[:1] in (INSTANCE, BACKLOG):
                found.pop(record.key, None)
                work = _work(record)
                if work is not None and work.input.cause == event:
                    found[record.key] = _deferred(record.key, record, work)
    return sorted(found.values(), key=lambda each: each.uuid)


def _limits(log: Log, place: TopicPartition) -> tuple[int, int]:
    """Up to the very end: a transaction that moved positions may still be marked as committed."""
    start, end = log.start(place), log.end(place, stable=False)
    if start is None or end is None:
        raise Unreachable(f"{place.topic}-{place.partition} does not answer (no leader): try again")
    return start, end


def _work(record: Record) -> Work | None:
    if record.key is None or record.value is None:
        return None
    if record.key[:1] == BACKLOG:
        return instance.load_work(record.value)
    return instance.load_instance(record.value).work


def _deferred(key: bytes, record: Record, work: Work) -> Deferred:
    since = datetime.fromtimestamp((work.first_failed_at or record.timestamp) / 1000, UTC)
    is_behind = key[:1] == BACKLOG
    return Deferred(
        uuid=key[1:].partition(b"\0")[0].decode(),
        how=WAITING if is_behind or work.wait is None else _WORDS.get(work.wait, WAITING),
        since=since.isoformat(timespec="milliseconds"),
        error=f"{work.error_type}: {work.error_text}" if work.error_type else "",
        partition=record.partition,
    )

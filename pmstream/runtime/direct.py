"""A source topic that is keyed by process UUID already: read without a router, and verified.

Rule: every record shows that its producer places keys as this process manager assumes; the first
that does not stops it, because from there on one process may be in two partitions (ADR 8).
"""

from functools import cache

from pmstream.core.engine import Arrived, Halt
from pmstream.core.messages import Routed
from pmstream.runtime.inbox import where
from pmstream.runtime.intake import Accepted, Counted, Intake
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.reading import Early, Found

_SHOWN_BYTES = 80


class DirectReader:
    """Reads a source topic.

    Args:
        intake: judges its records.
        partitions: how many it has.
    """

    def __init__(self, intake: Intake, partitions: int) -> None:
        self._intake, self._partitions = intake, partitions

    def ahead(self, record: Record, number: int, now: int) -> Early:
        """See `Reader.ahead`."""
        if not self._is_placed(record, number):
            return None
        found = self._intake.ahead(record, now)
        if found is None or found.routing.route is None:
            return found
        arrived = self._arrived(record, found)
        return arrived if isinstance(arrived, Arrived) else found

    def read(
        self, record: Record, number: int, counted: Counted, now: int, early: Early = None
    ) -> Found:
        """See `Reader.read`."""
        if isinstance(early, Arrived):
            self._intake.passed(counted)
            return early
        if not self._is_placed(record, number):
            return _misplaced(record, self._partitions)
        found = self._intake.take(record, counted, now, early)
        return self._arrived(record, found) if isinstance(found, Accepted) else found

    def _is_placed(self, record: Record, number: int) -> bool:
        key = record.key
        return key is not None and murmur2_partition(key, self._partitions) == number

    def _arrived(self, record: Record, found: Accepted) -> Arrived | Halt:
        routing, value = found.routing, record.value
        uuid = routing.ids[0]
        if len(routing.ids) > 1 or uuid.encode() != record.key:
            return _misrouted(record, routing.ids)
        assert routing.route is not None, "an event that goes nowhere"
        assert value is not None, "a tombstone that goes somewhere"
        routed = Routed(
            process_uuid=uuid,
            route=routing.route,
            value=value,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            index=0,
            timestamp=record.timestamp,
            headers=found.headers,
            hold=routing.hold,
        )
        # What interested() could have changed is decoded anew, as in a retry.
        event = found.event if _is_frozen(found.event.__class__) else None
        return Arrived(routed, event)


@cache
def _is_frozen(type_: type) -> bool:
    config = getattr(type_, "__struct_config__", None)
    return config is not None and config.frozen


def _misplaced(record: Record, partitions: int) -> Halt:
    """Why a record's partition is not its key's."""
    if record.key is None:
        return Halt(
            f"{where(record)} has no key: keyed={record.topic!r} says that each record's key is "
            "its process UUID; leave keyed out, and a router sorts the events"
        )
    belongs = murmur2_partition(record.key, partitions)
    return Halt(
        f"{where(record)} has key {record.key[:_SHOWN_BYTES]!r}, which belongs into partition "
        f"{belongs} of {partitions} by murmur2, the partitioner of Java clients: its producer uses "
        "another one (librdkafka's default is consistent_random, a CRC32), or another partition "
        f"count. With keyed={record.topic!r} each of its producers needs murmur2 (librdkafka: "
        "partitioner=murmur2_random), and the topic must be written anew; or leave keyed out, and "
        "a router sorts the events"
    )


def _misrouted(record: Record, ids: list[str]) -> Halt:
    key = (record.key or b"")[:_SHOWN_BYTES]
    what = f"process {ids[0]!r}" if len(ids) == 1 else f"{len(ids)} processes"
    return Halt(
        f"{where(record)} has key {key!r}, but interested() sends it to {what}: with "
        f"keyed={record.topic!r} an event concerns the process that is its key, and no other; "
        "correct interested(), or leave keyed out, and a router sorts the events"
    )

"""How an instances worker reads its records: an inbox here, a source topic in `direct`.

Rule: a record may be read ahead of its turn, because what it is hangs on nothing but itself. What
that does to its partition (counts, marks, instances) waits for its turn.
"""

from typing import Protocol

from pmstream.app import Names
from pmstream.core.engine import Arrived, Coder, Halt
from pmstream.errors import Stopped, Undecodable
from pmstream.runtime.commit import Out
from pmstream.runtime.inbox import read_inbox, where
from pmstream.runtime.intake import Accepted, Counted, dead_letter
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition

Found = Arrived | Out | Halt | None
"""An input of an instance, a dead letter, why the process manager is to stop, or nothing."""

Early = Arrived | Accepted | None
"""What is known of a record before its turn: all, its routing, or nothing."""


class Reader(Protocol):
    """Reads the records of a worker's partitions."""

    def ahead(self, record: Record, number: int, now: int) -> Early:
        """Reads a record ahead of its turn; never raises, counts nothing."""

    def read(
        self, record: Record, number: int, counted: Counted, now: int, early: Early = None
    ) -> Found:
        """Reads a record of partition `number` whose turn has come.

        Args:
            record: the record.
            number: of its partition.
            counted: the partition.
            now: milliseconds since the epoch.
            early: what `ahead` answered, if it was asked.
        """


class InboxReader:
    """Reads an inbox: what no router wrote is a dead letter.

    Args:
        names: topics of the process manager.
        partitions: how many the inbox has.
        coder: reads events ahead of their turn.
    """

    def __init__(self, names: Names, partitions: int, coder: Coder) -> None:
        self._dead_letters, self._partitions, self._coder = names.dead_letters, partitions, coder

    def ahead(self, record: Record, number: int, now: int) -> Arrived | None:
        """See `Reader.ahead`."""
        try:
            arrived = self._arrived(record, number)
        except (Undecodable, Stopped):
            return None
        try:
            return Arrived(arrived.routed, self._coder.decode_event(arrived.routed))
        except Undecodable:
            return arrived

    def read(
        self, record: Record, number: int, counted: Counted, now: int, early: Early = None
    ) -> Found:
        """See `Reader.read`. Raises Stopped: something else than a router writes there."""
        if isinstance(early, Arrived):
            return early
        try:
            return self._arrived(record, number)
        except Undecodable as error:
            return dead_letter(self._dead_letters, record, str(error), now)

    def _arrived(self, record: Record, number: int) -> Arrived:
        routed = read_inbox(record)
        belongs = murmur2_partition(record.key or b"", self._partitions)
        if belongs != number:
            raise Stopped(
                f"{where(record)} has key {routed.process_uuid!r}, which belongs into partition "
                f"{belongs} of {self._partitions} (murmur2): something else than this router "
                "writes to the inbox, with another partitioner or partition count"
            )
        return Arrived(routed)

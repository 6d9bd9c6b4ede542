"""A partition's share of one transaction."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, Seen, dump_commit
from pmstream.runtime.commit import Out, Sent
from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.setup import Setup


class Owner(Protocol):
    """The partition that has a share."""

    number: int
    source: TopicPartition

    def acknowledged(self, record: CommitRecord, offset: int) -> None:
        """The transaction is committed; its commit record stands at `offset`."""


class Position(Struct, frozen=True, kw_only=True):
    """How far a transaction takes a partition; see `CommitRecord`."""

    source: int
    generation: int
    seen: Seen
    replies: int
    orders: int
    paused: bool
    run: int


def following(last: CommitRecord | None, position: Position, setup: Setup) -> CommitRecord:
    """The commit record behind `last`."""
    return CommitRecord(
        source=position.source,
        sequence=last.sequence + 1 if last is not None else 1,
        owner=setup.owner,
        generation=position.generation,
        partitions=setup.partitions,
        version=setup.version,
        time=setup.clock.now(),
        seen=position.seen,
        replies=position.replies,
        orders=position.orders,
        paused=position.paused,
        source_id=setup.source_id,
        run=position.run,
    )


class Share:
    """A partition's share of one transaction (`commit.Slice`): `out` for others, then `changes`."""

    def __init__(
        self,
        partition: Owner,
        changelog: str,
        record: CommitRecord,
        out: Sequence[Sent],
        changes: Sequence[Out],
    ) -> None:
        self._partition, self._record = partition, record
        self.source = partition.source
        self.position = Committed(record.source, str(record.sequence))
        self.records: Sequence[Sent] = [*out, *changes]
        self.sent = len(out)
        self.commit_record: Out | None = Out(
            changelog, COMMIT_KEY, dump_commit(record), (), partition.number
        )

    def acknowledged(self, offset: int | None) -> None:
        """Passes the acknowledgement on to the partition."""
        assert offset is not None, "a committed transaction without its commit record's offset"
        self._partition.acknowledged(self._record, offset)

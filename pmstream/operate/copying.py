"""Copies a changelog into another one that has another partition count.

Rule: only what is there is copied, each key's last record, byte for byte; nobody writes to either
changelog meanwhile. So a chunk that is written twice changes nothing, and whoever was killed goes
on from the last chunk that was noted.
"""

from collections.abc import Iterable, Iterator, Sequence

from pmstream.operate.bounds import bounds
from pmstream.operate.contents import Step, last_offsets, uuid_of
from pmstream.operate.reading import read_once
from pmstream.operate.transaction import write
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Committed, Log, Producer, Record, TopicInfo, TopicPartition
from pmstream.runtime.murmur2 import murmur2_partition

CHUNK_RECORDS, CHUNK_BYTES = 2_000, 8 << 20
"""What ends one transaction of a copy."""


class Copy:
    """A copy from one changelog into another.

    Args:
        log: the cluster.
        old: the changelog that is read.
        new: the changelog that is written; its partitions decide where a process goes.
        group: keeps how far `old` is copied: a group that nobody else uses for that topic.
        producer: whose id nobody else uses: a second copy ends the first.
    """

    def __init__(
        self, log: Log, old: TopicInfo, new: TopicInfo, group: str, producer: Producer
    ) -> None:
        self._log, self._old, self._new = log, old, new
        self._group, self._producer = group, producer

    def run(self, step: Step) -> int:
        """Copies what is not copied yet; answers how many records that were.

        Args:
            step: told how many more offsets of `old` are done.

        Raises:
            Again, MustAbort, OutcomeUnknown, Refused, Unavailable, Unreachable: the cluster.
        """
        spans, copied = bounds(self._log, self._old), 0
        known = self._log.last_committed(self._group, list(spans))
        for place, (start, end) in spans.items():
            noted = known.get(place)
            begin = start
            if noted is not None and noted.metadata == self._new.id:
                begin = max(start, min(noted.position, end))
            step(begin - start)
            if begin == end:
                continue
            last = last_offsets(self._log, place, (start, end))
            for chunk in _chunks(read_once(self._log, {place: (begin, end)})):
                live = [each for each in chunk if last.get(each.key or b"") == each.offset]
                self._write([self._moved(each) for each in live])
                copied += len(live)
                following = chunk[-1].offset + 1
                self._note(place, following)
                step(following - begin)
                begin = following
            self._note(place, end)
            step(end - begin)
        return copied

    def _moved(self, record: Record) -> Out:
        key = record.key or b""
        number = murmur2_partition(uuid_of(key), self._new.partitions)
        return Out(self._new.name, key, record.value, (), number)

    def _write(self, outs: Sequence[Out]) -> None:
        if outs:
            write(self._producer, outs)

    def _note(self, place: TopicPartition, position: int) -> None:
        """After the transaction: who is killed in between writes that chunk once more."""
        self._log.set_positions(self._group, {place: Committed(position, self._new.id)})


def _chunks(read: Iterable[list[Record]]) -> Iterator[list[Record]]:
    """The same records, as many at a time as one transaction takes."""
    chunk, size = list[Record](), 0
    for records in read:
        for record in records:
            chunk.append(record)
            size += len(record.key or b"") + len(record.value or b"")
            if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
                yield chunk
                chunk, size = [], 0
    if chunk:
        yield chunk

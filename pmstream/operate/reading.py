"""Reads partitions once, from where they start to where they ended when the reading began."""

from collections.abc import Generator, Iterator, Mapping

from pmstream.errors import Unreachable
from pmstream.runtime.log import Log, Reader, Record, TopicPartition

_CHUNK_RECORDS, _WAIT_SECONDS = 5_000, 0.05
# Short, because a read that only passes markers answers nothing until the wait is over.
_EMPTY_READS = 600
"""So many in a row that move no position: half a minute."""


def read_once(
    log: Log, bounds: Mapping[TopicPartition, tuple[int, int]]
) -> Generator[list[Record], None, None]:
    """Yields committed records in chunks, in order within a partition.

    Args:
        log: the cluster.
        bounds: partition to the first offset to read and the one to stop before.

    Raises:
        Unreachable: nothing moves for half a minute.
        PositionLost: what was to be read is deleted meanwhile.
    """
    left = {place: each for place, each in bounds.items() if each[0] < each[1]}
    if not left:
        return
    reader = log.reader()
    try:
        reader.assign({place: start for place, (start, _) in left.items()})
        yield from _read(reader, left)
    finally:
        reader.close()


def _read(reader: Reader, left: dict[TopicPartition, tuple[int, int]]) -> Iterator[list[Record]]:
    empty, before = 0, {place: start for place, (start, _) in left.items()}
    while left:
        records = reader.read(_CHUNK_RECORDS, _WAIT_SECONDS)
        wanted = [each for each in records if _is_below(each, left)]
        if wanted:
            yield wanted
        now = {place: reader.position(place) or before[place] for place in left}
        empty = 0 if records or now != before else empty + 1
        if empty >= _EMPTY_READS:
            where = next(iter(left))
            raise Unreachable(
                f"{where.topic}-{where.partition} does not move beyond {now[where]} (end "
                f"{left[where][1]}): is its leader there?"
            )
        left = {place: each for place, each in left.items() if now[place] < each[1]}
        before = {place: now[place] for place in left}


def _is_below(record: Record, left: Mapping[TopicPartition, tuple[int, int]]) -> bool:
    bound = left.get(TopicPartition(record.topic, record.partition))
    return bound is not None and record.offset < bound[1]

"""Contract: a compacted log has gaps anywhere, and nothing that counts is missing."""

import pytest

from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import CALL, World

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",  # what is in the newest segment is never cleaned
    "min.cleanable.dirty.ratio": "0.01",
}

Pairs = list[tuple[bytes, bytes | None]]


def write(world: World, partition: TopicPartition, pairs: Pairs, *, counts: bool = True) -> None:
    """One transaction."""
    producer = world.producer()
    producer.begin()
    for key, value in pairs:
        producer.produce(partition.topic, value, key, (), partition.partition)
    world.repeat(lambda: producer.flush(CALL))
    (world.commit if counts else world.abort)(producer)


def settled(world: World, partition: TopicPartition) -> int:
    """The end, once the last transaction's marker is there."""

    def is_settled() -> bool:
        return world.end(partition, stable=True) == world.end(partition, stable=False)

    world.until(is_settled, lambda: None)
    return world.end(partition, stable=True)


def clean(world: World, partition: TopicPartition) -> list[Record]:
    """Lets the cleaner run; answers what is left, the last record apart."""
    if isinstance(world.log, MemoryLog):
        world.log.compact(partition.topic)
    found: list[Record] = []

    def turn() -> None:
        world.clock.sleep(0.3)
        write(world, partition, [(b"new segment", b"")])
        found[:] = [each for each in world.read(partition) if each.key != b"new segment"]

    world.until(lambda: bool(found) and len({each.key for each in found}) == len(found), turn)
    return found


def fold(records: list[Record]) -> dict[bytes, bytes]:
    last = {each.key or b"": each.value for each in records}
    return {key: value for key, value in last.items() if value is not None}


@pytest.fixture
def partition(world: World) -> TopicPartition:
    """Two keys written again and again, one deleted, something aborted in between."""
    made = world.partition(COMPACTED)
    for number in range(5):
        write(world, made, [(b"a", b"%d" % number), (b"b", b"%d" % number)])
        write(world, made, [(b"a", b"aborted")], counts=False)
    write(world, made, [(b"b", None), (b"c", b"only")])
    settled(world, made)
    return made


def test_compaction_leaves_the_newest_of_each_key_where_it_stood(
    world: World, partition: TopicPartition
) -> None:
    before = world.read(partition)

    after = clean(world, partition)

    newest = {each.key: each.offset for each in before}
    assert {each.key: each.offset for each in after if each.value is not None} == {
        key: newest[key] for key in (b"a", b"c")
    }
    assert fold(after) == fold(before) == {b"a": b"4", b"c": b"only"}
    assert world.log.start(partition) == 0


def test_a_position_in_a_gap_reads_on_behind_it(world: World, partition: TopicPartition) -> None:
    after = clean(world, partition)
    gap = next(n for n in range(after[0].offset) if n not in {each.offset for each in after})

    read_on = world.read(partition, gap)

    assert [each.offset for each in read_on][: len(after)] == [each.offset for each in after]


def test_a_reader_stands_at_the_end_although_what_was_last_is_gone(
    world: World, partition: TopicPartition
) -> None:
    clean(world, partition)
    write(world, partition, [(b"z", b"aborted")], counts=False)
    end = settled(world, partition)
    reader = world.log.reader()
    reader.assign({partition: 0})

    world.until(lambda: reader.position(partition) == end, lambda: reader.read(100, 0.05))

    reader.close()

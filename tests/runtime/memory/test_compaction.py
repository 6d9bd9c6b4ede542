"""The memory log's cleaner: what stays, and what of it is seen."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import CALL, World

Pair = tuple[bytes, bytes | None]


@pytest.fixture
def partition(world: World) -> TopicPartition:
    return world.partition({"cleanup.policy": "compact"})


def write(world: World, partition: TopicPartition, pairs: Iterable[Pair]) -> None:
    writer = world.log.writer()
    for key, value in pairs:
        writer.produce(partition.topic, value, key)
    writer.flush(CALL)


def seen(world: World, partition: TopicPartition) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.offset, record.key, record.value) for record in world.read(partition)]


def test_the_newest_of_each_key_stays_at_its_offset(
    world: World, log: MemoryLog, partition: TopicPartition
) -> None:
    write(world, partition, [(b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"a", b"3")])

    log.compact(partition.topic)

    assert seen(world, partition) == [(1, b"b", b"1"), (3, b"a", b"3")]
    assert log.start(partition) == 0
    assert log.end(partition, stable=False) == 4


def test_an_aborted_record_never_displaces_a_committed_one(
    world: World, log: MemoryLog, partition: TopicPartition
) -> None:
    write(world, partition, [(b"key", b"kept")])
    producer = world.producer()
    world.stage(producer, partition, [b"aborted"])
    world.abort(producer)

    log.compact(partition.topic)

    assert seen(world, partition) == [(0, b"key", b"kept")]
    assert world.values(partition, committed=False) == [b"kept"]


def test_an_open_transaction_stops_the_cleaner(
    world: World, log: MemoryLog, partition: TopicPartition
) -> None:
    write(world, partition, [(b"key", b"1"), (b"key", b"2")])
    producer = world.producer()
    world.stage(producer, partition, [b"open"])
    write(world, partition, [(b"key", b"4")])

    log.compact(partition.topic)
    assert seen(world, partition) == [(1, b"key", b"2")]
    world.commit(producer)

    assert seen(world, partition) == [(1, b"key", b"2"), (2, b"key", b"open"), (3, b"key", b"4")]


def test_tombstones_go_when_they_are_old_enough_and_asked_for(
    world: World, log: MemoryLog, clock: VirtualClock, partition: TopicPartition
) -> None:
    write(world, partition, [(b"old", b"1"), (b"old", None)])
    clock.advance(86_400)
    clock.advance(1)
    write(world, partition, [(b"new", None)])

    log.compact(partition.topic)
    assert seen(world, partition) == [(1, b"old", None), (2, b"new", None)]
    log.compact(partition.topic, tombstones=True)

    assert seen(world, partition) == [(2, b"new", None)]


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary())),
        )
    ),
    st.integers(0, 30),
)
def test_the_fold_is_the_same_from_any_position(
    batches: list[tuple[bool, list[Pair]]], position: int
) -> None:
    clock = VirtualClock()
    log = MemoryLog(clock)
    world = World(log, clock, log.delete_topic)
    partition = world.partition({"cleanup.policy": "compact"})
    producer = world.producer()
    for commit, pairs in batches:
        producer.begin()
        for key, value in pairs:
            producer.produce(partition.topic, value, key)
        producer.commit(CALL) if commit else producer.abort(CALL)
    position = min(position, world.end(partition, stable=True))
    whole, part = fold(world, partition, 0), fold(world, partition, position)

    log.compact(partition.topic)

    assert fold(world, partition, 0) == whole
    assert fold(world, partition, position).items() <= whole.items() | part.items()


def fold(world: World, partition: TopicPartition, position: int) -> dict[bytes, bytes | None]:
    return {record.key: record.value for record in world.read(partition, position) if record.key}

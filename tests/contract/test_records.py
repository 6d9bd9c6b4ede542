"""Contract: records, their order, and the positions that readers stand at."""

from itertools import pairwise

import pytest

from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.log_errors import PositionLost, Refused
from pmstream.runtime.murmur2 import murmur2_partition
from tests.contract.world import CALL, World


def test_a_reader_sees_records_as_they_were_written(world: World) -> None:
    partition = world.partition()
    writer = world.log.writer()
    before = world.clock.now()
    headers = (("trace", b"1"), ("trace", b"2"), ("empty", b""), ("none", None))

    writer.produce(partition.topic, b"value", b"key", headers, 0)
    writer.produce(partition.topic, None, b"key", (), 0)
    writer.produce(partition.topic, b"", None, (), 0)
    writer.flush(CALL)

    first, tombstone, empty = world.read(partition)
    assert (first.key, first.value, first.headers) == (b"key", b"value", headers)
    assert (first.topic, first.partition, first.offset) == (*partition, 0)
    assert before <= first.timestamp <= world.clock.now()
    assert (tombstone.key, tombstone.value, tombstone.headers) == (b"key", None, ())
    assert (empty.key, empty.value) == (None, b"")


def test_a_bare_reader_answers_keys_and_values_where_they_stand(world: World) -> None:
    partition = world.partition()
    writer = world.log.writer()
    writer.produce(partition.topic, b"value", b"key", (("trace", b"1"),), 0)
    writer.produce(partition.topic, None, b"key", (), 0)
    writer.flush(CALL)
    reader = world.log.reader(bare=True)
    reader.assign({partition: 0})
    found: list[Record] = []

    world.until(lambda: len(found) >= 2, lambda: found.extend(reader.read(10, 0.05)))

    reader.close()
    assert found == [
        Record(*partition, 0, 0, b"key", b"value"),
        Record(*partition, 1, 0, b"key", None),
    ]


def test_a_partition_keeps_the_order_of_writing(world: World) -> None:
    partition = world.partition()
    values = [b"%d" % number for number in range(500)]

    world.write(partition, values)

    records = world.read(partition)
    assert [record.value for record in records] == values
    assert [record.offset for record in records] == list(range(500))


def test_a_reader_follows_several_partitions_each_in_order(world: World) -> None:
    topic = world.topic(3)
    partitions = [TopicPartition(topic, number) for number in range(3)]
    for partition in partitions:
        world.write(partition, [b"%d" % number for number in range(50)])
    reader = world.log.reader()
    reader.assign(dict.fromkeys(partitions, 10))
    seen: list[tuple[int, int]] = []

    world.until(
        lambda: len(seen) >= 120,
        lambda: seen.extend((r.partition, r.offset) for r in reader.read(7, 0.05)),
    )

    reader.close()
    assert sorted(seen) == [(number, at) for number in range(3) for at in range(10, 50)]
    for number in range(3):
        offsets = [at for partition, at in seen if partition == number]
        assert all(one < two for one, two in pairwise(offsets))


def test_a_reader_answers_no_more_than_asked_for(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 20)
    reader = world.log.reader()
    reader.assign({partition: 0})
    chunks: list[int] = []

    world.until(lambda: sum(chunks) >= 20, lambda: chunks.append(len(reader.read(6, 0.05))))

    reader.close()
    assert max(chunks) <= 6
    assert sum(chunks) == 20


def test_a_new_assignment_replaces_the_old_one(world: World) -> None:
    one, two = world.partition(), world.partition()
    world.write(one, [b"one"] * 3)
    world.write(two, [b"two"] * 3)
    reader = world.log.reader()
    reader.assign({one: 0})
    world.until(lambda: reader.position(one) == 3, lambda: reader.read(10, 0.05))
    seen: list[bytes | None] = []

    reader.assign({two: 1})

    world.until(
        lambda: reader.position(two) == 3,
        lambda: seen.extend(record.value for record in reader.read(10, 0.05)),
    )
    reader.close()
    assert seen == [b"two", b"two"]


def test_a_position_is_unknown_before_any_read(world: World) -> None:
    partition = world.partition()
    reader = world.log.reader()

    reader.assign({partition: 0})

    assert reader.position(partition) is None
    reader.close()


@pytest.mark.parametrize("position", [1, 6], ids=["below the start", "beyond the end"])
def test_a_position_that_is_not_in_the_log_is_lost(world: World, position: int) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 5)
    world.log.delete_records({partition: 2})
    reader = world.log.reader()
    reader.assign({partition: position})

    with pytest.raises(PositionLost) as lost:
        world.until(lambda: False, lambda: reader.read(10, 0.05))

    assert lost.value.where == partition
    reader.assign({partition: 2})
    world.until(lambda: reader.position(partition) == 5, lambda: reader.read(10, 0.05))
    reader.close()


def test_the_start_and_the_end_are_positions_to_read_at(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 5)
    world.log.delete_records({partition: 2})

    assert [record.offset for record in world.read(partition, 2)] == [2, 3, 4]
    assert world.read(partition, 5) == []


def test_the_key_decides_the_partition_as_in_java(world: World) -> None:
    topic = world.topic(7)
    keys = [b"", b"a", b"ab", b"abc", b"abcd", b"\xff\xfe\xfd", *(b"%d" % n for n in range(60))]
    writer, producer = world.log.writer(), world.producer()

    for key in keys:
        writer.produce(topic, b"w", key)
    writer.flush(CALL)
    producer.begin()
    for key in keys:
        producer.produce(topic, b"t", key)
    world.commit(producer)

    for number in range(7):
        for record in world.read(TopicPartition(topic, number)):
            assert record.key is not None
            assert murmur2_partition(record.key, 7) == number


def test_a_writer_is_told_where_its_records_stand(world: World) -> None:
    partition = world.partition()
    writer = world.log.writer()
    told: list[int] = []

    for _ in range(3):
        writer.produce(partition.topic, b"value", b"key", (), 0, told.append)
    writer.flush(CALL)

    assert told == [0, 1, 2]


def test_a_writer_says_that_a_topic_is_unknown(world: World) -> None:
    writer = world.log.writer()

    with pytest.raises(Refused):  # noqa: PT012 - either of the two tells
        writer.produce(world.name("nowhere"), b"value")
        world.repeat(lambda: writer.flush(CALL))


def test_a_writer_says_that_a_record_is_too_large_and_writes_on(world: World) -> None:
    partition = world.partition({"max.message.bytes": "2000"})
    writer = world.log.writer()

    with pytest.raises(Refused):  # noqa: PT012
        writer.produce(partition.topic, _incompressible(4_000), b"key", (), 0)
        world.repeat(lambda: writer.flush(CALL))

    writer.produce(partition.topic, b"small", b"key", (), 0)
    writer.flush(CALL)
    assert world.values(partition) == [b"small"]


def _incompressible(size: int) -> bytes:
    return bytes(number * number * 31 % 251 ^ number % 255 for number in range(size))

"""Contract: a record that the log does not take spoils its transaction and nothing else."""

import pytest

from pmstream.runtime.log import Producer, TopicPartition
from pmstream.runtime.log_errors import MustAbort
from tests.contract.world import World

_NOISE = bytes(number * number * 31 % 251 ^ number % 255 for number in range(5_000))


def _commit_with(
    world: World, producer: Producer, topic: str, value: bytes, key: bytes | None = b"key"
) -> None:
    """A transaction with one good record and this one; MustAbort may come from any call."""
    good = world.partition()
    producer.begin()
    with pytest.raises(MustAbort):  # noqa: PT012
        world.add(producer, good, [b"good"])
        producer.produce(topic, value, key)
        world.commit(producer)
    world.abort(producer)
    assert world.values(good) == []


def _still_works(world: World, producer: Producer, partition: TopicPartition) -> None:
    world.stage(producer, partition, [b"after"])
    world.commit(producer)
    world.until(lambda: b"after" in world.values(partition), lambda: None)


def test_a_record_too_large_must_abort_and_harms_nobody(world: World) -> None:
    partition = world.partition({"max.message.bytes": "2000"})
    producer, neighbour = world.producer(), world.producer()
    world.stage(neighbour, partition, [b"neighbour"])

    _commit_with(world, producer, partition.topic, _NOISE)

    world.commit(neighbour)
    _still_works(world, producer, partition)
    assert world.values(partition) == [b"neighbour", b"after"]


def test_an_unknown_topic_must_abort(world: World) -> None:
    producer = world.producer()

    _commit_with(world, producer, world.name("nowhere"), b"value")

    _still_works(world, producer, world.partition())


def test_a_compacted_topic_takes_no_record_without_a_key(world: World) -> None:
    partition = world.partition({"cleanup.policy": "compact"})
    producer = world.producer()

    _commit_with(world, producer, partition.topic, b"value", key=None)

    _still_works(world, producer, partition)


def test_a_partition_that_is_not_there_must_abort(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    producer.begin()

    with pytest.raises(MustAbort):  # noqa: PT012
        producer.produce(partition.topic, b"value", b"key", (), 5)
        world.commit(producer)

    world.abort(producer)
    _still_works(world, producer, partition)

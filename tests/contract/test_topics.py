"""Contract: making topics, their settings and identity, deleting records."""

import pytest

from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Refused
from tests.contract.world import World


def test_a_topic_is_made_as_specified(world: World) -> None:
    name = world.name("topic")
    config = {"cleanup.policy": "compact", "max.message.bytes": "5000"}

    world.log.create_topics([TopicSpec(name, 3, config)])

    topic = world.log.topics()[name]
    assert (topic.name, topic.partitions) == (name, 3)
    assert topic.id
    assert world.log.config(name).items() >= config.items()


def test_defaults_are_told_with_the_settings(world: World) -> None:
    config = world.log.config(world.topic())

    assert config["cleanup.policy"] == "delete"
    assert config["message.timestamp.type"] == "CreateTime"
    assert int(config["delete.retention.ms"]) > 0
    assert int(config["max.message.bytes"]) > 0


@pytest.mark.parametrize(
    ("partitions", "config"),
    [(0, {}), (1, {"no.such.setting": "1"})],
    ids=["no partitions", "unknown setting"],
)
def test_an_illegal_topic_is_refused(world: World, partitions: int, config: dict[str, str]) -> None:
    name = world.name("topic")

    with pytest.raises(Refused):
        world.log.create_topics([TopicSpec(name, partitions, config)])

    assert name not in world.log.topics()


def test_a_topic_that_exists_is_refused_and_the_others_are_made(world: World) -> None:
    old, new = world.topic(2), world.name("topic")

    with pytest.raises(Refused, match=old):
        world.log.create_topics([TopicSpec(old, 5), TopicSpec(new, 1)])

    world.until(lambda: new in world.log.topics(), lambda: None)
    assert world.log.topics()[old].partitions == 2


def test_a_topic_made_again_has_another_id(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"])
    first = world.log.topics()[partition.topic].id

    world.delete_topic(partition.topic)
    world.until(lambda: partition.topic not in world.log.topics(), lambda: None)
    world.log.create_topics([TopicSpec(partition.topic, 1)])

    assert world.log.topics()[partition.topic].id != first
    assert world.end(partition, stable=False) == 0


def test_settings_of_an_unknown_topic_are_refused(world: World) -> None:
    with pytest.raises(Refused):
        world.log.config(world.name("nowhere"))


def test_nothing_is_known_of_an_unknown_partition(world: World) -> None:
    nowhere = TopicPartition(world.name("nowhere"), 0)

    assert world.log.start(nowhere) is None
    assert world.log.end(nowhere, stable=True) is None
    assert world.log.end(nowhere, stable=False) is None


def test_log_append_time_is_the_brokers(world: World) -> None:
    partition = world.partition({"message.timestamp.type": "LogAppendTime"})
    before = world.clock.now()

    world.write(partition, [b"value"])

    (record,) = world.read(partition)
    assert before <= record.timestamp <= world.clock.now()


def test_an_offset_is_found_by_its_time(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"old"] * 2)
    world.clock.sleep(0.05)
    between = world.clock.now()
    world.clock.sleep(0.05)
    world.write(partition, [b"new"] * 2)

    assert world.log.offset_at(partition, 0) == 0
    assert world.log.offset_at(partition, between) == 2
    assert world.log.offset_at(partition, world.clock.now() + 60_000) == 4
    assert world.log.offset_at(TopicPartition(world.name("nowhere"), 0), 0) is None


def test_an_offset_is_found_by_its_time_above_what_was_deleted(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 4)

    world.log.delete_records({partition: 3})

    assert world.log.offset_at(partition, 0) == 3


def test_deleted_records_move_the_start(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"%d" % number for number in range(5)])
    assert world.log.start(partition) == 0

    world.log.delete_records({partition: 3})

    assert world.log.start(partition) == 3
    assert [record.offset for record in world.read(partition, 3)] == [3, 4]
    world.log.delete_records({partition: 1})
    assert world.log.start(partition) == 3


def test_all_records_can_be_deleted(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 5)

    world.log.delete_records({partition: 5})

    assert world.log.start(partition) == world.end(partition, stable=True) == 5
    world.write(partition, [b"next"])
    assert [record.offset for record in world.read(partition, 5)] == [5]


def test_records_beyond_the_end_cannot_be_deleted(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"])

    with pytest.raises(Refused):
        world.log.delete_records({partition: 5})

    assert world.log.start(partition) == 0


def test_a_topic_that_is_only_compacted_deletes_no_records(world: World) -> None:
    partition = world.partition({"cleanup.policy": "compact"})
    world.write(partition, [b"value"] * 5)

    with pytest.raises(Refused):
        world.log.delete_records({partition: 3})

    assert world.log.start(partition) == 0


def test_a_group_nobody_ever_used_has_no_members(world: World) -> None:
    assert world.log.members(world.name("group")) == []

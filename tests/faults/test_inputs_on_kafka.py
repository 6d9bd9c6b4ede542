"""On a real Kafka: inputs that fail, topics that changed, positions that are gone."""

from collections.abc import Iterator
from os import urandom
from pathlib import Path

import pytest

from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.devkafka import Cluster
from pmstream.errors import ConfigurationError, Stopped
from pmstream.runtime.log import Committed, TopicPartition, TopicSpec
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.sources import Note, dump_note
from tests.faults.kafka_kit import KafkaWorld
from tests.faults.kit import expected, in_condition, partitions_of
from tests.runtime.world import Happened


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka.bootstrap_servers, tmp_path)
    made.start_all()
    yield made
    made.close()


def heal(world: KafkaWorld) -> None:
    world.manager.healed = True


def append(world: KafkaWorld, event: Happened, partition: int) -> None:
    writer = world.log.writer()  # the world's may not know of the partition yet
    value = world.codec.encode_event(world.source, event)
    writer.produce(world.source, value, b"k", (), partition=partition)
    writer.flush(10)


def test_f24_k_different_counts_of_inbox_and_changelog_are_refused(world: KafkaWorld) -> None:
    world.grow(world.names.changelog, 3)
    with pytest.raises(ConfigurationError, match=r"has 2 partitions but .* has 3"):
        world.start(INSTANCES, "another")


def test_f24_k_a_source_that_grows_works(kafka: Cluster, tmp_path: Path) -> None:
    """A member hears of it when its client next asks for metadata: 5 minutes by default."""
    soon = {"topic.metadata.refresh.interval.ms": "1000"}
    world = KafkaWorld(kafka.bootstrap_servers, tmp_path, options={"properties": soon})
    world.start_all()
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == expected(1))
    world.grow(world.source, 3)
    append(world, Happened(process="b", what="go", n=7), 2)
    world.count("a", [1])
    world.settle(lambda: world.counts("b") == [(7, 1)] and world.counts("a") == expected(2))
    world.close()


def test_f38_k_a_key_in_a_wrong_partition_stops_and_names_both(world: KafkaWorld) -> None:
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == expected(1))
    (record,) = world.read(world.names.inbox)
    writer = world.writer
    wrong = (record.partition + 1) % 2
    writer.produce(world.names.inbox, record.value, record.key, record.headers, partition=wrong)
    writer.flush(10)
    with pytest.raises(Stopped, match=r"murmur2.*another partitioner or partition count"):
        world.settle(lambda: False)


def test_f39_k_poison_is_a_dead_letter_and_its_neighbours_are_out(world: KafkaWorld) -> None:
    writer = world.writer
    world.count("a", [0])
    writer.produce(world.source, b"\xc3\x01poison", b"k", (), partition=0)
    writer.flush(10)
    world.count("a", [1])
    world.settle(lambda: world.counts("a") == expected(2))
    assert [each.value for each in world.read(world.names.dead_letters)] == [b"\xc3\x01poison"]


def test_f39_k_an_oversize_command_stops_clearly_and_its_neighbours_are_out(
    world: KafkaWorld,
) -> None:
    """The broker takes less than `max_message_bytes` says: no check of ours sees it coming."""
    big = urandom(120).hex()  # does not compress to nothing
    world.count("a", range(5))
    world.settle(lambda: world.counts("a") == expected(5))
    world.alter(world.target, "max.message.bytes", "200")
    world.count(big, [0])
    with pytest.raises(Stopped, match="refused 3 times"):
        world.settle(lambda: False)
    assert world.counts("a") == expected(5)
    assert all(big.encode() not in (each.key or b"") for each in world.read(world.target))


def test_f39_k_an_unknown_command_topic_stops_clearly(world: KafkaWorld) -> None:
    world.settle()
    world.delete_topic(world.target)
    world.count("a", range(3))
    with pytest.raises(Stopped, match="refused 3 times"):
        world.settle(lambda: False)
    assert world.changelog() == {}


def test_f40_k_one_that_retries_and_one_that_is_parked_hold_up_nobody_else(
    world: KafkaWorld,
) -> None:
    world.manager.retry_delay = 3600
    world.count("a", [0], what="retry")
    world.count("p", [0], what="park")
    for n in range(1, 3):
        world.count("a", [n])
        world.count("p", [n])
    neighbours = [f"n{number}" for number in range(500)]
    world.produce(*(Happened(process=each, what="go", n=0) for each in neighbours))
    world.settle(lambda: len(world.commands()) == len(neighbours))
    assert in_condition(world, "a") is Condition.RETRYING
    assert in_condition(world, "p") is Condition.PARKED


def test_f40_k_a_retry_comes_back_by_itself_and_keeps_the_order(world: KafkaWorld) -> None:
    world.manager.retry_delay = 1
    world.count("a", [0], what="retry")
    world.count("a", range(1, 4))
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    heal(world)
    world.settle(lambda: world.counts("a") == expected(4))
    world.settle()
    assert world.stores() == world.changelog()


def test_f45_k_a_topic_made_anew_is_refused(world: KafkaWorld) -> None:
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == expected(1))
    world.workers.pop("router-0").close()
    world.delete_topic(world.source)
    world.log.create_topics([TopicSpec(world.source, 2)])
    world.count("a", [0])
    note = dump_note(Note("x", "old id"))
    group = world.names.group(ROUTER)
    world.settle(lambda: not world.log.members(group))
    world.log.set_positions(group, {TopicPartition(world.source, 0): Committed(0, note)})
    world.start(ROUTER, "router-1")
    with pytest.raises(Stopped, match="belongs to an earlier topic"):
        world.settle(lambda: False)


def test_f45_k_a_router_without_positions_is_refused_with_the_remedy(
    kafka: Cluster, tmp_path: Path
) -> None:
    class Unset(KafkaWorld):
        def start_at_origin(self) -> None:
            """Nobody ran `topics ensure`, or its positions have expired."""

    world = Unset(kafka.bootstrap_servers, tmp_path)
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match=r"topics ensure.*its positions have expired"):
        world.settle(lambda: False)
    world.close()


def test_f46_k_a_full_backlog_pauses_the_partition_and_lets_it_go_again(
    kafka: Cluster, tmp_path: Path
) -> None:
    world = KafkaWorld(kafka.bootstrap_servers, tmp_path, 1, manager={"backlog_limit": 5})
    world.start_all()
    world.manager.retry_delay = 2
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
    assert partitions_of(world)[0].blocked == "a"
    heal(world)
    world.settle(lambda: world.counts("a") == expected(20) and world.counts("b") == expected(3))
    world.close()

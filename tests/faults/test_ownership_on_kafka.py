"""Partitions on a real Kafka: counts, pauses, partitioners, sources made again, full disks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster
from pmstream.errors import Busy, ConfigurationError, Stopped
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.store import Caches, Store, StoreFailed
from tests.contract.world import Member
from tests.faults.kafka_kit import KafkaWorld, wait_until
from tests.faults.kit import PROCESSES, expected, feed, fill, partitions_of
from tests.faults.test_store import small_disk
from tests.runtime.world import Happened

__all__ = ["small_disk"]


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[KafkaWorld]:
    """Topics, and nobody works; metadata is looked at often, backlogs are small."""
    options = {"properties": {"topic.metadata.refresh.interval.ms": "500"}}
    made = KafkaWorld(
        kafka.bootstrap_servers, tmp_path, 2, options, {"backlog_limit": 5}, max_batch_records=5
    )
    yield made
    made.close()


def test_f13_k_a_store_that_is_held_is_a_clear_error(world: KafkaWorld) -> None:
    """Static membership: what is held is not given to anybody else, and runs when it is free."""
    world.start_all()
    feed(world, 0, 3)
    world.finish(3)
    held = partitions_of(world)[0].store.path
    world.workers.pop("w-0").close()
    store = Store(held, "topic", Caches(1 << 20))
    world.start(INSTANCES, "w-0")
    with pytest.raises(Busy, match="in use by another process"):
        world.settle(lambda: False)
    world.workers.pop("w-0").close()
    store.close()
    world.start(INSTANCES, "w-0")
    feed(world, 3, 5)
    world.finish(5)


def test_f24_k_a_changelog_of_another_count_is_refused_with_the_numbers(world: KafkaWorld) -> None:
    world.grow(world.names.changelog, 4)
    wait_until(lambda: world.log.topics()[world.names.changelog].partitions == 4)
    with pytest.raises(ConfigurationError, match=r"has 2 partitions but .* has 4"):
        world.start(INSTANCES, "w-0")


def add_partition_and_write(world: KafkaWorld) -> None:
    world.grow(world.source, 3)
    wait_until(lambda: world.log.topics()[world.source].partitions == 3)
    value = world.codec.encode_event(world.source, Happened(process="new", what="go", n=7))
    writer = world.log.writer()  # the world's does not know of the partition yet
    writer.produce(world.source, value, b"k", (), partition=2)
    writer.flush(10)


def test_f24_k_a_source_that_grows_is_read_from_its_beginning(world: KafkaWorld) -> None:
    world.start_all()
    feed(world, 0, 2)
    add_partition_and_write(world)
    world.settle(lambda: world.counts("new") == [(7, 1)])
    world.finish(2)


def test_f28_k_a_paused_partition_that_comes_back_runs_at_its_position(
    kafka: Cluster, tmp_path: Path
) -> None:
    """KIP-848: dynamic members, so that partitions move at once."""
    world = KafkaWorld(
        kafka.bootstrap_servers,
        tmp_path,
        options={"group_protocol": "consumer"},
        manager={"backlog_limit": 5},
    )
    world.manager.retry_delay = 2
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    world.start_all()
    for joins, leaves in (("w-1", "w-0"), ("w-0", "w-1")):
        since = len(world.told)
        world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
        world.start(INSTANCES, joins)
        consumer = world.workers[joins]._consumer
        world.settle(lambda at=consumer: at.membership() is not None)  # type: ignore[misc]
        world.workers.pop(leaves).close()
        world.settle(lambda at=since: running(world, at) >= {0, 1})  # type: ignore[misc]
    world.manager.healed = True
    world.settle(lambda: world.counts("a") == expected(20))
    world.settle()
    assert world.counts("b") == expected(3)
    assert world.stores() == world.changelog()
    world.close()


def running(world: KafkaWorld, since: int) -> set[int]:
    return {part for what, part, _ in world.told[since:] if what == "running"}


def test_f29_k_pause_and_resume_with_prefetched_records(world: KafkaWorld) -> None:
    place = TopicPartition(world.source, 0)
    world.count("a", range(500))
    member = Member(world.log.consumer(f"{world.app_name}-pausing"), [world.source], start=True)
    wait_until(lambda: len(member.records) >= 7, lambda: member.gather(7))
    while len(member.records) < 500:
        member.consumer.pause([place])
        before = len(member.records)
        member.gather(100)
        assert len(member.records) == before
        member.consumer.resume([place])
        wait_until(lambda at=before: len(member.records) > at, lambda: member.gather(60))  # type: ignore[misc]
    member.consumer.close()
    assert member.offsets(place) == list(range(500))


def test_f38_k_a_key_in_a_wrong_partition_stops_and_names_both(world: KafkaWorld) -> None:
    world.start_all()
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == expected(1))
    (record,) = world.read(world.names.inbox)
    writer = world.writer
    wrong = (record.partition + 1) % 2
    writer.produce(world.names.inbox, record.value, record.key, record.headers, partition=wrong)
    writer.flush(10)
    with pytest.raises(Stopped, match=r"murmur2.*another partitioner or partition count"):
        world.settle(lambda: False)


def test_f40_k_a_retry_holds_up_nobody_else(world: KafkaWorld) -> None:
    world.manager.retry_delay = 2
    world.count("a", [0], what="retry")
    world.count("a", range(1, 4))
    world.produce(*(Happened(process=f"n{n}", what="go", n=0) for n in range(100)))
    world.start_all()
    world.settle(lambda: len(world.commands()) == 100)
    assert world.counts("a") == []
    world.manager.healed = True
    world.settle(lambda: world.counts("a") == expected(4))


def test_f46_k_a_full_backlog_pauses_the_partition_and_lets_it_go_again(world: KafkaWorld) -> None:
    world.manager.retry_delay = 3
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    world.count("c", range(3))
    world.start_all()
    world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
    world.manager.healed = True
    world.settle(lambda: world.counts("a") == expected(20))
    world.settle()
    assert [world.counts(each) for each in "bc"] == [expected(3)] * 2


def test_f45_k_a_source_made_again_is_refused(world: KafkaWorld) -> None:
    world.start_all()
    feed(world, 0, 2)
    world.finish(2)
    world.workers.pop("router-0").close()
    world.delete_topic(world.source)
    world.log.create_topics([TopicSpec(world.source, 2)])
    feed(world, 2, 3)
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match=r"belongs to an earlier topic|topics ensure"):
        world.settle(lambda: False)
    assert [world.counts(each) for each in PROCESSES] == [expected(2)] * 3


def test_f45_k_a_router_whose_positions_expired_is_refused(world: KafkaWorld) -> None:
    group = world.names.group(ROUTER)
    world.admin.delete_consumer_groups([group])[group].result(10)
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match="topics ensure"):
        world.settle(lambda: False)


def test_f45_k_a_partition_that_appears_later_starts_at_its_beginning(world: KafkaWorld) -> None:
    """Written before anybody knew of it."""
    add_partition_and_write(world)
    world.start_all()
    world.settle(lambda: world.counts("new") == [(7, 1)])


def test_f41_k_a_full_disk_stops_clearly_and_goes_on_with_space(
    world: KafkaWorld, small_disk: Path
) -> None:
    update = {"state_dir": small_disk, "store_flush_interval_s": 0.1}
    world.settings = world.settings.model_copy(update=update)
    world.start_all()
    feed(world, 0, 3)
    world.finish(3)
    filler = small_disk / "filler"
    fill(filler)
    feed(world, 3, 6)
    with pytest.raises(StoreFailed, match="check space and permissions"):
        world.settle(lambda: False)
    world.workers.pop("w-0").close()
    filler.unlink()
    world.start(INSTANCES, "w-0")
    feed(world, 6, 8)
    world.finish(8)

"""Restores on a real Kafka: open transactions, compaction, moved watermarks, tiny buffers."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster
from pmstream.errors import Stopped
from pmstream.runtime.log import Committed
from pmstream.runtime.roles import INSTANCES
from tests.faults.kafka_kit import KafkaWorld, wait_until
from tests.faults.kit import PROCESSES, Snapshot, feed, go_on, is_done, places, restored, warmed
from tests.runtime.kill import Killed, kill_at

TRANSACTION_SECONDS = 400
"""Until the broker ends a transaction: nothing here may have to wait for that."""


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[KafkaWorld]:
    options = {"transaction_timeout_ms": TRANSACTION_SECONDS * 1000}
    made = KafkaWorld(kafka.bootstrap_servers, tmp_path, options=options, max_batch_records=5)
    warmed(made)
    yield made
    made.close()


def test_f1_k_a_restore_ends_a_dead_owners_transaction(world: KafkaWorld) -> None:
    """Killed after send-offsets, on the same machine's name and on another disk."""
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-0", kill_at("commit", 1))
    feed(world, 10, 11)
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("w-0")
    before = time.monotonic()
    go_on(world, "w-1", 11, 12)
    assert time.monotonic() - before < TRANSACTION_SECONDS / 2, "it waited for the broker"


def test_f3_k_an_aborted_end_does_not_stop_a_restore(world: KafkaWorld) -> None:
    for place in places(world, world.names.changelog):
        producer = world.log.producer(f"{world.app_name}-somebody")
        producer.begin()
        producer.produce(place.topic, b"x", b"iaborted", (), place.partition)
        producer.flush(5)
        producer.abort(5)
        producer.drop()
    world.crash("w-0")
    world.settings = world.settings.model_copy(update={"state_dir": world.directory / "empty"})
    go_on(world, "w-0")
    assert restored(world) > 0


def truncate_to_the_latest_states(world: KafkaWorld) -> None:
    """Lets each changelog begin where the last state of the first-touched instance stands."""
    retained = {}
    changelog = world.read(world.names.changelog)
    for place in places(world, world.names.changelog):
        latest = {each.key: each.offset for each in changelog if each.partition == place.partition}
        retained[place] = min(latest.values(), default=0)
    world.alter(world.names.changelog, "cleanup.policy", "compact,delete")
    world.log.delete_records(retained)
    world.alter(world.names.changelog, "cleanup.policy", "compact")


def test_f5_k_an_empty_disk_and_a_low_watermark_that_moves_meanwhile(world: KafkaWorld) -> None:
    world.crash("w-0")
    world.settings = world.settings.model_copy(update={"state_dir": world.directory / "empty"})
    world.start(INSTANCES, "w-0")
    world.turn(2)
    truncate_to_the_latest_states(world)
    feed(world, 10, 12)
    world.finish(12)


def test_f7_k_a_checkpoint_below_the_changelogs_start_begins_anew(world: KafkaWorld) -> None:
    world.workers.pop("w-0").close()
    old = Snapshot(world)
    world.start(INSTANCES, "w-0")
    feed(world, 10, 13)
    world.settle(lambda: is_done(world, 13))
    world.workers.pop("w-0").close()
    old.restore()
    truncate_to_the_latest_states(world)
    world.told.clear()
    go_on(world, "w-0", 13, 15)
    assert [text for what, _, text in world.told if what == "store emptied"]


def test_f33_k_tiny_client_buffers_restore_without_a_deadlock(
    kafka: Cluster, tmp_path: Path
) -> None:
    tiny = {
        "queued.min.messages": "1",
        "queued.max.messages.kbytes": "1",
        "fetch.message.max.bytes": "1000",
        "queue.buffering.max.messages": "50",
    }
    world = KafkaWorld(
        kafka.bootstrap_servers, tmp_path, 4, {"properties": tiny}, max_batch_records=10
    )
    warmed(world)
    world.crash("w-0")
    world.settings = world.settings.model_copy(update={"state_dir": tmp_path / "empty"})
    go_on(world, "w-0", 10, 13)
    assert restored(world) > 0
    world.close()


def test_f36_k_expired_positions_come_back_from_the_commit_record(world: KafkaWorld) -> None:
    group = world.names.group(INSTANCES)
    world.crash("w-0")
    wait_until(lambda: not world.log.members(group))  # a group with members keeps its positions
    world.admin.delete_consumer_groups([group])[group].result(10)
    assert world.log.last_committed(group, places(world, world.names.inbox)) == {}
    go_on(world, "w-0", 10, 12)


def test_f37_k_positions_moved_from_outside_are_refused(world: KafkaWorld) -> None:
    group = world.names.group(INSTANCES)
    world.crash("w-0")
    wait_until(lambda: not world.log.members(group))
    world.log.set_positions(group, dict.fromkeys(places(world, world.names.inbox), Committed(0)))
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="positions were moved from outside"):
        world.settle(lambda: False)


def test_f25_k_a_position_no_longer_retained_stops_and_keeps_the_state(world: KafkaWorld) -> None:
    world.crash("w-0")
    feed(world, 10, 11)
    world.settle(lambda: len(world.read(world.names.inbox)) == 11 * len(PROCESSES))
    ends = {
        each: world.log.end(each, stable=True) or 0 for each in places(world, world.names.inbox)
    }
    world.log.delete_records(ends)
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="no longer retained"):
        world.settle(lambda: False)
    check_nothing_ran(world)


def check_nothing_ran(world: KafkaWorld) -> None:
    world.workers.pop("w-0").close()
    assert world.counts("a") == [(n, n + 1) for n in range(10)]

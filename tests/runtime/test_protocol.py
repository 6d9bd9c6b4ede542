"""What of the protocol shows in no outcome of a small world, and is looked at directly.

Each of these was a planted bug (`just mutations`) that no other test caught for certain.
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pmstream.runtime.changelog import COMMIT_KEY, load_commit
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.kafka_consumer import KafkaConsumer
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import OffsetPending
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.restore import Restore, Verdict
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.store import Caches, Store
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path / "workers", clock, partitions=1, max_batch_records=1)
    made.start_all()
    yield made
    made.close()


def test_when_the_offsets_are_sent_the_owner_can_be_read_in_the_changelog(world: World) -> None:
    """Then a pending offset never has an unknown owner (protocol §2.4, §4)."""
    changelog = TopicPartition(world.names.changelog, 0)
    owners: list[str] = []

    def probe(step: str) -> None:
        if step == "offsets":
            reader = world.log.reader(committed=False)
            reader.assign({changelog: world.log.end(changelog, stable=True) or 0})
            open_now = reader.read(100, 0.0)
            owners.append(load_commit(open_now[-1].value).owner if open_now else "nobody")
            assert [each.key for each in open_now].count(COMMIT_KEY) == 1

    world.workers.pop("w-0").close()
    worker = world.start(INSTANCES, "w-0", probe)
    world.count("a", range(3))
    world.settle()
    assert owners == [worker._id] * 3


def test_the_restores_target_is_taken_after_the_position_is_known(
    world: World, tmp_path: Path
) -> None:
    """An end taken before could lie below the record that the position names (protocol §3.4)."""
    source = TopicPartition(world.names.inbox, 0)
    changelog = TopicPartition(world.names.changelog, 0)
    log, store = world.log, Store(tmp_path / "restored", "identity", Caches())
    consumer, reader = log.consumer(world.names.group(INSTANCES), "somebody"), log.reader()
    restore = Restore(source, changelog, store, world.clock, 86_400_000, 60_000)
    world.count("a", range(3))
    world.settle()

    assert isinstance(log, MemoryLog)
    log.inject("committed", OffsetPending("an owner commits"), who="somebody")
    assert restore.turn(consumer, log, None) is Verdict.GOING_ON
    world.count("a", range(3, 6))
    world.settle()

    reader.assign({changelog: 0})
    while restore.turn(consumer, log, reader.position(changelog)) is not Verdict.DONE:
        assert restore._odd_since is None, "the target was too low"
        if restore.reading:
            restore.apply(reader.read(1, 0.0))
    group = world.names.group(INSTANCES)
    assert restore.position == log.last_committed(group, [source])[source].position
    reader.close()
    store.close()


@pytest.mark.parametrize(
    ("generation", "member", "counts"),
    [(7, "member-1", True), (7, "", False), (-1, "member-1", False), (-1, "", False)],
)
def test_a_membership_that_the_broker_would_not_fence_is_none(
    monkeypatch: pytest.MonkeyPatch, generation: int, member: str, counts: bool
) -> None:
    """After a lost session the member id is empty and the generation unchanged (protocol F4)."""
    token = b"CGMDv2:" + struct.pack("=i", generation) + f"g\0{member}\0\0".encode()
    consumer = KafkaConsumer({"group.id": "g", "bootstrap.servers": "127.0.0.1:1"}, "w-0")
    consumer.close()
    client = SimpleNamespace(consumer_group_metadata=lambda: token)
    monkeypatch.setattr(consumer, "_client", client)
    monkeypatch.setattr(consumer, "_told", (generation, member))
    membership = consumer.membership()
    assert (membership is not None) is counts
    if membership is not None:
        assert membership.generation == generation


def test_what_is_staged_is_not_purged_however_old(tmp_path: Path) -> None:
    """The timer of the purge comes while a batch grows: it may still abort (protocol §6)."""
    clock = VirtualClock()
    world = World(MemoryLog(clock), tmp_path, clock, partitions=1, inbox_retention_hours=1)
    world.start(ROUTER, "router-0")
    world.count("a", range(5))
    world.settle()
    clock.advance(7_200)
    worker = world.start(INSTANCES, "w-0")
    while not worker.stage.load().staged:
        worker.turn()
    assert isinstance(worker.stage, InstancesStage)
    for owned in worker.stage._owned.values():
        owned.purge_at = 0.0
    worker.stage.catch_up(worker._consumer)
    assert worker.stage.load().staged == 5
    assert world.log.start(TopicPartition(world.names.inbox, 0)) == 0
    world.close()


def test_who_is_expelled_drops_all_at_once(world: World) -> None:
    """`lost` comes with a later gather only, and handlers would run for nothing until then."""
    world.settle()
    stage = world.workers["w-0"].stage
    assert isinstance(stage, InstancesStage)
    assert stage.partitions
    assert isinstance(world.log, MemoryLog)
    world.log.expel(world.names.group(INSTANCES), "w-0")
    world.turn()
    assert stage.partitions == []


def test_a_worker_that_starts_again_ends_its_own_leftovers_at_once(world: World) -> None:
    """Because its transactional id is the same (protocol §4); nobody has to find its owner."""
    changelog = TopicPartition(world.names.changelog, 0)
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-0", kill_at("commit", 1))
    world.count("a", [0])
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("w-0")
    end = world.log.end(changelog, stable=False)
    assert world.log.end(changelog, stable=True) != end
    world.start(INSTANCES, "w-0")
    end = world.log.end(changelog, stable=False)
    assert world.log.end(changelog, stable=True) == end

"""A worker's decoded instances share one room, however many partitions it owns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pmstream.core.engine import Outcome, Step
from pmstream.core.instance import Instance, Status, dump_instance
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.overlay import Overlay, Room
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.store import Caches, Store
from tests.runtime.world import World

INSTANCE = Instance(status=Status.RUNNING, state=b"x" * 100)
ONE = 3 * len(dump_instance(INSTANCE)) + 500

Make = Callable[[Room], Overlay]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    store = Store(tmp_path / "0", "topic", Caches(1 << 20))
    yield lambda room: Overlay(store, room)
    store.close()


def touch(overlay: Overlay, count: int) -> None:
    """A batch of so many new instances is committed."""
    for number in range(count):
        overlay.put(f"i{number}", Step(instance=INSTANCE, outcome=Outcome.HANDLED))
    overlay.publish(overlay.changes(), 0)


def test_as_many_instances_stay_decoded_as_there_is_room_for(make: Make) -> None:
    overlay = make(Room(10 * ONE))

    touch(overlay, 30)

    assert overlay.cached == 10


def test_two_partitions_have_half_of_the_room_each(make: Make) -> None:
    room = Room(10 * ONE)
    room.parts = 2
    one, other = make(room), make(room)

    touch(one, 30)
    touch(other, 30)

    assert (one.cached, other.cached) == (5, 5)


def test_who_rests_makes_room_for_a_partition_that_came(make: Make) -> None:
    room = Room(10 * ONE)
    overlay = make(room)
    touch(overlay, 30)

    room.parts = 5
    overlay.drop_idle(0)

    assert overlay.cached == 2


def test_a_worker_divides_its_room_by_the_partitions_that_it_owns(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = MemoryLog(clock)
    world = World(log, tmp_path, clock, partitions=4)
    shares = []
    for name in ("w-0", "w-1"):
        worker = world.start(INSTANCES, name)
        world.settle()
        assert isinstance(worker.stage, InstancesStage)
        shares.append(worker.stage._room.share)
    first = world.workers["w-0"].stage
    assert isinstance(first, InstancesStage)

    whole = world.settings.cache_bytes
    assert shares == [whole // 4, whole // 2]
    assert first._room.share == whole // 2
    world.close()

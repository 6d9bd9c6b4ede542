"""A changelog is told by how much it holds, and copied by another hash, byte for byte."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.app import Names
from pmstream.core.lifecycle import Condition
from pmstream.errors import Stopped
from pmstream.operate.contents import Looked, look
from pmstream.operate.copying import Copy
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from tests.runtime import clocked
from tests.runtime.world import World

TARGET = "target"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Instances of all conditions, over four partitions."""
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, 4, clocked.make_app(completed_for=600))
    made.start_all()
    populate(made)
    yield made
    made.close()


def populate(world: World) -> None:
    for n in range(40):
        what = ("go", "timer", "park", "retry", "early")[n % 5]
        world.count(f"{what}-{n}", [1], what=what)
        world.count(f"{what}-{n}", [2, 3])
    for n in range(8):
        world.count(f"ended-{n}", [1, 2])
        world.count(f"ended-{n}", [3], what="stop")
    world.settle()


def told(world: World, topic: str) -> tuple[Looked, int]:
    steps: list[int] = []
    found = look(world.log, world.log.topics()[topic], steps.append)
    return found, sum(steps)


def test_a_look_counts_what_is_there(world: World) -> None:
    found, steps = told(world, world.names.changelog)

    folded = world.changelog()
    assert found.contents.instances == sum(key[:1] == b"i" for key in folded) == 48
    assert found.contents.entries == sum(key[:1] == b"q" for key in folded) > 0
    assert found.contents.size == sum(len(key) + len(value) for key, value in folded.items())
    assert sum(found.conditions.values()) == 48
    assert {Condition.PARKED, Condition.RETRYING, Condition.COMPLETED} <= set(found.conditions)
    assert set(found.commits) == {0, 1, 2, 3}
    assert steps == sum(found.ends.values())


@pytest.mark.parametrize("partitions", [1, 3, 6])
def test_a_copy_has_equal_contents_each_where_it_belongs(world: World, partitions: int) -> None:
    world.log.create_topics([TopicSpec(TARGET, partitions, {"cleanup.policy": "compact"})])

    copied = copy(world)

    before, after = told(world, world.names.changelog)[0], told(world, TARGET)[0]
    assert after.contents == before.contents
    assert copied == before.contents.instances + before.contents.entries
    assert after.commits == {}
    for record in world.read(TARGET):
        uuid = (record.key or b"")[1:].partition(b"\0")[0]
        assert record.partition == murmur2_partition(uuid, partitions)
        assert world.changelog()[record.key or b""] == record.value


def copy(world: World) -> int:
    existing = world.log.topics()
    producer = world.log.producer("copy")
    try:
        old, new = existing[world.names.changelog], existing[TARGET]
        return Copy(world.log, old, new, "copy", producer).run(lambda _: None)
    finally:
        producer.drop()


def test_a_copy_that_is_done_copies_nothing_again(world: World) -> None:
    world.log.create_topics([TopicSpec(TARGET, 3)])
    copy(world)
    before = len(world.read(TARGET))

    assert copy(world) == 0
    assert len(world.read(TARGET)) == before


def test_a_byte_that_differs_shows(world: World) -> None:
    world.log.create_topics([TopicSpec(TARGET, 4)])
    copy(world)
    record = next(each for each in world.read(TARGET) if each.key == b"igo-0")
    other = (record.value or b"").replace(b"count\x03", b"count\x04")
    assert other != record.value
    writer = world.log.writer()
    writer.produce(TARGET, other, record.key, (), record.partition)
    writer.flush(1)

    before, after = told(world, world.names.changelog)[0], told(world, TARGET)[0]

    assert before.contents.instances == after.contents.instances
    assert before.contents.checksum != after.contents.checksum


@pytest.mark.parametrize("key", [b"x?", b"i"])
def test_a_record_that_is_none_of_ours_is_not_left_out_quietly(world: World, key: bytes) -> None:
    writer = world.log.writer()
    writer.produce(world.names.changelog, b"?", key, (), 0)
    writer.flush(1)

    with pytest.raises(Stopped, match="which this version of pmstream does not know"):
        told(world, world.names.changelog)


def test_a_process_in_a_wrong_partition_is_told(world: World) -> None:
    names: Names = world.names
    number = (murmur2_partition(b"lost", 4) + 1) % 4
    writer = world.log.writer()
    writer.produce(names.changelog, b"?", b"ilost", (), number)
    writer.flush(1)

    with pytest.raises(Stopped, match="process 'lost', which belongs into partition"):
        told(world, names.changelog)

"""Steps that fault tests take in any world, on any log."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from pmstream.core.instance import (
    Instance,
    load_instance,
)
from pmstream.core.lifecycle import (
    Condition,
    condition,
)
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.partition import Partition
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.store import instance_key
from tests.runtime.world import Happened, World

PROCESSES = ("a", "b", "c")

SOAK = os.environ.get("PMSTREAM_TEST_SOAK") == "1"

soak = [
    pytest.mark.slow,
    pytest.mark.skipif(not SOAK, reason="takes minutes: `just soak` runs it"),
    pytest.mark.timeout(1_800),
]
"""Marks of a fault's long form; a short one runs always."""


def expected(last: int) -> list[tuple[int, int]]:
    """What `World.counts` answers after the events 0 up to `last`."""
    return [(n, n + 1) for n in range(last)]


def feed(world: World, first: int, last: int) -> None:
    """Produces the events from `first` up to `last` of each process."""
    world.produce(
        *(Happened(process=each, what="go", n=n) for n in range(first, last) for each in PROCESSES)
    )


def warmed(world: World) -> World:
    """Starts a router and an instances worker, and lets them handle ten events a process."""
    world.start_all()
    feed(world, 0, 10)
    world.settle(lambda: is_done(world, 10))
    world.settle()
    return world


def is_done(world: World, last: int) -> bool:
    """Whether every process has had its events up to `last`, each once and in order."""
    counts: dict[str, list[tuple[int, int]]] = {}
    for each in world.commands():
        counts.setdefault(each.process, []).append((each.n, each.count))
    return all(counts.get(each) == expected(last) for each in PROCESSES)


def check(world: World, last: int) -> None:
    """Nothing wrong is visible."""
    for process in PROCESSES:
        assert world.counts(process) == expected(last), process
    assert world.stores() == world.changelog()


def go_on(world: World, name: str, first: int = 10, last: int = 20) -> None:
    """Starts an instances worker, feeds it, and checks everything."""
    world.start(INSTANCES, name)
    feed(world, first, last)
    world.settle(lambda: is_done(world, last))
    world.settle()
    check(world, last)


def restored(world: World) -> int:
    """Changelog records read by the latest restore of each partition."""
    latest = {part: text for what, part, text in world.told if what == "running"}
    return sum(int(text.split()[0]) for text in latest.values())


def stage_of(world: World, name: str = "w-0") -> InstancesStage:
    """The stage of an instances worker."""
    stage = world.workers[name].stage
    assert isinstance(stage, InstancesStage)
    return stage


def partitions_of(world: World, name: str = "w-0") -> list[Partition]:
    """Its partitions that run."""
    return stage_of(world, name).partitions


def places(world: World, topic: str) -> list[TopicPartition]:
    """The partitions of the inbox or the changelog."""
    return [TopicPartition(topic, number) for number in range(world.partitions)]


def instance(world: World, process: str) -> Instance | None:
    """The instance as the changelog has it."""
    record = world.changelog().get(instance_key(process))
    return load_instance(record) if record is not None else None


def in_condition(world: World, process: str) -> Condition:
    """What the instance is doing."""
    return condition(instance(world, process))


def fill(path: Path) -> None:
    """Writes a file until the disk is full."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(file, bytes(1 << 12))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(file)


class Snapshot:
    """A worker's disk as it was once: `restore` puts it back, as a snapshot of a volume does."""

    def __init__(self, world: World, name: str = "w-0") -> None:
        names = world.names
        self._folder = world.settings.state_dir / names.app / names.process_manager / name
        self._copy = Path(f"{world.settings.state_dir}-copy-of-{name}")
        shutil.copytree(self._folder, self._copy)

    def restore(self) -> None:
        """Puts the old disk in place of today's."""
        shutil.rmtree(self._folder)
        shutil.copytree(self._copy, self._folder)

"""A world with instances of every condition, whose partitions are to change."""

from typing import Any

from pmstream.core.instance import load_instance
from pmstream.core.lifecycle import Condition, condition
from pmstream.operate import repartition
from pmstream.operate.repartition import Done, Plan
from pmstream.runtime.generations import live
from pmstream.runtime.log import Committed, Log, TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROUTER
from pmstream.runtime.sources import Note, dump_note
from pmstream.runtime.store import INSTANCE
from pmstream.testing.killed import Killed
from tests.faults.kit import in_condition
from tests.runtime.world import World

KINDS = ("go", "timer", "park", "retry", "early")
"""What the first event of a process says; two more follow each."""

SESSION_SECONDS = 11


def uuids(kind: str, count: int) -> list[str]:
    """Processes of a kind."""
    return [f"{kind}-{n}" for n in range(count)]


def populate(world: World, each: int = 8) -> None:
    """Instances that run, wait for a timer, are parked, retry, are held, and have ended."""
    for kind in KINDS:
        for process in uuids(kind, each):
            world.count(process, [1], what=kind)
            world.count(process, [2, 3] if kind != "early" else [])
    for process in uuids("ended", each):
        world.count(process, [1, 2])
        world.count(process, [3], what="stop")


def stop(world: World) -> None:
    """Ends all workers politely; a static member is one until its session ends."""
    world.close()
    world.clock.sleep(SESSION_SECONDS)


def quietly(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody reads."""


def planned(world: World, partitions: int, log: Log | None = None) -> Plan:
    return repartition.plan(log or world.log, world.app, "counter", partitions, quietly)


def repartitioned(world: World, partitions: int, log: Log | None = None) -> Done:
    """The whole command; the world's names follow."""
    plan = planned(world, partitions, log)
    settings = world.settings
    made = repartition.carry_out(log or world.log, world.app, plan, settings, world.clock, quietly)
    follow(world)
    return made


def follow(world: World) -> None:
    """The world looks at the generation that is live."""
    world.names = live(world.log, world.app.name, "counter")
    world.partitions = world.log.topics()[world.names.inbox].partitions


def redeliver(world: World, position: int = 0) -> None:
    """What `replay --from` does: the routers stand there again."""
    again = Committed(position, dump_note(Note("ensure", world.log.topics()[world.source].id)))
    world.log.set_positions(world.names.group(ROUTER), {TopicPartition(world.source, 0): again})


def standing(world: World, names: list[str]) -> dict[str, Condition]:
    return {each: in_condition(world, each) for each in names}


def conditions(world: World) -> dict[str, set[Condition]]:
    """Each kind of process, and where in LIFECYCLE those of it stand."""
    found: dict[str, set[Condition]] = {}
    for key, value in world.changelog().items():
        if key[:1] == INSTANCE:
            kind = key[1:].decode().partition("-")[0]
            found.setdefault(kind, set()).add(condition(load_instance(value)))
    return found


class Mortal:
    """A log whose user is killed at the given call that alters something.

    Args:
        log: what it passes calls on to.
        at: which call, the first is 1.
    """

    ALTERS = frozenset(
        {"create_topics", "set_positions", "begin", "produce", "flush", "commit", "producer"}
    )

    def __init__(self, log: Log, at: int) -> None:
        self._target: Any = log
        self.left = at

    def _wrapped(self, target: Any, name: str) -> Any:
        found = getattr(target, name)
        if name not in self.ALTERS:
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left <= 0:
                raise Killed(name)
            answer = found(*arguments, **named)
            return _Mortal(self, answer) if name == "producer" else answer

        return call

    def __getattr__(self, name: str) -> Any:
        return self._wrapped(self._target, name)


class _Mortal:
    """A producer of such a log: who is killed aborts nothing."""

    def __init__(self, mortal: Mortal, producer: Any) -> None:
        self._mortal, self._producer = mortal, producer

    def __getattr__(self, name: str) -> Any:
        if name == "abort" and self._mortal.left <= 0:
            return lambda _timeout: None
        return self._mortal._wrapped(self._producer, name)


def killed(world: World, partitions: int) -> int:
    """Is killed at the first altering call, then at the second of the rest, and so on.

    Returns:
        How often it was killed before it came through.
    """
    assert isinstance(world.log, MemoryLog)
    for times in range(1, 1_000):
        mortal: Any = Mortal(world.log, times)
        try:
            repartitioned(world, partitions, mortal)
        except Killed:
            continue
        return times - 1
    raise AssertionError("it never comes through")


def other_topic(world: World, name: str, partitions: int) -> None:
    world.log.create_topics([TopicSpec(name, partitions)])

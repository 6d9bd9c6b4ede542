"""Failures through the whole runtime: who waits, who does not, and what survives a restart."""

import pytest

from pmstream.core.instance import (
    Instance,
    load_instance,
)
from pmstream.core.lifecycle import (
    Condition,
    condition,
)
from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.store import instance_key
from tests.runtime.world import Happened, World


def instance(world: World, process: str) -> Instance | None:
    record = world.changelog().get(instance_key(process))
    return load_instance(record) if record is not None else None


def in_condition(world: World, process: str) -> Condition:
    return condition(instance(world, process))


def heal(world: World) -> None:
    world.manager.healed = True


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
def test_a_retry_survives_a_crash_with_its_attempts(
    world: World, clock: VirtualClock, wiped: bool
) -> None:
    world.manager.retry_delay = 100
    world.count("a", [0], what="retry")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    world.crash("w-0")
    world.start(INSTANCES, "other" if wiped else "w-0")
    clock.advance(100)

    def failed_twice() -> bool:
        found = instance(world, "a")
        return found is not None and found.work is not None and found.work.attempts == 2

    world.settle(failed_twice)
    heal(world)
    clock.advance(100)
    world.settle(lambda: world.counts("a") == [(0, 1)])


def test_park_holds_the_instance_and_nobody_else(world: World) -> None:
    world.count("a", [0], what="park")
    world.count("a", [1, 2])
    world.count("b", range(3))
    world.settle()
    assert world.counts("a") == []
    assert world.counts("b") == [(0, 1), (1, 2), (2, 3)]
    parked = instance(world, "a")
    assert parked is not None
    assert (in_condition(world, "a"), parked.backlog.size) == (Condition.PARKED, 2)
    assert parked.work is not None
    assert parked.work.error_type == "Oops"


def test_skip_drops_the_event_alone(world: World) -> None:
    world.count("a", [0])
    world.count("a", [1], what="skip")
    world.count("a", [2])
    world.settle()
    assert world.counts("a") == [(0, 1), (2, 2)]


def test_stop_commits_what_preceded_and_ends_with_the_reason(world: World) -> None:
    world.count("a", range(3))
    world.count("a", [3], what="halt")
    world.count("a", [4])
    with pytest.raises(Stopped, match="Oops"):
        world.settle(lambda: False)
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    world.workers.pop("w-0")
    world.start(INSTANCES, "w-1")
    with pytest.raises(Stopped, match="Oops"):
        world.settle(lambda: False)
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    world.workers.pop("w-1")
    heal(world)
    world.start(INSTANCES, "w-2")
    world.settle(lambda: len(world.counts("a")) == 5)
    assert world.counts("a") == [(n, n + 1) for n in range(5)]


def test_headers_tell_cause_and_correlation(world: World) -> None:
    world.produce(
        Happened(process="a", what="go", n=1),
        headers=(("correlation-id", b"c-1"), ("traceparent", b"00-1"), ("pm-route", b"x")),
    )
    world.settle()
    (record,) = world.read("world.commands")
    assert dict(record.headers) == {
        "command-id": b"a/world.events-0-0/0",
        "correlation-id": b"c-1",
        "causation-id": b"world.events-0-0",
        "process-uuid": b"a",
        "process-manager": b"counter",
        "traceparent": b"00-1",
    }

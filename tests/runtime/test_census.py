"""The walk through a store: in portions, over and over, on real RocksDB."""

from pathlib import Path

import pytest

from pmstream.core.failure import Stage
from pmstream.core.instance import (
    Backlog,
    Instance,
    Status,
    Timer,
    Timers,
    Wait,
    Work,
    dump_instance,
)
from pmstream.core.messages import Routed
from pmstream.runtime.census import PORTION, UNREADABLE, Census, Walk
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.store import Caches, Store, instance_key

EVENT = Routed(
    process_uuid="a",
    route="start",
    value=b"",
    topic="events",
    partition=0,
    offset=0,
    index=0,
    timestamp=0,
    headers=(),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", "test", Caches())


def waiting(wait: Wait, due: int = 0, failed: int = 0) -> Instance:
    work = Work(input=EVENT, stage=Stage.HANDLE, wait=wait, due=due, first_failed_at=failed)
    return Instance(status=Status.RUNNING, work=work)


def put(store: Store, **instances: Instance) -> None:
    records = {instance_key(uuid): dump_instance(each) for uuid, each in instances.items()}
    store.write({**records}, b"")


def whole(walk: Walk) -> Census:
    while not walk.go_on(0):
        pass
    assert walk.last is not None
    return walk.last


def test_what_is_counted(store: Store, clock: VirtualClock) -> None:
    now = clock.now()
    put(
        store,
        a=waiting(Wait.OPERATOR, failed=now - 9_000),
        b=waiting(Wait.RETRY, due=now + 5_000, failed=now - 1_000),
        c=waiting(Wait.REPLY, due=now - 4_000),
        d=Instance(status=Status.RUNNING, backlog=Backlog(size=3)),
        e=Instance(status=Status.RUNNING, timers=Timers({"x": Timer(now - 7_000, 0)}, 1)),
    )

    census = whole(Walk(store, clock))

    assert census.conditions == {
        "parked": 1,
        "retrying": 1,
        "awaiting": 1,
        "draining": 1,
        "idle": 1,
    }
    assert (census.backlog, census.timers) == (3, 1)
    assert (census.overdue_s, census.failing_s) == (7, 9)


def test_a_marker_is_never_overdue_and_what_is_to_come_is_not_late(
    store: Store, clock: VirtualClock
) -> None:
    put(
        store,
        a=Instance(status=Status.COMPLETED, until=clock.now() - 1),
        b=waiting(Wait.RETRY, due=clock.now() + 1),
    )

    assert whole(Walk(store, clock)).overdue_s == 0


def test_a_large_store_is_walked_in_portions(store: Store, clock: VirtualClock) -> None:
    count = 2 * PORTION + 1
    put(store, **{f"{n:04}": Instance(status=Status.RUNNING) for n in range(count)})
    walk = Walk(store, clock)

    walks = [walk.go_on(0) for _ in range(3)]

    assert walks == [False, False, True]
    assert walk.last is not None
    assert walk.last.conditions == {"idle": count}


def test_the_next_walk_sees_what_has_changed(store: Store, clock: VirtualClock) -> None:
    walk = Walk(store, clock)
    put(store, a=waiting(Wait.OPERATOR))
    first = whole(walk)

    store.write({instance_key("a"): None}, b"")
    clock.advance(1)

    assert whole(walk).conditions == {}
    assert (first.conditions, first.at) == ({"parked": 1}, clock.monotonic() - 1)


def test_what_a_newer_version_wrote_is_counted_as_such(store: Store, clock: VirtualClock) -> None:
    store.write({instance_key("a"): b"\xff\0"}, b"")

    assert whole(Walk(store, clock)).conditions == {UNREADABLE: 1}

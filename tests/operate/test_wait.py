"""Waiting for an event: handled means that no record is left, whatever the positions say."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pmstream.app import App
from pmstream.core import routing
from pmstream.errors import ConfigurationError, Unreachable
from pmstream.operate.deferred import PARKED, RETRYING, WAITING
from pmstream.operate.wait import Handled, Verdict, handled
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import SOURCE, Counter, Happened, World, make_app

ALL_HANDLED = [Handled("counter", Verdict.HANDLED)]


class Strong(Counter):
    """One that `wait` waits for."""

    consistency = "strong"

    def interested(self, event: Happened) -> routing.Answer:
        if event.what == "early":
            return routing.ContinueExisting(event.process, hold=1_000)
        return super().interested(event)


class Lazy(Strong):
    """Nobody runs it; it has no topics."""

    name = "lazy"
    consistency = "eventual"


def strong_app(*more: Any) -> App:
    plain = make_app()
    return App(
        name="world",
        schemas=plain.schemas,
        events=plain.events,
        commands=plain.commands,
        process_managers=[Strong(), *more],
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, app=strong_app())
    yield made
    made.close()


class Meanwhile(VirtualClock):
    """The waiter's clock: while it sleeps, others work."""

    def __init__(self, *work: Callable[[], object]) -> None:
        super().__init__()
        self.work = list(work)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        (self.work.pop(0) if len(self.work) > 1 else self.work[0])()


def wait(world: World, event: int = 0, **options: Any) -> list[Handled]:
    return handled(world.log, world.app, f"{SOURCE}-0-{event}", **options)


def at_once(world: World, event: int = 0, **options: Any) -> Handled:
    [found] = wait(world, event, timeout=0, **options)
    return found


def test_it_returns_when_the_event_is_handled(world: World) -> None:
    world.start_all()
    world.count("a", range(3))

    found = wait(world, 2, clock=Meanwhile(world.turn))

    assert found == ALL_HANDLED
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


def test_markers_that_no_position_passes_are_nothing_to_wait_for(world: World) -> None:
    world.start_all()
    world.count("a", range(3))
    world.settle()

    places = [TopicPartition(world.names.inbox, number) for number in range(3)]
    known = world.log.last_committed(world.names.group(INSTANCES), places)
    assert any(
        each.position < (world.log.end(place, stable=True) or 0) for place, each in known.items()
    )
    assert at_once(world, 2).verdict is Verdict.HANDLED


def test_an_event_that_concerns_nobody_is_handled_once_it_is_routed(world: World) -> None:
    world.count("a", [0], what="ignore")
    before = at_once(world)
    world.start(ROUTER, "router-0")
    world.settle()

    assert before.verdict is Verdict.TIMEOUT
    assert at_once(world).verdict is Verdict.HANDLED


def test_the_time_is_up_before_it_is_routed(world: World) -> None:
    world.count("a", [0])

    assert at_once(world) == Handled(
        "counter", Verdict.TIMEOUT, "group world.counter.router is at 0 of world.events-0"
    )


def test_the_time_is_up_while_it_waits_in_the_inbox(world: World) -> None:
    world.start(ROUTER, "router-0")
    world.count("a", [0])
    world.settle()
    clock = Meanwhile(lambda: None)

    [found] = wait(world, timeout=7, clock=clock)

    assert found.verdict is Verdict.TIMEOUT
    assert "group world.counter.instances has the record at 0 of world.counter.inbox-" in found.why
    assert clock.monotonic() == 7


def test_an_event_that_is_not_there_yet_is_told(world: World) -> None:
    world.count("a", [0])

    assert at_once(world, 1).why == "world.events-0 ends at 1: there is no event at 1 yet"


def test_a_process_manager_without_positions_is_told(world: World) -> None:
    world.count("a", [0])
    world.log.forget_positions(world.names.group(ROUTER))  # type: ignore[attr-defined] # in memory

    assert "has no position in world.events-0: run `pmstream topics ensure`" in at_once(world).why


def test_what_comes_behind_it_is_not_waited_for(world: World) -> None:
    world.start_all()
    world.turn(20)
    world.count("a", [0])

    def route_more_that_nobody_handles() -> None:
        world.settle(lambda: world.counts("a") == [(0, 1)])
        world.crash("w-0")
        world.count("a", [1])
        world.settle(lambda: len(world.read(world.names.inbox)) == 2)

    def route() -> None:
        router = world.workers["router-0"]
        while not world.read(world.names.inbox):
            router.turn()

    clock = Meanwhile(route, route_more_that_nobody_handles, lambda: None)

    assert wait(world, 0, clock=clock) == ALL_HANDLED
    assert at_once(world, 1).verdict is Verdict.TIMEOUT


def test_a_transaction_that_is_open_in_the_inbox_may_hold_the_event(world: World) -> None:
    world.start_all()
    world.count("a", [0])
    world.settle()
    producer = world.log.producer("somebody")
    producer.begin()
    producer.produce(world.names.inbox, b"x", b"x", partition=1)
    producer.flush(1)

    open_one = at_once(world)
    producer.abort(1)

    assert open_one.verdict is Verdict.TIMEOUT
    assert "world.counter.inbox-1 has an open transaction below " in open_one.why
    assert at_once(world).verdict is Verdict.HANDLED


@pytest.mark.parametrize(
    ("what", "how", "error"),
    [("retry", RETRYING, "Oops: retry"), ("park", PARKED, "Oops: park")],
)
def test_explained_an_event_that_its_instance_has_before_it_is_deferred(
    world: World, what: str, how: str, error: str
) -> None:
    world.start_all()
    world.manager.retry_delay = 10_000
    since = world.clock.now()
    world.count("a", [0], what)
    world.count("a,b", [1])
    world.settle()

    plain, first, second = at_once(world), at_once(world, explain=True), at_once(world, 1)
    behind = at_once(world, 1, explain=True)

    assert plain.verdict is second.verdict is Verdict.HANDLED
    assert first.verdict is behind.verdict is Verdict.DEFERRED
    [instance] = first.deferred
    assert (instance.uuid, instance.how, instance.error) == ("a", how, error)
    assert _ms(instance.since) >= since
    [waiting] = behind.deferred
    assert (waiting.uuid, waiting.how, waiting.error) == ("a", WAITING, "")
    assert since <= _ms(waiting.since) <= world.clock.now()


def test_explained_an_early_event_waits_for_its_start(world: World) -> None:
    world.start_all()
    since = world.clock.now()
    world.count("a", [0], "early")
    world.settle()
    early = at_once(world, explain=True)
    world.count("a", [1])
    world.settle()

    [waiting] = early.deferred
    assert (waiting.uuid, waiting.how) == ("a", WAITING)
    assert since <= _ms(waiting.since) <= world.clock.now()
    assert at_once(world, explain=True).verdict is Verdict.HANDLED
    assert world.counts("a") == [(1, 1), (0, 2)]


def test_explained_a_changelog_that_cannot_be_read_to_its_end_is_told(world: World) -> None:
    world.start_all()
    world.count("a", [0])
    world.settle()
    producer = world.log.producer("somebody")
    producer.begin()
    producer.produce(world.names.changelog, b"x", b"x", partition=1)
    producer.flush(1)

    with pytest.raises(Unreachable, match=r"world\.counter\.changelog-1 does not move beyond"):
        at_once(world, explain=True)


def test_explained_what_was_deferred_and_then_done_is_handled(world: World) -> None:
    world.start_all()
    world.manager.retry_delay = 1
    world.count("a", [0], "retry")
    world.count("a", [1])
    world.settle(lambda: at_once(world, explain=True).verdict is Verdict.DEFERRED)

    world.manager.healed = True
    world.settle(lambda: world.counts("a") == [(0, 1), (1, 2)])

    assert at_once(world, 0, explain=True).verdict is Verdict.HANDLED
    assert at_once(world, 1, explain=True).verdict is Verdict.HANDLED


def test_only_strong_ones_are_waited_for_unless_they_are_named(world: World) -> None:
    world.start_all()
    world.count("a", [0])
    world.settle()
    both = strong_app(Lazy())
    event = f"{SOURCE}-0-0"

    assert handled(world.log, both, event, timeout=0) == ALL_HANDLED
    with pytest.raises(ConfigurationError, match=r"no topic world\.lazy\.inbox: run"):
        handled(world.log, both, event, ["lazy"], timeout=0)


def test_nobody_to_wait_for_is_told(world: World) -> None:
    with pytest.raises(ConfigurationError, match="no process manager of world has consistency="):
        handled(world.log, make_app(), f"{SOURCE}-0-0")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("world.events", "event is 'world.events'; it is topic-partition-offset, for example "),
        ("world.events-0-", "it is topic-partition-offset"),
        ("world.events-0-" + "9" * 30, "it is topic-partition-offset"),
        ("events-0-1", "events is no source topic of world; those are world.events"),
        ("world.events-2-0", "world.events has 2 partitions, 0 to 1, and no 2"),
    ],
)
def test_an_event_that_cannot_be_is_told(world: World, event: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        handled(world.log, world.app, event)


def test_a_source_topic_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(
        ConfigurationError, match=r"no topic world\.events: run `pmstream topics en"
    ):
        handled(MemoryLog(VirtualClock()), world.app, f"{SOURCE}-0-0")


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)

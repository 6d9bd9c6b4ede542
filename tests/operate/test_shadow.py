"""Today's code over history: the same code makes the same; another rule names whom it concerns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pmstream import App
from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate.shadow import Compared, compare
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from tests.faults.kit import in_condition
from tests.operate.rebuilding import begun, order
from tests.runtime import clocked
from tests.runtime.clocked import TIMER_SECONDS, ClockedWorld, asked
from tests.runtime.direct_world import Direct
from tests.runtime.world import Count, Counter, Do, Happened, World, make_app


def shadow(world: World, app: App | None = None) -> Compared:
    told: list[tuple[int, int]] = []
    found = compare(
        world.log, app or world.app, "counter", world.settings, lambda *each: told.append(each)
    )
    assert found.records == len(told)
    return found


def with_rule(world: World, change: Callable[[Counter], None]) -> App:
    """The app with other code."""
    app = make_app()
    manager: Any = app.manager("counter")
    change(manager)
    return app


def lived(world: World) -> World:
    """Processes in all conditions, some handled after an order."""
    begun(world)
    world.settle(lambda: in_condition(world, "d") is Condition.PARKED)
    order(world, Verb.SKIP, "d")
    return world


def test_the_same_code_makes_the_same(world: World) -> None:
    found = shadow(lived(world))

    assert found.is_same
    assert found.commands == len(world.commands())
    assert found.instances == 5
    assert found.notes == ()


def test_nothing_is_written(world: World) -> None:
    lived(world)
    before = world._marks()

    shadow(world)

    assert world._marks() == before


def test_a_changed_rule_names_exactly_those_whom_it_concerns(world: World) -> None:
    lived(world)

    def mend(manager: Counter) -> None:
        manager.healed = True  # what failed succeeds

    found = shadow(world, with_rule(world, mend))

    assert [each.uuid for each in found.changed] == ["a", "b", "d"]
    a = found.changed[0]
    assert a.live is not None
    assert a.shadow is not None
    assert (a.live.condition, a.shadow.condition) == ("parked", "idle")
    assert (a.live.state, a.shadow.state) == ({"count": 3}, {"count": 6})
    assert len(found.new) == 5  # three of a, one of b and of d each
    assert (found.gone, found.altered) == ((), ())


class Doubling(Counter):
    """Another state for one process: one line changed."""

    name = "counter"

    def apply(self, state: Count, event: Happened) -> Count:
        return replace(state, count=state.count + (2 if event.process == "e" else 1))


class Quiet(Counter):
    """Sends nothing for one event."""

    name = "counter"

    def handle(self, state: Count, event: Happened, metadata: Any) -> Any:
        if (event.process, event.n) == ("f", 1):
            return None
        return Do(process=metadata.process_uuid, n=event.n, count=state.count + 1)


@pytest.mark.parametrize(
    ("other", "changed", "gone", "altered"),
    [(Doubling, ["e"], 0, 2), (Quiet, [], 1, 0)],
)
def test_commands_that_would_be_gone_or_other_are_named(
    world: World, other: type[Counter], changed: list[str], gone: int, altered: int
) -> None:
    for each in "ef":
        world.count(each, range(3))
    world.settle()
    app = make_app()
    app.process_managers["counter"] = other()

    found = shadow(world, app)

    assert [each.uuid for each in found.changed] == changed
    assert (len(found.gone), len(found.altered), found.new) == (gone, altered, ())


def test_what_is_not_taken_in_yet_is_no_difference(world: World) -> None:
    lived(world)
    world.workers.pop("w-0").close()
    world.count("e", range(3, 9))
    world.settle()

    assert shadow(world).is_same


def test_code_that_stops_is_told(world: World) -> None:
    lived(world)
    app = make_app(default_failure=None)
    manager: Any = app.manager("counter")
    manager.error = lambda *_: "no answer"

    with pytest.raises(Stopped, match="today's code stops: process manager counter stops"):
        shadow(world, app)


def test_history_without_its_beginning_is_refused(world: World) -> None:
    lived(world)
    for number in range(world.partitions):
        place = TopicPartition(world.names.inbox, number)
        world.log.delete_records({place: 1})

    with pytest.raises(ConfigurationError, match=r"inbox-\d starts at 1: .* inbox_retention_hours"):
        shadow(world)


# Time and replies


def clocked_world(tmp_path: Path, clock: VirtualClock, **options: Any) -> ClockedWorld:
    world = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=clocked.make_app(**options))
    world.start_all()
    return world


def test_timers_and_early_events_come_out_the_same(tmp_path: Path, clock: VirtualClock) -> None:
    world = clocked_world(tmp_path, clock)
    world.count("a", [1], what="timer")
    world.count("b", [1], what="early")
    world.settle(asked(world, 1))
    clock.advance(TIMER_SECONDS)
    world.settle(asked(world, 2))
    world.count("b", [2])
    world.settle()

    assert shadow(world, clocked.make_app()).is_same
    world.close()


def test_confirmed_commands_come_out_the_same(tmp_path: Path, clock: VirtualClock) -> None:
    world = clocked_world(tmp_path, clock, dispatch="confirm")
    world.count("a", [1, 2])
    world.settle(asked(world, 1))
    clock.advance(1)
    world.reply(world.asked()[0])
    world.settle(asked(world, 2))

    found = shadow(world, clocked.make_app(dispatch="confirm"))

    assert found.is_same, found
    assert found.commands == 2
    world.close()


# Direct mode


def direct_world(tmp_path: Path, clock: VirtualClock, **options: Any) -> Direct:
    app = make_app(keyed="world.events", **options)
    world = Direct(MemoryLog(clock), tmp_path, clock, app=app, inbox_partitions=2)
    world.start_all()
    for each in "abc":
        world.count(each, range(3))
    world.count("b", [3], what="park")
    world.settle()
    return world


def test_in_direct_mode_the_source_is_history(tmp_path: Path, clock: VirtualClock) -> None:
    world = direct_world(tmp_path, clock)
    healed: Any = make_app(keyed="world.events")
    healed.manager("counter").healed = True

    assert shadow(world).is_same
    assert [each.uuid for each in shadow(world, healed).changed] == ["b"]
    world.close()


def test_history_that_begins_nobody_knows_where_is_refused(
    tmp_path: Path, clock: VirtualClock
) -> None:
    world = direct_world(tmp_path, clock, start_from="current")

    with pytest.raises(ConfigurationError, match="did not start at its beginning"):
        shadow(world)
    world.close()

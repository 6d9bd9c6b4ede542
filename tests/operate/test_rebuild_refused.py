"""What forbids a rebuild, and what keeps one from going live."""

from typing import Any

import pytest

from pmstream import failure, routing
from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.errors import Busy, ConfigurationError, Stopped
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import in_condition
from tests.operate.rebuilding import (
    PM,
    faults,
    lived,
    look,
    order,
    rebuilt,
    stop,
)
from tests.runtime.world import World, make_app


def test_nothing_is_written_by_a_look(world: World) -> None:
    stop(lived(world))
    before, topics = world._marks(), set(world.log.topics())
    assert look(world).faults == ()
    assert (world._marks(), set(world.log.topics())) == (before, topics)


def test_it_is_refused_while_workers_run(world: World) -> None:
    lived(world)
    assert "workers of counter run: stop router-0 (group world.counter.router)" in faults(world)
    with pytest.raises(Busy, match="stop router-0"):
        rebuilt(world)


def test_it_is_refused_while_retries_wait(world: World) -> None:
    world.count("a", range(3))
    world.count("a", [3], what="retry")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    stop(world)
    assert "process a is retrying: their commands would be lost" in faults(world)
    with pytest.raises(ConfigurationError, match="let their retries end"):
        rebuilt(world)
    world.start_all()  # the old generation goes on
    world.manager.healed = True
    world.clock.sleep(10)
    world.settle(lambda: world.counts("a")[-1] == (3, 4))


def test_it_is_refused_while_routed_events_are_not_handled(world: World) -> None:
    lived(world)
    world.workers.pop("w-0").close()
    world.count("e", range(3, 9))
    world.settle()
    stop(world)
    assert "6 routed events are not handled yet" in faults(world)


def test_it_is_refused_when_sources_are_not_retained(world: World) -> None:
    stop(lived(world))
    world.log.delete_records({TopicPartition(world.source, 0): 5})
    assert f"{world.source}-0 starts at 5: what stood before is not retained" in faults(world)
    named = {world.source: {0: 5}}
    assert faults(world, start_from=named) == ""


def test_it_is_refused_when_orders_are_not_retained(world: World) -> None:
    stop(lived(world))
    [place] = {
        TopicPartition(each.topic, each.partition) for each in world.read(world.names.orders)[:1]
    }
    world.log.delete_records({place: 1})
    assert f"{world.names.orders}-{place.partition} starts at 1" in faults(world)


def test_a_compacted_source_is_no_history(world: World) -> None:
    stop(lived(world))
    world.log._broker.topics[world.source].config["cleanup.policy"] = "compact"  # type: ignore[attr-defined]
    assert f"{world.source} is compacted" in faults(world)


def test_a_history_that_begins_nobody_knows_where_needs_a_place(world: World) -> None:
    stop(lived(world))
    late: Any = make_app(start_from="current")
    assert "where that was is not kept: say --from" in faults(world, app=late)
    assert faults(world, app=late, start_from="origin") == ""


def test_without_history_there_is_nothing_to_rebuild(world: World) -> None:
    stop(world)
    assert "has taken in nothing" in faults(world)


# Losses


def test_work_that_would_be_lost_keeps_it_from_going_live(world: World) -> None:
    """Today's code handles what is parked; in a rebuild its command is not sent."""
    world.count("a", range(3))
    world.count("a", [3], what="park")
    world.count("a", [4, 5])
    world.settle()
    stop(world)
    mended: Any = make_app()
    mended.manager(PM).healed = True

    found = rebuilt(world, mended)

    assert not found.is_live
    assert [each.split(":")[0] for each in found.lost] == [
        (
            "process a is parked with world.events-0-3, world.events-0-4, world.events-0-5, "
            "and would not be after the rebuild"
        )
    ]
    with pytest.raises(Busy):
        world.start(INSTANCES, "w-0")
    assert rebuilt(world, mended, accept=True).is_live  # the same call, the loss accepted


def test_an_order_that_fares_otherwise_stops_it(world: World) -> None:
    world.count("a", [1])
    world.count("a", [2], what="skip")
    world.settle()
    order(world, Verb.EDIT, "a", set={"count": 10}, expect={"count": 1})
    stop(world)
    mended: Any = make_app()
    mended.manager(PM).healed = True
    with pytest.raises(Stopped, match=r"order edit to process a .* was obeyed, and is refused"):
        rebuilt(world, mended)
    assert rebuilt(world, mended, accept=True).is_live


def test_an_event_that_can_be_routed_no_more_stops_it(world: World) -> None:
    world.count("a", [1], what="new")
    world.settle()
    stop(world)
    broken: Any = make_app()
    broken.manager(PM).interested = lambda _event: routing.Start("")
    broken.manager(PM).error = lambda *_: failure.Park()
    with pytest.raises(Stopped, match=r"world.events-0-0 was no dead letter, and would be one"):
        rebuilt(world, broken)
    found = rebuilt(world, broken, accept=True)
    assert (found.instances, found.is_live) == (0, True)
    assert world.read(world.names.dead_letters) == []


def test_what_would_be_sent_again_keeps_it_from_going_live(world: World) -> None:
    """Today's code parks what was handled: released, its command would be sent once more."""
    world.manager.healed = True
    world.count("a", [1], what="park")
    world.settle()
    stop(world)
    world.manager.healed = False
    found = rebuilt(world)
    assert not found.is_live
    [loss] = found.lost
    assert loss == (
        "process a has handled world.events-0-0, and would be parked with that after the rebuild: "
        "what was sent for it would be sent again"
    )


def test_code_that_stops_is_told_and_may_be_mended(world: World) -> None:
    stop(lived(world))
    broken: Any = make_app()
    broken.manager(PM).error = lambda *_: "no answer"
    with pytest.raises(Stopped, match="today's code stops"):
        rebuilt(world, broken)
    assert rebuilt(world).is_live

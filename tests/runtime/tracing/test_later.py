"""What time, a reply or an operator brings back: which trace it is, and what it links to."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from opentelemetry.trace import StatusCode

from pmstream.core.engine import Arrived, Due, Entry, Input, Waiting
from pmstream.core.instance import Work, load_instance
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Routed
from pmstream.core.orders import Verb
from pmstream.core.routing import Route
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.origin import origin
from pmstream.runtime.spans import Attribute
from pmstream.runtime.store import instance_key
from tests.runtime.clocked import TIMER_SECONDS
from tests.runtime.tracing.kit import (
    PRODUCER,
    SAMPLED,
    TRACE,
    Make,
    TracedWorld,
    carried_by,
    happens,
    id_of,
    links_of,
    parent_of,
    told,
    trace_of,
)
from tests.runtime.world import Count, Counter, Do, Happened, Oops


def test_each_step_links_to_the_one_before_it(make: Make) -> None:
    world = make()

    happens(world)
    happens(world, n=1)

    first, second = world.collector.named("process world.events")
    assert links_of(first) == []
    assert links_of(second) == [id_of(first)]


def test_a_delayed_retry_is_a_new_trace_linked_to_the_try_before(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    happens(world, "retry")
    world.manager.healed = True
    clock.advance(6)
    world.settle()

    first, *tries = world.collector.named("process world.events")
    send, again = world.collector.one("send world.commands"), tries[-1]
    assert first.status.status_code is StatusCode.ERROR
    assert told(first, Attribute.OUTCOME) == "retrying"
    assert told(first, Attribute.ANSWER) == "Retry"
    assert told(first, Attribute.ERROR_TYPE) == "Oops"
    for number, (before, each) in enumerate(pairwise([first, *tries]), 2):
        assert parent_of(each) == ""
        assert links_of(each)[0] == id_of(before)
        assert told(each, Attribute.INPUT) == "retry"
        assert told(each, Attribute.ATTEMPT) == number
    assert len({trace_of(each) for each in (first, *tries)}) == 1 + len(tries)
    assert told(again, Attribute.OUTCOME) == "handled"
    assert carried_by(world.asked()[0].headers) == (trace_of(again), id_of(send))


def test_tries_are_told_although_no_callback_takes_metadata(
    make: Make, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def handle(self: Counter, state: Count, event: Happened) -> Do:
        if not self.healed:
            raise Oops("not yet")
        return Do(process=event.process, n=event.n, count=1)

    world = make()
    for name, callback in {"handle": handle, "apply": Counter.apply}.items():
        monkeypatch.setattr(type(world.manager), name, callback)
    world.restart()  # callbacks are bound when a worker starts
    happens(world, "retry")
    world.manager.healed = True
    clock.advance(6)
    world.settle()

    tries = world.collector.named("process world.events")
    assert [told(each, Attribute.ATTEMPT) for each in tries] == [*range(1, len(tries) + 1)]
    assert len(tries) > 1
    assert told(tries[-1], Attribute.OUTCOME) == "handled"


def test_a_timer_is_a_new_trace_linked_to_the_step_that_set_it(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    happens(world, "timer")
    clock.advance(TIMER_SECONDS + 1)
    world.settle()

    timer = world.collector.one("process timer")
    assert links_of(timer) == [id_of(world.collector.one("process world.events"))]
    assert (parent_of(timer), told(timer, Attribute.TIMER)) == ("", "it")
    assert trace_of(timer) != TRACE
    assert carried_by(world.asked()[1].headers)[0] == trace_of(timer)


def test_a_timer_of_a_process_that_was_never_sampled_makes_no_span(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    world.count("a", [0], "timer")
    world.settle()
    clock.advance(TIMER_SECONDS + 1)
    world.settle()

    assert len(world.asked()) == 2
    assert not world.collector.spans


def test_what_waited_behind_a_parked_event_is_told_when_it_is_released(make: Make) -> None:
    world = make()
    happens(world, "park")
    happens(world, n=1)
    world.manager.healed = True
    release(world)

    parked, queued, *later = world.collector.named("process world.events")
    ordered = world.collector.one(f"process {world.names.orders}")
    assert told(parked, Attribute.OUTCOME) == "parked"
    assert told(queued, Attribute.OUTCOME) == "queued"
    assert links_of(ordered) == [id_of(parked)]
    assert told(ordered, Attribute.ORDER) == "release"
    [released] = later
    assert told(released, Attribute.INPUT) == "backlog"
    assert parent_of(released) == ""
    assert set(links_of(released)) == {id_of(ordered), id_of(queued)}


def release(world: TracedWorld) -> None:
    order(world, Verb.RELEASE, {})


def order(world: TracedWorld, verb: Verb, arguments: dict[str, Any]) -> None:
    made = orders.make(verb, ["a"], arguments, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)
    world.settle()


def test_a_dead_letter_that_is_delivered_begins_a_trace_linked_to_its_event(make: Make) -> None:
    world = make()

    order(world, Verb.DELIVER, {"event": msgspec.to_builtins(routed(world))})

    ordered = world.collector.one(f"process {world.names.orders}")
    assert (parent_of(ordered), links_of(ordered)) == ("", [PRODUCER])
    assert told(ordered, Attribute.ORDER) == "deliver"
    assert carried_by(world.asked()[0].headers)[0] == trace_of(ordered) != TRACE


def test_an_event_that_is_replayed_begins_a_trace_linked_to_its_own(make: Make) -> None:
    world = make()
    replayed = Arrived(replace(routed(world), replayed=True))

    found = origin(None, replayed, world.names, lambda: True)

    assert found is not None
    assert (found.parent, found.links) == (None, (SAMPLED[0][1],))
    assert found.attributes[Attribute.REPLAYED] is True


def test_only_what_is_to_be_traced_asks_whether_it_may_be(make: Make) -> None:
    world, asked = make(), list[str]()
    event = routed(world)
    unsampled = replace(event, headers=())
    inputs: list[tuple[str, Input]] = [
        ("arrived", Arrived(event)),
        ("waiting", Waiting(Entry(1, Work(input=event)))),
        ("", Arrived(unsampled)),
        ("", Waiting(Entry(1, Work(input=unsampled)))),
        ("", Due(DueKind.DRAIN, "a")),
    ]
    for name, input in inputs:

        def refuses(name: str = name) -> bool:
            asked.append(name)
            return False

        assert origin(None, input, world.names, refuses) is None

    assert asked == ["arrived", "waiting"]


def routed(world: TracedWorld) -> Routed:
    event = world.codec.encode_event(world.source, Happened("a", "go", 0))
    return Routed(
        process_uuid="a",
        route=Route.START,
        value=event,
        topic=world.source,
        partition=0,
        offset=7,
        index=0,
        timestamp=0,
        headers=SAMPLED,
    )


def test_a_reply_goes_on_in_the_trace_of_its_command(make: Make) -> None:
    world = make(dispatch="confirm")
    happens(world, "go")

    world.reply(world.asked()[0])
    world.settle()

    reply = world.collector.one(f"process {world.names.replies}")
    assert trace_of(reply) == TRACE
    assert parent_of(reply) == id_of(world.collector.one("send world.commands"))


def test_the_instance_remembers_its_last_sampled_span(make: Make) -> None:
    world = make()
    happens(world)
    world.count("a", [1])
    world.settle()

    instance = load_instance(world.changelog()[instance_key("a")])
    assert instance.trace is not None
    assert instance.trace.decode().split("-")[2] == id_of(
        world.collector.one("process world.events")
    )

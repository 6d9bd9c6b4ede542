"""Spans of a sampled event through router, instance and command; nobody else's bytes change."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from pmstream.core.instance import load_instance
from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import MustAbort, OutcomeUnknown
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.spans import Attribute
from pmstream.runtime.store import instance_key
from tests.runtime.clocked import TIMER_SECONDS, make_app
from tests.runtime.tracing_kit import (
    ENOUGH,
    PRODUCER,
    SAMPLED,
    TRACE,
    UNSAMPLED,
    TracedWorld,
    carried_by,
    id_of,
    links_of,
    parent_of,
    told,
    trace_of,
)
from tests.runtime.world import Happened

Make = Callable[..., TracedWorld]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock) -> Iterator[Make]:
    made: list[TracedWorld] = []

    def make(per_second: int = ENOUGH, *, links: bool = False, **options: Any) -> TracedWorld:
        world = TracedWorld(
            MemoryLog(clock),
            tmp_path,
            clock,
            app=make_app(**options),
            per_second=per_second,
            links=links,
        )
        made.append(world)
        world.start_all()
        return world

    yield make
    for each in made:
        each.close()


def happens(world: TracedWorld, what: str = "go", *, process: str = "a", n: int = 0) -> None:
    """A sampled event is worked on."""
    world.produce(Happened(process=process, what=what, n=n), headers=SAMPLED)
    world.settle()


def test_a_sampled_event_is_told_from_its_producer_to_its_command(make: Make) -> None:
    world = make()

    happens(world)

    seen = world.collector
    route, process = seen.one("route world.events"), seen.one("process world.events")
    send, commit = seen.one("send world.commands"), seen.named("commit")
    of_one_trace = [route, process, seen.one("handle"), seen.one("apply"), send]
    assert {trace_of(each) for each in of_one_trace} == {TRACE}
    assert parent_of(route) == PRODUCER
    assert parent_of(process) == id_of(route)
    assert {parent_of(each) for each in of_one_trace[2:]} == {id_of(process)}
    assert [each.kind for each in (route, process, send)] == [
        SpanKind.CONSUMER,
        SpanKind.CONSUMER,
        SpanKind.PRODUCER,
    ]
    assert [links_of(each) for each in commit] == [[id_of(route)], [id_of(process)]]
    assert not {trace_of(each) for each in commit} & {TRACE}
    [command] = world.asked()
    assert carried_by(command.headers) == (TRACE, id_of(send))
    [inbox] = world.read(world.names.inbox)
    assert carried_by(inbox.headers) == (TRACE, id_of(route))


def test_a_span_tells_its_event_by_the_names_of_the_table(make: Make) -> None:
    world = make()

    happens(world)

    process = world.collector.one("process world.events")
    [command] = world.asked()
    assert dict(process.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": "world.events",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.message.conversation_id": "a",
        "pmstream.process_manager": "counter",
        "pmstream.process_uuid": "a",
        "pmstream.input": "event",
        "pmstream.route": "start",
        "pmstream.replayed": False,
        "pmstream.attempt": 1,
        "pmstream.outcome": "handled",
        "pmstream.transaction": "committed",
    }
    send = world.collector.one("send world.commands")
    assert told(send, Attribute.MESSAGE_ID) == dict(command.headers)["command-id"].decode()


@pytest.mark.parametrize(
    "headers",
    [
        UNSAMPLED,
        (),
        (("traceparent", b""),),
        (("traceparent", None),),
        (("traceparent", b"\xff" * 55),),
        (("traceparent", SAMPLED[0][1] or b""), ("traceparent", SAMPLED[0][1])),
        (("traceparent", (SAMPLED[0][1] or b"") + b"-more"),),
    ],
    ids=["unsampled", "none", "empty", "null", "no text", "twice", "too long"],
)
def test_what_is_not_sampled_goes_on_byte_by_byte_and_makes_no_span(
    make: Make, headers: Any
) -> None:
    world = make()

    world.produce(Happened("a", "go", 0), headers=(*headers, ("tracestate", b"x=1")))
    world.settle()

    [inbox], [command] = world.read(world.names.inbox), world.asked()
    assert inbox.headers[1:] == (*headers, ("tracestate", b"x=1"))
    assert command.headers[-len(headers) - 1 :] == (*headers, ("tracestate", b"x=1"))
    assert not world.collector.spans


def test_each_process_of_one_event_has_its_own_span_below_the_route(make: Make) -> None:
    world = make()

    happens(world, process="a,b")

    route = world.collector.one("route world.events")
    spans = world.collector.named("process world.events")
    assert {told(each, Attribute.PROCESS_UUID) for each in spans} == {"a", "b"}
    assert {parent_of(each) for each in spans} == {id_of(route)}


def test_an_event_that_concerns_nobody_makes_no_span(make: Make) -> None:
    world = make()

    happens(world, "ignore")

    assert not world.collector.spans


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
    [released] = later
    assert told(released, Attribute.INPUT) == "backlog"
    assert parent_of(released) == ""
    assert set(links_of(released)) == {id_of(ordered), id_of(queued)}


def release(world: TracedWorld) -> None:
    made = orders.make(Verb.RELEASE, ["a"], {}, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)
    world.settle()


def test_a_reply_goes_on_in_the_trace_of_its_command(make: Make) -> None:
    world = make(dispatch="confirm")
    happens(world, "go")

    world.reply(world.asked()[0])
    world.settle()

    reply = world.collector.one(f"process {world.names.replies}")
    assert trace_of(reply) == TRACE
    assert parent_of(reply) == id_of(world.collector.one("send world.commands"))


def test_an_aborted_batch_is_told_and_marked(make: Make) -> None:
    world = make()
    world.log.inject(
        "commit", MustAbort("refused"), who=world.names.transactional_id("instances", "w-0")
    )

    happens(world)

    spans = world.collector.named("process world.events")
    assert [told(each, Attribute.TRANSACTION) for each in spans] == ["aborted", "committed"]
    assert {trace_of(each) for each in spans} == {TRACE}
    aborted = next(
        each for each in world.collector.named("commit") if links_of(each) == [id_of(spans[0])]
    )
    assert told(aborted, Attribute.TRANSACTION) == "aborted"
    assert "refused" in told(aborted, Attribute.REASON)
    [command] = world.asked()
    assert carried_by(command.headers)[1] == id_of(world.collector.named("send world.commands")[1])


def test_a_batch_whose_outcome_is_unknown_says_so(make: Make) -> None:
    world = make()
    who = world.names.transactional_id("instances", "w-0")
    world.log.inject("commit", OutcomeUnknown("gone"), after=True, who=who)

    happens(world)

    process = world.collector.one("process world.events")
    assert told(process, Attribute.TRANSACTION) == "unknown"
    assert len(world.asked()) == 1


def test_an_event_that_stops_the_process_manager_comes_to_no_transaction(make: Make) -> None:
    world = make()
    with pytest.raises(Exception, match="Oops"):
        happens(world, "halt")

    process = world.collector.one("process world.events")
    assert told(process, Attribute.TRANSACTION) == "dropped"
    assert process.status.status_code is StatusCode.ERROR


def test_links_instead_of_parents_if_a_deployment_wants_it(make: Make) -> None:
    world = make(links=True)

    happens(world)

    route, process = (
        world.collector.one("route world.events"),
        world.collector.one("process world.events"),
    )
    assert (parent_of(process), links_of(process)) == ("", [id_of(route)])
    assert trace_of(process) != TRACE
    assert carried_by(world.asked()[0].headers)[0] == trace_of(process)


def test_beyond_the_limit_events_go_untraced_and_are_counted(make: Make) -> None:
    world = make(per_second=1)
    for n in range(20):
        world.produce(Happened("a", "go", n), headers=SAMPLED)
    world.settle()

    spans = world.collector.named("process world.events")
    assert len(world.asked()) == 20
    assert len(spans) < 20
    limited = world.workers["w-0"].vitals().values["traces_limited_total"]
    assert limited == world.trails["w-0"].limited == 20 - len(spans)


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

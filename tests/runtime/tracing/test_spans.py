"""Spans of a sampled event through router, instance and command; nobody else's bytes change."""

from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import SpanKind, StatusCode

from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import MustAbort, OutcomeUnknown
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.spans import Attribute
from tests.runtime.tracing.kit import (
    PRODUCER,
    SAMPLED,
    TRACE,
    UNSAMPLED,
    Make,
    carried_by,
    happens,
    id_of,
    links_of,
    memory,
    parent_of,
    told,
    trace_of,
)
from tests.runtime.world import Happened


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
        "pmstream.attempt": 1,
        "pmstream.outcome": "handled",
        "pmstream.transaction": "committed",
    }
    send = world.collector.one("send world.commands")
    assert dict(send.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.type": "send",
        "messaging.destination.name": "world.commands",
        "messaging.message.id": (dict(command.headers)["command-id"] or b"").decode(),
        "messaging.message.conversation_id": "a",
        "pmstream.transaction": "committed",
    }
    for name in ("handle", "apply"):
        within = world.collector.one(name)
        assert dict(within.attributes or {}) == {"pmstream.transaction": "committed"}
        assert within.kind is SpanKind.INTERNAL
    _of_route, of_process = world.collector.named("commit")
    assert dict(of_process.attributes or {}) == {
        "pmstream.traced_inputs": 1,
        "pmstream.transaction": "committed",
    }
    assert {each.status.status_code for each in world.collector.spans} == {StatusCode.UNSET}


def test_spans_lie_within_each_other(make: Make) -> None:
    world = make()

    happens(world)

    seen = world.collector
    process, handle, apply = seen.one("process world.events"), seen.one("handle"), seen.one("apply")
    send, commit = seen.one("send world.commands"), seen.named("commit")[1]
    began = [each.start_time or 0 for each in (process, handle, apply, send, commit)]
    assert began == sorted(began)
    ended = [each.end_time or 0 for each in (handle, apply, process, send)]
    assert ended == sorted(ended)
    assert (handle.end_time or 0) <= began[2]
    assert (commit.end_time or 0) <= (send.end_time or 0), "a send lasts until its transaction does"


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


def test_an_aborted_batch_is_told_and_marked(make: Make) -> None:
    world = make()
    memory(world).inject(
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
    memory(world).inject("commit", OutcomeUnknown("gone"), after=True, who=who)

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


def test_what_was_not_committed_when_its_partition_moved_is_told_as_dropped(make: Make) -> None:
    world = make(settings={"commit_interval_ms": 5_000})
    trail, source = world.trails["w-0"], world.names.inbox
    places = [TopicPartition(source, number) for number in range(world.partitions)]
    world.produce(Happened("a", "go", 0), headers=SAMPLED)
    world.settle(lambda: any(trail.held(place) for place in places))

    memory(world).lose(world.names.group(INSTANCES), "w-0")
    world.settle(lambda: bool(world.asked()))

    spans = world.collector.named("process world.events")
    assert [told(each, Attribute.TRANSACTION) for each in spans] == ["dropped", "committed"]


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


class Nasty(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize("error", [Nasty(), ValueError("\ud800"), ValueError("x" * 100_000)])
def test_no_error_of_an_author_costs_a_span(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    world = make()

    def handle(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(world.manager), "handle", handle)
    # Callbacks are bound when a worker starts.
    world.restart()
    happens(world, "skip")

    process = world.collector.one("process world.events")
    assert told(process, Attribute.OUTCOME) == "skipped"
    assert told(process, Attribute.ERROR_TYPE) == type(error).__name__
    assert len(encode_spans([process]).SerializeToString()) < 3_000

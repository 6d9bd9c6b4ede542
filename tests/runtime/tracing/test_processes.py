"""Traces of whole processes on a real Kafka, as a collector gets them over OTLP.

One story, because it takes a broker and three workers: a transfer straight on; one that is tried
again, one that waits for a timer, one that an operator mends; a worker killed within a transaction;
and all events delivered once more. Then all that was told is held against what the topics say.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from pmstream.core.orders import Verb
from pmstream.devkafka import Cluster
from pmstream.examples.bank import COMMANDS, EVENTS
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.roles import ROUTER
from pmstream.runtime.spans import Attribute
from tests.runtime.tracing.hesitant import PARKED, RETRIED, TIMED, TIMER, UNLUCKY
from tests.runtime.tracing.hosts import NAMES, PARTITIONS, TRANSFERS, Hosts, sent_to
from tests.runtime.tracing.otlp import receiving
from tests.runtime.tracing.told import Spans, Told

pytestmark = pytest.mark.kafka

PLAIN = "plain"
KILLED = next(
    uuid
    for uuid in (f"killed-{n}" for n in range(1_000))
    if murmur2_partition(uuid.encode(), PARTITIONS) == murmur2_partition(PLAIN.encode(), PARTITIONS)
)
"""A transfer of the same owner as PLAIN."""

ALL = (PLAIN, RETRIED, TIMED, PARKED, KILLED)
BANK, SEND = f"process {COMMANDS}", f"send {COMMANDS}"
BEGUN, ANSWERED = f"process {TRANSFERS}", f"process {EVENTS}"
Place = tuple[str, str, int]
"""Topic, partition and offset, as spans tell them."""

HOPS = [SEND, BANK, f"route {EVENTS}", ANSWERED]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    # A Kafka of its own: the bank's topics have fixed names.
    with Cluster() as cluster, receiving() as receiver:
        made = Hosts(cluster.bootstrap_servers, receiver, tmp_path)
        yield made
        made.close()


def test_what_is_told_of_transfers_is_what_became_of_them(hosts: Hosts) -> None:
    hosts.transfer(PLAIN, RETRIED, TIMED)
    hosts.transfer(PARKED, amount=UNLUCKY)
    hosts.until(lambda: hosts.spans.of(PARKED, outcome="parked"))
    hosts.order(Verb.EDIT, PARKED, set={"amount": 12})
    hosts.order(Verb.RELEASE, PARKED)
    hosts.until(lambda: ended(hosts.spans) == {PLAIN, RETRIED, TIMED, PARKED})
    victim = kill_within_a_transaction(hosts)
    again = deliver_again(hosts)
    hosts.until(lambda: ended(hosts.spans) == set(ALL))
    hosts.until(lambda: routed(hosts.spans) >= again + again)
    hosts.until(lambda: not missing(hosts))

    straight_on(hosts.spans)
    tried_again(hosts.spans)
    waited_for_a_timer(hosts.spans)
    mended_by_an_operator(hosts.spans)
    went_on_with_the_other_worker(hosts.spans, victim)
    nobody_lied(hosts)


def ended(spans: Spans) -> set[str]:
    """Transfers of which it is told that they have ended."""
    found = [each for each in spans.named(ANSWERED) if each.get(Attribute.OUTCOME) == "ended"]
    return {each.get(Attribute.PROCESS_UUID) for each in found}


def kill_within_a_transaction(hosts: Hosts) -> str:
    """The owner of a transfer dies with the answer to its withdrawal in hand; says who."""
    hosts.bank_is_open = False
    hosts.transfer(KILLED)
    hosts.until(lambda: hosts.spans.of(KILLED, outcome="handled"))
    (first,) = hosts.spans.of(KILLED)
    victim = first.instance.partition("/")[0]
    hosts.light(victim)
    hosts.bank_is_open = True
    hosts.until(lambda: hosts.is_dead(victim))
    return victim


def deliver_again(hosts: Hosts) -> Counter[Place]:
    """All events once more: the router tells each again, owners drop them; says which."""
    hosts.end("router-0")
    routed_by_now = places(hosts.visible(TRANSFERS, EVENTS))
    hosts.until(lambda: not hosts.log.members(NAMES.group(ROUTER)))  # it was a static one
    hosts.deliver_again()
    hosts.start(ROUTER, "router-0")
    return routed_by_now


def places(records: Iterable[Record]) -> Counter[Place]:
    return Counter((each.topic, str(each.partition), each.offset) for each in records)


def place(span: Told) -> Place:
    """Where the event of a span is, as it says."""
    topic, partition, offset = (
        span.get(name) for name in (Attribute.TOPIC, Attribute.PARTITION, Attribute.OFFSET)
    )
    return topic, partition, offset


def routed(spans: Spans) -> Counter[Place]:
    """Events by how often it is told that they were routed."""
    return Counter(place(each) for each in spans.all if is_route(each) and each.counts)


def is_route(span: Told) -> bool:
    return span.name.startswith("route ")


# Each transfer


def names(way: list[Told]) -> list[str]:
    return [each.name for each in way]


def straight_on(spans: Spans) -> None:
    (last,) = spans.of(PLAIN, outcome="ended")
    way = spans.way(last)
    assert names(way) == [f"send {TRANSFERS}", f"route {TRANSFERS}", BEGUN, *HOPS, *HOPS]
    bank, accounts = "bank", "bank-accounts"
    answer = [accounts, bank, bank]
    assert [each.service for each in way] == ["shop", bank, bank, bank, *answer, bank, *answer]
    assert [each.instance.rpartition("/")[2] for each in way[1:3]] == ["router", "instances"]
    assert {each.get(Attribute.CONVERSATION) for each in way[2:] if not is_route(each)} == {PLAIN}
    message = {Attribute.SYSTEM, Attribute.OPERATION, Attribute.TOPIC}
    record = {*message, Attribute.PARTITION, Attribute.OFFSET, Attribute.TRANSACTION}
    command = {*message, Attribute.MESSAGE_ID, Attribute.CONVERSATION, Attribute.TRANSACTION}
    assert [set(each.attributes) for each in (*way[:2], *way[3:5])] == [
        message,
        {*record, Attribute.PROCESS_MANAGER, Attribute.OUTCOME},
        command,
        {*record, Attribute.PROCESS_UUID, Attribute.CONVERSATION},
    ]


def tried_again(spans: Spans) -> None:
    first, again = spans.named(BEGUN, RETRIED)
    assert first.attributes == {
        **of_event(first, RETRIED, "start"),
        "pmstream.outcome": "retrying",
        "pmstream.answer": "Retry",
        "pmstream.attempt": 1,
        "error.type": "Unlucky",
    }
    assert first.span.status.code == Status.STATUS_CODE_ERROR
    assert (again.parent, again.links) == ("", [first.id])
    assert again.attributes == {
        **of_event(first, RETRIED, "start"),
        "pmstream.input": "retry",
        "pmstream.outcome": "handled",
        "pmstream.attempt": 2,
    }
    (last,) = spans.of(RETRIED, outcome="ended")
    assert names(spans.way(last)) == [BEGUN, *HOPS, *HOPS]
    assert spans.way(last)[0] == again


def waited_for_a_timer(spans: Spans) -> None:
    (first,), (fired,) = spans.named(BEGUN, TIMED), spans.named("process timer", TIMED)
    assert (fired.parent, fired.links) == ("", [first.id])
    assert fired.span.kind == Span.SPAN_KIND_INTERNAL
    assert fired.attributes == {
        "messaging.message.conversation_id": TIMED,
        "pmstream.process_manager": NAMES.process_manager,
        "pmstream.process_uuid": TIMED,
        "pmstream.input": "timer",
        "pmstream.timer": TIMER,
        "pmstream.attempt": 1,
        "pmstream.outcome": "handled",
        "pmstream.transaction": "committed",
    }
    (last,) = spans.of(TIMED, outcome="ended")
    assert names(spans.way(last)) == ["process timer", *HOPS, *HOPS]


def mended_by_an_operator(spans: Spans) -> None:
    (parked,) = spans.of(PARKED, outcome="parked")
    edited, released = spans.named(f"process {NAMES.orders}", PARKED)
    assert [each.links for each in (edited, released)] == [[parked.id], [edited.id]]
    assert [each.parent for each in (edited, released)] == ["", ""]
    assert [each.get(Attribute.ORDER) for each in (edited, released)] == ["edit", "release"]
    assert len({each.trace for each in (parked, edited, released)}) == 3
    (last,) = spans.of(PARKED, outcome="ended")
    assert names(spans.way(last)) == [f"process {NAMES.orders}", *HOPS]
    assert spans.way(last)[0] == released


def went_on_with_the_other_worker(spans: Spans, victim: str) -> None:
    (last,) = spans.of(KILLED, outcome="ended")
    way = spans.way(last)
    assert names(way) == [f"send {TRANSFERS}", f"route {TRANSFERS}", BEGUN, *HOPS, *HOPS]
    workers = [each.instance for each in way if each.name in (BEGUN, ANSWERED)]
    other = {"i-1": "i-2", "i-2": "i-1"}[victim]
    assert workers == [f"{victim}/instances", *[f"{other}/instances"] * 2]


def of_event(like: Told, uuid: str, route: str) -> dict[str, object]:
    """What each span of an event that was handled says."""
    place = {str(name): like.get(name) for name in (Attribute.PARTITION, Attribute.OFFSET)}
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": TRANSFERS,
        **place,
        "messaging.message.conversation_id": uuid,
        "pmstream.process_manager": NAMES.process_manager,
        "pmstream.process_uuid": uuid,
        "pmstream.input": "event",
        "pmstream.route": route,
        "pmstream.transaction": "committed",
    }


# All of them


def carried(record: Record) -> str:
    """Id of the span that sent a record."""
    return (dict(record.headers)["traceparent"] or b"").decode().split("-")[2]


def missing(hosts: Hosts) -> list[str]:
    """Spans that visible records come from, and that have not arrived yet."""
    known = hosts.spans.by_id
    sent = [carried(record) for record in hosts.visible(TRANSFERS, *sent_to())]
    return [each for each in sent if each not in known]


def nobody_lied(hosts: Hosts) -> None:
    spans = hosts.spans
    sent = Counter(carried(each) for each in hosts.visible(*sent_to()))
    tells = [each for each in spans.all if each.name in (SEND, BANK) or is_route(each)]
    assert set(sent) == {each.id for each in tells if each.counts}
    assert len(spans.all) == len(spans.by_id)
    alone = [each for each in spans.all if each.parent and each.parent not in spans.by_id]
    assert not alone
    assert {link for each in spans.all for link in each.links} <= spans.by_id.keys()
    assert not {name for each in spans.all for name in each.attributes} - set(Attribute)
    handled_once(hosts)
    commits = spans.named("commit")
    linked = Counter(link for each in commits for link in each.links)
    inputs = {
        each.id
        for each in spans.all
        if each.counts and each.name.split()[0] in ("route", "process")
    }
    assert linked == Counter(inputs)


def handled_once(hosts: Hosts) -> None:
    """Each event has one span that counts, and it tells the truth of where the event is."""
    told = Counter(
        place(each)
        for each in hosts.spans.all
        if each.get(Attribute.INPUT) == "event" and each.counts
    )
    assert told == places(hosts.visible(TRANSFERS, EVENTS))

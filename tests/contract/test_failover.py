"""Contract: one broker of three is killed; what was promised before holds, what follows goes on.

The log in memory has no broker that could die: there it shows what the promise is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise

import pytest

from pmstream.runtime.log import Committed, Producer, TopicPartition
from pmstream.runtime.log_errors import MustAbort
from tests.contract.conftest import MEMORY, THREE
from tests.contract.world import CALL, Member, World

Outage = Callable[[], AbstractContextManager[None]]

pytestmark = pytest.mark.parametrize("world", [MEMORY, THREE], indirect=True)

LEADERS = 3
"""Partitions, so that each broker leads one; as many producers, for their coordinators."""


@pytest.fixture
def outage(world: World, request: pytest.FixtureRequest) -> Outage:
    """A while without broker 1."""
    if request.node.callspec.params["world"] == MEMORY:
        return nullcontext
    cluster = request.getfixturevalue("kafka3")

    @contextmanager
    def killed() -> Iterator[None]:
        cluster.kill(1)
        try:
            yield
        finally:
            cluster.start_broker(1)

    return killed


def places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(LEADERS)]


def write_all(world: World, topic: str, values: list[bytes]) -> None:
    for place in places(topic):
        world.write(place, values)


def stage_all(world: World, producer: Producer, topic: str, value: bytes) -> None:
    producer.begin()
    for place in places(topic):
        world.add(producer, place, [value])


def test_what_was_taken_stays_and_more_is_taken_in_order(world: World, outage: Outage) -> None:
    topic = world.topic(LEADERS)
    write_all(world, topic, [b"1", b"2"])
    with outage():
        write_all(world, topic, [b"3", b"4"])
        assert [world.values(place) for place in places(topic)] == [[b"1", b"2", b"3", b"4"]] * 3


def test_an_open_transaction_is_decided_after_the_kill(world: World, outage: Outage) -> None:
    """Or has to be aborted, and then counts when it is done again: never half, never twice."""
    topic, source = world.topic(LEADERS), world.topic(LEADERS)
    member = world.joined([source])
    producers = [world.producer() for _ in range(LEADERS)]
    for number, producer in enumerate(producers):
        stage_all(world, producer, topic, b"%d" % number)
    with outage():
        for number, producer in enumerate(producers):
            finish(world, producer, member, TopicPartition(source, number), topic)
        for number, place in enumerate(places(source)):
            assert world.committed(member, place) == Committed(7, f"by {number}")
        for place in places(topic):
            world.until(lambda at=place: len(world.values(at)) == LEADERS, lambda: None)  # type: ignore[misc]
            assert sorted(world.values(place), key=str) == [b"0", b"1", b"2"]


def finish(
    world: World, producer: Producer, member: Member, source: TopicPartition, topic: str
) -> None:
    """Sends a position and commits; does all of it again as often as it must be aborted."""
    number = source.partition
    while True:
        try:
            world.gather_until(lambda: member.consumer.membership() is not None, member)
            position = Committed(7, f"by {number}")
            world.send(producer, member.consumer.membership(), source, position)
            return world.commit(producer)
        except MustAbort:
            world.abort(producer)
            stage_all(world, producer, topic, b"%d" % number)


def test_a_takeover_is_done_although_a_broker_is_away(world: World, outage: Outage) -> None:
    topic = world.topic(LEADERS)
    producers = [world.producer() for _ in range(LEADERS)]
    for producer in producers:
        stage_all(world, producer, topic, b"open")
    with outage():
        for producer in producers:
            world.repeat(lambda who=producer: world.log.abort_open(who.transactional_id, CALL))  # type: ignore[misc]
        for place in places(topic):
            world.stable(place, world.end(place, stable=False))
            assert world.values(place) == []


def test_a_member_reads_on_where_it_stands(world: World, outage: Outage) -> None:
    topic = world.topic(LEADERS)
    write_all(world, topic, [b"1"])
    member = world.joined([topic])
    world.gather_until(lambda: len(member.records) == LEADERS, member)
    with outage():
        write_all(world, topic, [b"2"])
        world.gather_until(lambda: all(member.offsets(at)[-1] == 1 for at in places(topic)), member)
        # Its coordinator may be the broker that died: who is lost for it begins anew, at 0 here.
        begun = 1 + member.names().count("lost")
        for place in places(topic):
            read = member.offsets(place)
            assert read[0] == 0
            assert all(after in (before + 1, 0) for before, after in pairwise(read))
            assert read.count(0) <= begun
        world.gather_until(lambda: member.consumer.membership() is not None, member)

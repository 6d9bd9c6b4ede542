"""Contract: work may be done while the log takes records and positions; it changes nothing else."""

import pytest

from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.log_errors import MustGather, OutcomeUnknown
from tests.contract.world import CALL, Member, World


class Bug(RuntimeError):
    """What the work raises: of the family that the client's own errors are of."""


class Work:
    """Pieces of work, so many."""

    def __init__(self, pieces: int = 3) -> None:
        self.left = pieces

    def __call__(self) -> bool:
        self.left -= 1
        return self.left > 0


def broken() -> bool:
    raise Bug("not the log's")


@pytest.fixture
def source(world: World) -> TopicPartition:
    return world.partition()


@pytest.fixture
def member(world: World, source: TopicPartition) -> Member:
    return world.joined([source.topic])


def test_work_is_done_and_the_transaction_counts(
    world: World, member: Member, source: TopicPartition
) -> None:
    target, producer = world.partition(), world.producer()
    group, flushing, sending = member.consumer.membership(), Work(), Work()
    assert group is not None
    producer.begin()
    for number in range(500):
        producer.produce(target.topic, b"%d" % number, b"key", (), target.partition)

    world.repeat(lambda: producer.flush(CALL, flushing))
    world.repeat(lambda: producer.send_offsets(group, {source: Committed(3)}, CALL, sending))
    world.commit(producer)

    assert flushing.left < 3
    assert sending.left < 3
    assert world.committed(member, source) == Committed(3)
    assert len(world.read(target)) == 500


def test_a_stale_membership_is_refused_all_the_same(world: World) -> None:
    topic, group = world.topic(2), world.name("group")
    one = world.joined([topic], group)
    stale = one.consumer.membership()
    assert stale is not None
    two = world.member(group, [topic])
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 1, one, two)
    producer, offsets = world.producer(), {TopicPartition(topic, 0): Committed(3)}
    producer.begin()

    with pytest.raises(MustGather):
        world.repeat(lambda: producer.send_offsets(stale, offsets, CALL, Work()))
    world.abort(producer)


def test_what_the_work_raises_is_not_taken_for_the_logs(
    world: World, member: Member, source: TopicPartition
) -> None:
    target, producer = world.partition(), world.producer()
    group = member.consumer.membership()
    assert group is not None
    producer.begin()
    for number in range(500):
        producer.produce(target.topic, b"%d" % number, b"key", (), target.partition)

    with pytest.raises(Bug):
        producer.flush(CALL, broken)
    world.repeat(lambda: producer.flush(CALL))
    with pytest.raises(Bug):
        producer.send_offsets(group, {source: Committed(3)}, CALL, broken)
    world.abort(producer)

    assert world.committed(member, source) is None


def test_a_dropped_producer_does_nothing_more(world: World) -> None:
    producer = world.producer()
    producer.drop()

    for call in (producer.flush, producer.commit, producer.abort):
        with pytest.raises(OutcomeUnknown):
            call(CALL)

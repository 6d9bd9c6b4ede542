"""What a test can do to the memory log."""

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, FaultKind, TopicPartition
from pmstream.runtime.log_errors import Again, MustAbort, OffsetPending, OutcomeUnknown
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import CALL, World


class Crashed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("after", [False, True])
def test_a_commit_without_an_answer_can_be_repeated(
    world: World, log: MemoryLog, after: bool
) -> None:
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"value"])
    log.inject("commit", Again("no answer"), after=after)

    with pytest.raises(Again):
        producer.commit(CALL)
    assert world.end(partition, stable=True) == (2 if after else 0)
    producer.commit(CALL)

    assert world.values(partition) == [b"value"]
    world.stage(producer, partition, [b"next"])
    world.commit(producer)


@pytest.mark.parametrize("after", [False, True])
def test_an_unknown_outcome_is_decided_by_the_next_producer(
    world: World, log: MemoryLog, after: bool
) -> None:
    partition, name = world.partition(), world.name("id")
    producer = world.producer(name)
    world.stage(producer, partition, [b"value"])
    log.inject("commit", OutcomeUnknown("no answer"), after=after)

    with pytest.raises(OutcomeUnknown):
        producer.commit(CALL)
    with pytest.raises(OutcomeUnknown):
        producer.begin()
    world.producer(name)

    assert world.values(partition) == ([b"value"] if after else [])
    assert world.end(partition, stable=True) == 2


def test_after_a_commit_without_an_answer_only_commit_may_follow(
    world: World, log: MemoryLog
) -> None:
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"value"])
    log.inject("commit", Again("no answer"), after=True)
    with pytest.raises(Again):
        producer.commit(CALL)

    with pytest.raises(OutcomeUnknown):
        producer.abort(CALL)


def test_a_commit_that_never_arrived_still_sends_what_is_queued(
    world: World, log: MemoryLog
) -> None:
    partition, producer = world.partition(), world.producer()
    producer.begin()
    producer.produce(partition.topic, b"queued", b"key")
    log.inject("commit", Again("no answer"))
    with pytest.raises(Again):
        producer.commit(CALL)

    producer.commit(CALL)

    assert world.values(partition) == [b"queued"]


def test_a_record_that_was_not_taken_is_missing_if_one_commits_all_the_same(
    world: World, log: MemoryLog
) -> None:
    partition, producer = world.partition(), world.producer()
    producer.begin()
    producer.produce(partition.topic, b"taken", b"key")
    log.inject("produce", MustAbort("queue full"))
    with pytest.raises(MustAbort):
        producer.produce(partition.topic, b"not taken", b"key")

    world.commit(producer)

    assert world.values(partition) == [b"taken"]


def test_a_crash_leaves_what_was_done_before_it(world: World, log: MemoryLog) -> None:
    partition, producer = world.partition(), world.producer()
    producer.begin()
    producer.produce(partition.topic, b"value", b"key")
    log.inject("flush", Crashed(), after=True)

    with pytest.raises(Crashed):
        producer.flush(CALL)

    assert world.end(partition, stable=False) == 1
    assert world.end(partition, stable=True) == 0


def test_an_answer_may_be_none_and_a_plan_may_be_taken_back(world: World, log: MemoryLog) -> None:
    partition = world.partition()
    plan = log.inject("end", None, times=100)

    assert log.end(partition, stable=True) is None
    assert log.end(partition, stable=False) is None
    plan.left = 0

    assert log.end(partition, stable=True) == 0
    assert plan.hits == 2


def test_a_plan_hits_the_one_it_names(world: World, log: MemoryLog) -> None:
    one, two = world.producer("one"), world.producer("two")
    log.inject("begin", OutcomeUnknown("x"), who="two")

    one.begin()
    with pytest.raises(OutcomeUnknown):
        two.begin()


def test_a_coordinator_away_leaves_positions_unknown(world: World, log: MemoryLog) -> None:
    partition = world.partition()
    member = world.joined([partition.topic])
    log.inject("committed", OffsetPending("coordinator away"), times=2)

    for _ in range(2):
        with pytest.raises(OffsetPending):
            member.consumer.committed(partition, 0.1)

    assert member.consumer.committed(partition, 0.1) is None


def test_late_markers_hide_what_is_committed(world: World, log: MemoryLog) -> None:
    partition = world.partition()
    member, producer = world.joined([partition.topic]), world.producer()
    log.hold_markers(held=True)
    world.stage(producer, partition, [b"value"])
    world.send(producer, member.consumer.membership(), partition, Committed(1))

    producer.commit(CALL)

    assert world.values(partition) == []
    with pytest.raises(OffsetPending):
        member.consumer.committed(partition, 0.1)
    producer.begin()
    producer.produce(partition.topic, b"next", b"key")
    with pytest.raises(Again, match="CONCURRENT_TRANSACTIONS"):
        producer.flush(CALL)
    log.hold_markers(held=False)
    producer.commit(CALL)
    assert world.values(partition) == [b"value", b"next"]
    assert world.committed(member, partition) == Committed(1)


def test_a_pinned_transaction_hangs_until_it_is_let_go(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    partition, name = world.partition(), world.name("id")
    producer = world.producer(name)
    world.stage(producer, partition, [b"hanging"])
    log.pin(name)

    clock.advance(3_600)
    with pytest.raises(Again):
        log.abort_open(name, 3)
    assert world.end(partition, stable=True) == 0
    log.pin(name, pinned=False)

    assert world.end(partition, stable=True) == 2


def test_an_expelled_member_hears_of_it_then_loses_then_comes_back(
    world: World, log: MemoryLog
) -> None:
    partition, group = world.partition(), world.name("group")
    member = world.member(group, [partition.topic], "name")
    world.gather_until(lambda: bool(member.owned), member)
    world.write(partition, [b"value"])

    log.expel(group, "name")
    assert member.gather() == []
    assert [fault.kind for fault in member.faults] == [FaultKind.EXPELLED]
    assert member.owned == {partition}
    assert member.consumer.membership() is None
    member.gather()
    assert member.owned == set()

    world.gather_until(lambda: len(member.records) == 1, member)
    assert member.names() == ["assigned", "lost", "assigned"]


def test_a_lost_session_is_told_by_the_next_gather(world: World, log: MemoryLog) -> None:
    partition, group = world.partition(), world.name("group")
    member = world.member(group, [partition.topic], "name")
    world.gather_until(lambda: bool(member.owned), member)

    log.lose(group, "name")
    member.gather()

    assert member.names() == ["assigned", "lost"]
    assert member.faults == []


def test_a_rebalance_makes_the_known_membership_stale(world: World, log: MemoryLog) -> None:
    partition, group = world.partition(), world.name("group")
    member, producer = world.joined([partition.topic], group), world.producer()
    log.rebalance(group)
    producer.begin()

    with pytest.raises(MustAbort, match="ILLEGAL_GENERATION"):
        world.send(producer, member.consumer.membership(), partition, Committed(1))

    world.abort(producer)
    member.gather()
    producer.begin()
    world.send(producer, member.consumer.membership(), partition, Committed(1))
    world.commit(producer)
    assert member.names() == ["assigned"]


def test_a_rotation_moves_every_partition(world: World, log: MemoryLog) -> None:
    topic, group = world.topic(4), world.name("group")
    one, two = world.member(group, [topic]), world.member(group, [topic])
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 2, one, two)
    first, second = set(one.owned), set(two.owned)

    log.rebalance(group, rotate=True)

    world.gather_until(lambda: one.owned == second and two.owned == first, one, two)


def test_a_static_member_replaced_before_it_gave_back_frees_it(world: World) -> None:
    topic, group = world.topic(4), world.name("group")
    old, other = world.member(group, [topic], "name"), world.member(group, [topic], "other")
    world.gather_until(lambda: len(old.owned) == 4, old)
    for _ in range(3):
        other.gather()
    assert other.owned == set()

    new = world.member(group, [topic], "name")

    world.gather_until(lambda: len(new.owned) == len(other.owned) == 2, other, new)


def test_positions_may_expire(world: World, log: MemoryLog) -> None:
    topic, group = world.topic(2), world.name("group")
    positions = {TopicPartition(topic, number): Committed(number + 1) for number in range(2)}
    log.set_positions(group, positions)

    log.forget_positions(group, [TopicPartition(topic, 0)])
    assert set(log.last_committed(group, list(positions))) == {TopicPartition(topic, 1)}
    log.forget_positions(group)
    assert log.last_committed(group, list(positions)) == {}


def test_a_topic_grows_under_its_group(world: World, log: MemoryLog) -> None:
    topic = world.topic(1)
    member = world.joined([topic])

    log.add_partitions(topic, 3)

    world.gather_until(lambda: len(member.owned) == 3, member)
    assert log.topics()[topic].partitions == 3


def test_a_deleted_topic_is_taken_from_its_members(world: World, log: MemoryLog) -> None:
    topic, group = world.topic(1), world.name("group")
    member = world.joined([topic], group)
    log.forget_positions(group)

    log.delete_topic(topic)
    world.gather_until(lambda: bool(member.faults), member)

    world.gather_until(lambda: not member.owned, member)
    assert member.faults[0].kind is FaultKind.REFUSED


def test_a_truncated_log_starts_later_whatever_its_policy(world: World, log: MemoryLog) -> None:
    partition = world.partition({"cleanup.policy": "compact"})
    world.write(partition, [b"value"] * 5)

    log.truncate(partition, 3)

    assert log.start(partition) == 3

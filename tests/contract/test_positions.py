"""Contract: a group's committed positions, inside and outside of transactions."""

import pytest

from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.log_errors import OffsetPending, Refused
from tests.contract.world import Member, World


@pytest.fixture
def source(world: World) -> TopicPartition:
    return world.partition()


@pytest.fixture
def member(world: World, source: TopicPartition) -> Member:
    return world.joined([source.topic])


def test_a_new_group_has_no_position(world: World, member: Member, source: TopicPartition) -> None:
    assert world.committed(member, source) is None


def test_a_position_counts_with_its_transaction_text_included(
    world: World, member: Member, source: TopicPartition
) -> None:
    target, producer = world.partition(), world.producer()
    world.stage(producer, target, [b"command"])

    world.send(producer, member.consumer.membership(), source, Committed(3, "sequence 7 ✓"))
    world.commit(producer)

    assert world.committed(member, source) == Committed(3, "sequence 7 ✓")


def test_a_transaction_may_hold_positions_only(
    world: World, member: Member, source: TopicPartition
) -> None:
    producer = world.producer()
    producer.begin()

    world.send(producer, member.consumer.membership(), source, Committed(1))
    world.commit(producer)

    assert world.committed(member, source) == Committed(1, "")


def test_an_aborted_transaction_moves_no_position(
    world: World, member: Member, source: TopicPartition
) -> None:
    producer = world.producer()
    for position, commit in ((1, True), (2, False)):
        producer.begin()
        world.send(producer, member.consumer.membership(), source, Committed(position))
        if commit:
            world.commit(producer)
        else:
            world.abort(producer)

    assert world.committed(member, source) == Committed(1)


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "aborted"])
def test_a_position_is_pending_until_its_transaction_ends(
    world: World, member: Member, source: TopicPartition, commit: bool
) -> None:
    producer = world.producer()
    producer.begin()
    world.send(producer, member.consumer.membership(), source, Committed(1, "old"))
    world.commit(producer)
    world.committed(member, source)
    producer.begin()
    world.send(producer, member.consumer.membership(), source, Committed(2, "new"))

    with pytest.raises(OffsetPending):
        member.consumer.committed(source, 0.3)

    if commit:
        world.commit(producer)
    else:
        world.abort(producer)
    expected = Committed(2, "new") if commit else Committed(1, "old")
    assert world.committed(member, source) == expected


def test_a_pending_position_hides_no_other(world: World) -> None:
    topic = world.topic(2)
    one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
    member, producer = world.joined([topic]), world.producer()
    producer.begin()
    world.send(producer, member.consumer.membership(), one, Committed(1))

    assert member.consumer.committed(two, 5.0) is None
    world.abort(producer)


def test_the_last_known_position_is_told_at_once_while_another_is_pending(
    world: World, member: Member, source: TopicPartition
) -> None:
    group = world.name("group")
    member = world.joined([source.topic], group)
    producer = world.producer()
    producer.begin()
    world.send(producer, member.consumer.membership(), source, Committed(1, "old"))
    world.commit(producer)
    world.committed(member, source)
    producer.begin()
    world.send(producer, member.consumer.membership(), source, Committed(2, "new"))

    assert world.log.last_committed(group, [source]) == {source: Committed(1, "old")}
    world.commit(producer)
    world.committed(member, source)
    assert world.log.last_committed(group, [source]) == {source: Committed(2, "new")}


def test_last_committed_leaves_out_what_is_not_known(world: World, source: TopicPartition) -> None:
    assert world.log.last_committed(world.name("group"), [source]) == {}


def test_positions_sent_twice_in_one_transaction_count_once_the_last(
    world: World, member: Member, source: TopicPartition
) -> None:
    producer = world.producer()
    producer.begin()
    for position in (1, 2):
        world.send(producer, member.consumer.membership(), source, Committed(position))
    world.commit(producer)

    assert world.committed(member, source) == Committed(2)


def test_positions_are_set_from_outside_while_nobody_is_there(world: World) -> None:
    topic, group = world.topic(2), world.name("group")
    positions = {
        TopicPartition(topic, 0): Committed(4, "by hand"),
        TopicPartition(topic, 1): Committed(0, ""),
    }

    world.log.set_positions(group, positions)

    assert world.log.last_committed(group, list(positions)) == positions
    member = world.member(group, [topic])
    world.gather_until(lambda: len(member.owned) == 2, member)
    for partition, position in positions.items():
        assert world.committed(member, partition) == position


def test_positions_of_a_group_with_members_are_left_alone(
    world: World, source: TopicPartition
) -> None:
    group = world.name("group")
    world.joined([source.topic], group)

    with pytest.raises(Refused, match="members"):
        world.log.set_positions(group, {source: Committed(1)})

    assert world.log.last_committed(group, [source]) == {}


def test_positions_in_no_partition_are_refused_all_of_them(
    world: World, source: TopicPartition
) -> None:
    group = world.name("group")
    positions = {source: Committed(1), TopicPartition(world.name("nowhere"), 0): Committed(1)}

    with pytest.raises(Refused):
        world.log.set_positions(group, positions)

    assert world.log.last_committed(group, [source]) == {}


def test_of_two_transactions_the_position_that_was_sent_last_counts(
    world: World, member: Member, source: TopicPartition
) -> None:
    one, two = world.producer(), world.producer()
    for producer, position in ((one, 5), (two, 6)):
        producer.begin()
        world.send(producer, member.consumer.membership(), source, Committed(position))

    world.commit(two)
    with pytest.raises(OffsetPending):
        member.consumer.committed(source, 0.3)
    world.commit(one)

    assert world.committed(member, source) == Committed(6)


def test_positions_go_with_their_topic(world: World, source: TopicPartition) -> None:
    group = world.name("group")
    world.log.set_positions(group, {source: Committed(1)})

    world.delete_topic(source.topic)

    world.until(lambda: world.log.last_committed(group, [source]) == {}, lambda: None)

"""Contract: who may commit. Stale members, second producers, takeovers."""

from collections.abc import Callable

import pytest

from pmstream.runtime.log import Committed, Membership, Producer, TopicPartition
from pmstream.runtime.log_errors import Fenced, MustGather, OutcomeUnknown
from tests.contract.world import CALL, World


def _refuses(world: World, producer: Producer, group: Membership, source: TopicPartition) -> None:
    """Offsets of this membership are refused, and the producer is usable after the abort."""
    target = world.partition()
    world.stage(producer, target, [b"stale"])
    with pytest.raises(MustGather):
        world.send(producer, group, source, Committed(99))
    world.abort(producer)
    world.stage(producer, target, [b"fine"])
    world.commit(producer)
    world.stable(target, 4)
    assert world.values(target) == [b"fine"]


def test_a_past_generation_is_refused(world: World) -> None:
    topic, group = world.topic(2), world.name("group")
    one = world.joined([topic], group)
    stale = one.consumer.membership()
    two = world.member(group, [topic])
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 1, one, two)

    assert stale is not None
    _refuses(world, world.producer(), stale, TopicPartition(topic, 0))
    assert world.log.last_committed(group, [TopicPartition(topic, 0)]) == {}


def test_a_member_that_left_is_refused(world: World) -> None:
    partition, group = world.partition(), world.name("group")
    one = world.joined([partition.topic], group)
    two = world.member(group, [partition.topic])
    world.gather_until(lambda: len(world.log.members(group)) == 2, one, two)
    left = one.consumer.membership()
    one.consumer.close()
    world.gather_until(lambda: partition in two.owned, two)

    assert left is not None
    _refuses(world, world.producer(), left, partition)


def test_a_replaced_static_member_is_refused(world: World) -> None:
    partition, group = world.partition(), world.name("group")
    old = world.member(group, [partition.topic], "name")
    world.gather_until(lambda: bool(old.owned), old)
    stale = old.consumer.membership()
    new = world.member(group, [partition.topic], "name")
    world.gather_until(lambda: bool(new.owned), new)

    assert stale is not None
    _refuses(world, world.producer(), stale, partition)


def test_a_fresh_membership_is_accepted_for_anything(world: World) -> None:
    """Kafka does not look at who owns a partition: the worker's own table has to (I6)."""
    topic, group = world.topic(2), world.name("group")
    one, two = world.member(group, [topic]), world.member(group, [topic])
    producer = world.producer()
    fresh: list[Membership | None] = []

    def is_settled() -> bool:  # a second round of the rebalance may still be to come
        fresh[:] = [one.consumer.membership()]
        return len(one.owned) == len(two.owned) == 1 and fresh[0] is not None

    world.gather_until(is_settled, one, two)
    (foreign,) = two.owned

    producer.begin()
    world.send(producer, fresh[0], foreign, Committed(5))
    world.commit(producer)

    assert world.committed(two, foreign) == Committed(5)


def _second_producer(world: World, transactional_id: str) -> None:
    world.producer(transactional_id)


def _takeover(world: World, transactional_id: str) -> None:
    world.repeat(lambda: world.log.abort_open(transactional_id, CALL))


@pytest.mark.parametrize("fence", [_second_producer, _takeover])
def test_an_open_transaction_ends_and_its_owner_is_fenced(
    world: World, fence: Callable[[World, str], None]
) -> None:
    partition, name = world.partition(), world.name("id")
    owner = world.producer(name)
    world.stage(owner, partition, [b"open"])
    assert world.end(partition, stable=True) == 0

    fence(world, name)

    world.stable(partition, 2)
    with pytest.raises(Fenced):
        world.commit(owner)
    assert world.values(partition) == []


@pytest.mark.parametrize("fence", [_second_producer, _takeover])
def test_an_idle_owner_is_fenced_in_its_next_transaction(
    world: World, fence: Callable[[World, str], None]
) -> None:
    partition, name = world.partition(), world.name("id")
    owner = world.producer(name)
    world.stage(owner, partition, [b"first"])
    world.commit(owner)

    fence(world, name)

    with pytest.raises(Fenced):  # noqa: PT012 - any call that talks to the brokers tells
        world.stage(owner, partition, [b"second"])
        world.commit(owner)
    assert world.values(partition) == [b"first"]


def test_a_fenced_owner_works_again_as_a_new_producer(world: World) -> None:
    partition, name = world.partition(), world.name("id")
    owner = world.producer(name)
    world.stage(owner, partition, [b"open"])
    _takeover(world, name)
    with pytest.raises(OutcomeUnknown):
        world.commit(owner)
    owner.drop()

    again = world.producer(name)
    world.stage(again, partition, [b"again"])
    world.commit(again)

    world.stable(partition, 4)
    assert world.values(partition) == [b"again"]


def test_a_takeover_that_has_shown_fences_nobody_later(world: World) -> None:
    """Its client would come back after half a second, and fence the owner's new producer."""
    partition, name = world.partition(), world.name("id")
    owner = world.producer(name)
    world.stage(owner, partition, [b"open"])
    world.log.abort_open(name, CALL, lambda: world.end(partition, stable=True) == 2)
    owner.drop()

    again = world.producer(name)
    world.clock.sleep(1.5)

    world.stage(again, partition, [b"again"])
    world.commit(again)
    world.stable(partition, 4)
    assert world.values(partition) == [b"again"]


def test_a_takeover_of_an_unknown_id_does_no_harm(world: World) -> None:
    name = world.name("id")
    _takeover(world, name)

    partition, producer = world.partition(), world.producer(name)
    world.stage(producer, partition, [b"value"])
    world.commit(producer)
    world.stable(partition, 2)


def test_a_dropped_producer_leaves_its_transaction_open(world: World) -> None:
    partition, name = world.partition(), world.name("id")
    dropped = world.producer(name)
    world.stage(dropped, partition, [b"open"])

    dropped.drop()
    assert world.end(partition, stable=True) == 0
    world.producer(name)

    world.stable(partition, 2)
    assert world.values(partition) == []


def test_a_takeover_frees_pending_positions(world: World) -> None:
    partition, name = world.partition(), world.name("id")
    member, owner = world.joined([partition.topic]), world.producer(name)
    owner.begin()
    world.send(owner, member.consumer.membership(), partition, Committed(7))

    _takeover(world, name)

    assert world.committed(member, partition) is None
    with pytest.raises(Fenced):
        owner.commit(CALL)

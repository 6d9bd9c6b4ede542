"""Contract: joining, leaving, and what members are told of it."""

from pmstream.runtime.log import Committed, FaultKind, TopicPartition
from tests.contract.world import Member, World


def test_nobody_is_a_member_before_the_first_gather(world: World) -> None:
    member = world.member(world.name("group"), [world.topic()])

    assert member.consumer.membership() is None
    assert member.told == []


def test_the_first_member_is_assigned_everything(world: World) -> None:
    topic, group = world.topic(3), world.name("group")
    member = world.member(group, [topic])

    world.gather_until(lambda: len(member.owned) == 3, member)

    assert member.owned == {TopicPartition(topic, number) for number in range(3)}
    assert member.consumer.membership() is not None
    assert len(world.log.members(group)) == 1


def test_assigned_partitions_are_paused_until_sought_and_resumed(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"0", b"1", b"2"])
    member = world.member(world.name("group"), [partition.topic], start=False)
    world.gather_until(lambda: bool(member.owned), member)

    for _ in range(5):
        assert member.gather() == []
    member.consumer.seek(partition, 1)
    for _ in range(5):
        assert member.gather() == []
    world.repeat(lambda: member.start(partition, 1))

    world.gather_until(lambda: len(member.records) >= 2, member)
    assert member.offsets(partition) == [1, 2]


def test_a_second_member_gets_its_share_after_the_first_gave_it_back(world: World) -> None:
    topic, group = world.topic(4), world.name("group")
    one = world.joined([topic], group)
    world.gather_until(lambda: len(one.owned) == 4, one)
    two = world.member(group, [topic])

    def shared() -> bool:
        assert one.owned.isdisjoint(two.owned)
        return len(one.owned) == 2 and len(two.owned) == 2

    world.gather_until(shared, one, two)

    assert one.names() == ["assigned", "revoked"]
    assert two.names() == ["assigned"]
    assert one.outside == two.outside == 0


def test_what_the_first_gives_back_late_is_assigned_all_the_same(world: World) -> None:
    topic, group = world.topic(4), world.name("group")
    one = world.joined([topic], group)
    world.gather_until(lambda: len(one.owned) == 4, one)
    two = world.member(group, [topic])
    world.gather_until(lambda: len(world.log.members(group)) == 2, two)
    for _ in range(5):
        two.gather()
    assert two.owned == set()

    world.gather_until(lambda: len(one.owned) == len(two.owned) == 2, one, two)


def test_what_was_kept_reads_on_through_a_rebalance(world: World) -> None:
    topic, group = world.topic(2), world.name("group")
    partitions = [TopicPartition(topic, number) for number in range(2)]
    one = world.joined([topic], group)
    world.gather_until(lambda: len(one.owned) == 2, one)
    for partition in partitions:
        world.write(partition, [b"value"] * 5)
    world.gather_until(lambda: len(one.records) == 10, one)
    two = world.member(group, [topic], start=False)

    world.gather_until(lambda: len(two.owned) == 1, one, two)
    (kept,) = one.owned
    for partition in partitions:
        world.write(partition, [b"value"] * 5)
    world.gather_until(lambda: len(one.offsets(kept)) == 10, one, two)

    assert one.offsets(kept) == list(range(10))
    assert two.records == []


def test_a_member_that_leaves_is_followed_by_the_others(world: World) -> None:
    topic, group = world.topic(4), world.name("group")
    one, two = world.member(group, [topic]), world.member(group, [topic])
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 2, one, two)
    told = len(two.told)

    two.consumer.close()

    world.gather_until(lambda: len(one.owned) == 4, one)
    assert len(two.told) == told, "close tells nothing"
    assert len(world.log.members(group)) == 1


def test_every_rebalance_is_a_new_generation(world: World) -> None:
    topic, group = world.topic(2), world.name("group")
    one = world.joined([topic], group)
    first = one.consumer.membership()
    two = world.member(group, [topic])

    world.gather_until(lambda: len(one.owned) == len(two.owned) == 1, one, two)
    world.gather_until(lambda: _generation(one) == _generation(two), one, two)

    assert first is not None
    assert _generation(one) > first.generation


def test_a_static_member_comes_back_without_disturbing_the_others(world: World) -> None:
    topic, group = world.topic(4), world.name("group")
    one, two = world.member(group, [topic], "one"), world.member(group, [topic], "two")
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 2, one, two)
    world.gather_until(lambda: _generation(one) == _generation(two), one, two)
    told, owned, before = one.names(), set(two.owned), _generation(one)

    two.consumer.close()
    again = world.member(group, [topic], "two")
    world.gather_until(lambda: len(again.owned) == 2, one, again)

    assert again.owned == owned
    assert one.names() == told
    assert _generation(one) == _generation(again) == before
    assert sorted(world.log.members(group)) == ["one", "two"]


def test_a_replaced_static_member_can_never_work_again(world: World) -> None:
    topic, group = world.topic(), world.name("group")
    old = world.member(group, [topic], "name")
    world.gather_until(lambda: bool(old.owned), old)

    new = world.member(group, [topic], "name")
    world.gather_until(lambda: bool(new.owned), new)
    world.gather_until(lambda: bool(old.faults), old)

    assert [fault.kind for fault in old.faults[:1]] == [FaultKind.FATAL]
    assert new.faults == []


def test_partitions_added_by_a_subscription_of_two_topics_are_all_assigned(world: World) -> None:
    one, two = world.partition(), world.partition()
    member = world.member(world.name("group"), [one.topic, two.topic])

    world.gather_until(lambda: member.owned == {one, two}, member)
    world.write(one, [b"one"])
    world.write(two, [b"two"])

    world.gather_until(lambda: len(member.records) == 2, member)
    assert {record.value for record in member.records} == {b"one", b"two"}


def test_an_unknown_topic_is_told_as_a_fault(world: World) -> None:
    member = world.member(world.name("group"), [world.name("nowhere")])

    world.gather_until(lambda: bool(member.faults), member)

    assert member.faults[0].kind is FaultKind.REFUSED


def test_a_member_goes_on_where_the_group_stands(world: World) -> None:
    partition, group = world.partition(), world.name("group")
    world.write(partition, [b"%d" % number for number in range(6)])
    one, producer = world.joined([partition.topic], group), world.producer()
    producer.begin()
    world.send(producer, one.consumer.membership(), partition, Committed(4))
    world.commit(producer)
    one.consumer.close()

    two = world.member(group, [partition.topic])

    world.gather_until(lambda: len(two.records) == 2, two)
    assert two.offsets(partition) == [4, 5]


def _generation(member: Member) -> int:
    membership = member.consumer.membership()
    return -1 if membership is None else membership.generation

"""Contract: what a group member reads, through pause, resume, seek and loss of its position."""

from pmstream.runtime.log import FaultKind, TopicPartition
from tests.contract.world import World


def test_a_member_sees_committed_records_only(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    member = world.joined([partition.topic])
    world.stage(producer, partition, [b"aborted"])
    world.abort(producer)
    world.write(partition, [b"plain"])
    world.stage(producer, partition, [b"open"])

    world.gather_until(lambda: bool(member.records), member)
    for _ in range(5):
        member.gather()
    assert [record.value for record in member.records] == [b"plain"]
    world.commit(producer)

    world.gather_until(lambda: len(member.records) == 2, member)
    assert [record.value for record in member.records] == [b"plain", b"open"]


def test_two_resumes_without_a_record_between_repeat_nothing(world: World) -> None:
    partition = world.partition()
    member = world.joined([partition.topic])
    world.write(partition, [b"value"] * 5)
    world.until(lambda: len(member.records) >= 2, lambda: member.gather(2))

    for _ in range(2):
        member.consumer.pause([partition])
        member.consumer.resume([partition])
    world.gather_until(lambda: len(member.records) >= 5, member)

    assert member.offsets(partition) == list(range(5))


def test_pause_and_resume_lose_and_repeat_nothing(world: World) -> None:
    partition = world.partition()
    member = world.joined([partition.topic])
    world.write(partition, [b"value"] * 200)

    for _ in range(10):
        member.gather(7)
        member.consumer.pause([partition])
        assert member.gather(7) == []
        member.consumer.resume([partition])
    world.gather_until(lambda: len(member.records) >= 200, member)

    assert member.offsets(partition) == list(range(200))


def test_a_paused_partition_does_not_stop_the_others(world: World) -> None:
    topic = world.topic(2)
    paused, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    member = world.joined([topic])
    world.gather_until(lambda: len(member.owned) == 2, member)
    member.gather()
    member.consumer.pause([paused])
    world.write(paused, [b"value"] * 5)
    world.write(other, [b"value"] * 5)

    world.gather_until(lambda: len(member.records) >= 5, member)
    assert member.offsets(paused) == []
    assert member.offsets(other) == list(range(5))
    member.consumer.resume([paused])

    world.gather_until(lambda: len(member.records) >= 10, member)
    assert member.offsets(paused) == list(range(5))


def test_a_seek_is_where_reading_goes_on(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 100)
    member = world.joined([partition.topic])
    world.gather_until(lambda: bool(member.records), member)
    read = len(member.records)

    world.repeat(lambda: member.consumer.seek(partition, 20))
    world.gather_until(lambda: len(member.records) >= read + 80, member)

    assert member.offsets(partition)[read:] == list(range(20, 100))


def test_a_seek_forward_skips(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 100)
    member = world.joined([partition.topic])
    world.gather_until(lambda: bool(member.records), member)
    read = len(member.records)

    world.repeat(lambda: member.consumer.seek(partition, 100))
    for _ in range(5):
        member.gather()
    world.write(partition, [b"new"])
    world.gather_until(lambda: len(member.records) > read, member)

    assert member.offsets(partition)[read:] == [100]


def test_a_gather_of_nothing_keeps_the_membership_and_the_records(world: World) -> None:
    partition = world.partition()
    member = world.joined([partition.topic])
    member.gather()
    world.write(partition, [b"value"] * 10)

    for _ in range(5):
        assert member.gather(0) == []

    assert member.consumer.position(partition) == 0
    world.gather_until(lambda: len(member.records) >= 10, member)
    assert member.offsets(partition) == list(range(10))


def test_a_gather_answers_no_more_than_asked_for(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 50)
    member = world.joined([partition.topic])
    sizes: list[int] = []

    world.until(lambda: sum(sizes) + len(sizes) >= 50, lambda: sizes.append(len(member.gather(9))))

    assert max(sizes) <= 9


def test_a_members_position_stands_behind_what_it_answered_maybe_before_a_last_marker(
    world: World,
) -> None:
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"one", b"two"])
    world.commit(producer)
    member = world.joined([partition.topic])

    world.gather_until(lambda: len(member.records) == 2, member)

    assert member.consumer.position(partition) in (2, 3)
    assert [each.value for each in member.records] == [b"one", b"two"]


def test_the_lag_is_counted_to_the_stable_end_and_what_stands_behind_it_too(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    member = world.joined([partition.topic])
    world.write(partition, [b"value"] * 10)
    world.stage(producer, partition, [b"open"])

    world.gather_until(lambda: len(member.records) == 10, member)

    world.gather_until(lambda: member.consumer.lag(partition) == (0, 1), member)
    world.commit(producer)
    world.gather_until(lambda: member.consumer.lag(partition) in {(0, 0), (1, 0)}, member)


def test_a_position_below_the_start_is_told_as_a_fault(world: World) -> None:
    partition = world.partition()
    world.write(partition, [b"value"] * 5)
    world.log.delete_records({partition: 3})
    member = world.member(world.name("group"), [partition.topic], start=False)
    world.gather_until(lambda: bool(member.owned), member)

    world.repeat(lambda: member.start(partition, 1))
    world.gather_until(lambda: bool(member.faults), member)

    assert [(f.kind, f.where) for f in member.faults] == [(FaultKind.POSITION_LOST, partition)]
    assert member.records == []
    world.repeat(lambda: member.start(partition, 3))
    world.gather_until(lambda: len(member.records) == 2, member)
    assert member.offsets(partition) == [3, 4]

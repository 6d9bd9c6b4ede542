"""Contract: what of a transaction is seen, by whom, and when."""

import pytest

from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import OutcomeUnknown
from tests.contract.world import CALL, World


def test_records_show_with_the_commit(world: World) -> None:
    partition, producer = world.partition(), world.producer()

    world.stage(producer, partition, [b"1", b"2"])
    assert world.values(partition) == []
    world.commit(producer)

    world.stable(partition, 3)
    assert world.values(partition) == [b"1", b"2"]


def test_an_open_transaction_holds_the_stable_end(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    world.write(partition, [b"before"])

    world.stage(producer, partition, [b"open"])
    world.write(partition, [b"behind"])

    assert world.end(partition, stable=True) == 1
    assert world.end(partition, stable=False) == 3
    assert world.values(partition) == [b"before"]
    assert world.values(partition, committed=False) == [b"before", b"open", b"behind"]
    world.commit(producer)
    world.stable(partition, 4)
    assert world.values(partition) == [b"before", b"open", b"behind"]


def test_aborted_records_never_show(world: World) -> None:
    partition, producer = world.partition(), world.producer()

    world.stage(producer, partition, [b"aborted"])
    world.abort(producer)
    world.stage(producer, partition, [b"kept"])
    world.commit(producer)

    world.stable(partition, 4)
    assert [(r.offset, r.value) for r in world.read(partition)] == [(2, b"kept")]
    assert world.values(partition, committed=False) == [b"aborted", b"kept"]


@pytest.mark.parametrize("commit", [True, False], ids=["committed", "aborted"])
def test_a_position_steps_over_markers_and_aborted_records(world: World, commit: bool) -> None:
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"1", b"2"])
    if commit:
        world.commit(producer)
    else:
        world.abort(producer)
    reader = world.log.reader()
    reader.assign({partition: 0})

    world.until(lambda: reader.position(partition) == 3, lambda: reader.read(10, 0.05))

    reader.close()
    assert world.end(partition, stable=False) == 3


def test_a_reader_stands_before_an_open_transaction_and_goes_on_after_it(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    world.write(partition, [b"0", b"1"])
    world.stage(producer, partition, [b"2"])
    reader = world.log.reader()
    reader.assign({partition: 0})
    seen: list[bytes | None] = []

    def turn() -> None:
        seen.extend(record.value for record in reader.read(10, 0.05))

    world.until(lambda: len(seen) == 2, turn)
    turn()
    assert reader.position(partition) == 2
    world.commit(producer)

    world.until(lambda: reader.position(partition) == 4, turn)
    reader.close()
    assert seen == [b"0", b"1", b"2"]


def test_one_transaction_writes_to_many_partitions_or_none(world: World) -> None:
    topic, producer = world.topic(3), world.producer()
    partitions = [TopicPartition(topic, number) for number in range(3)]

    for commit in (False, True):
        producer.begin()
        for partition in partitions:
            world.add(producer, partition, [b"%d" % commit])
        if commit:
            world.commit(producer)
        else:
            world.abort(producer)

    for partition in partitions:
        world.stable(partition, 4)
        assert world.values(partition) == [b"1"]


def test_two_transactions_in_one_partition_are_decided_apart(world: World) -> None:
    partition = world.partition()
    one, two = world.producer(), world.producer()
    world.stage(one, partition, [b"one"])
    world.stage(two, partition, [b"two"])
    world.add(one, partition, [b"one more"])

    world.commit(two)
    assert world.end(partition, stable=True) == 0
    world.abort(one)

    world.stable(partition, 5)
    assert world.values(partition) == [b"two"]


def test_a_producer_is_told_where_its_record_stands_by_the_commit(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    told: list[int] = []

    producer.begin()
    producer.produce(partition.topic, b"1", b"key", (), 0)
    producer.produce(partition.topic, b"2", b"key", (), 0, told.append)
    world.repeat(lambda: producer.flush(CALL))

    assert told == [1]
    world.commit(producer)


def test_what_an_abort_found_unsent_is_never_sent(world: World) -> None:
    partition, producer = world.partition(), world.producer()
    producer.begin()
    producer.produce(partition.topic, b"unsent", b"key", (), 0)

    world.abort(producer)
    world.stage(producer, partition, [b"next"])
    world.commit(producer)

    world.until(lambda: b"next" in world.values(partition), lambda: None)
    assert world.values(partition) == [b"next"]


def test_an_empty_transaction_leaves_nothing(world: World) -> None:
    partition, producer = world.partition(), world.producer()

    producer.begin()
    world.commit(producer)
    producer.begin()
    world.abort(producer)

    assert world.end(partition, stable=False) == 0


def test_a_producer_is_used_for_one_transaction_after_another(world: World) -> None:
    partition, producer = world.partition(), world.producer()

    for number in range(20):
        world.stage(producer, partition, [b"%d" % number])
        world.commit(producer)

    world.stable(partition, 40)
    assert world.values(partition) == [b"%d" % number for number in range(20)]


def test_a_call_out_of_turn_is_an_unknown_outcome(world: World) -> None:
    producer = world.producer()

    with pytest.raises(OutcomeUnknown):
        producer.commit(CALL)

"""How far a group is: records, not markers; and what stands."""

import pytest

from pmstream.operate.progress import COUNTED_OFFSETS, pinned, reach, standing
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.memory import MemoryLog
from tests.operate.kit import make, write

GROUP, PLACE = "readers", TopicPartition("t", 0)


@pytest.fixture
def log() -> MemoryLog:
    found = MemoryLog(VirtualClock())
    make(found, "t", partitions=1)
    return found


def look(log: MemoryLog):  # type: ignore[no-untyped-def]
    return reach(log, GROUP, [log.topics()["t"]])[PLACE]


def transaction(log: MemoryLog, records: int, *, commit: bool = True) -> None:
    producer = log.producer("p")
    producer.begin()
    for _ in range(records):
        producer.produce("t", b"x", partition=0)
    producer.flush(1)
    if commit:
        producer.commit(1)


def test_a_marker_is_no_lag(log: MemoryLog) -> None:
    transaction(log, 3)
    end = log.end(PLACE, stable=True)
    log.set_positions(GROUP, {PLACE: Committed(3)})

    assert end == 4, "the transaction's marker has an offset"
    assert (look(log).lag, look(log).gap) == (0, 0)


def test_a_short_lag_is_counted_in_records(log: MemoryLog) -> None:
    for _ in range(3):
        transaction(log, 2)

    assert look(log).lag == 6


def test_a_long_lag_is_told_in_offsets(log: MemoryLog) -> None:
    write(log, "t", COUNTED_OFFSETS + 1)

    assert look(log).lag == COUNTED_OFFSETS + 1


def test_without_a_position_all_of_it_is_before_the_group(log: MemoryLog) -> None:
    write(log, "t", 5)
    log.delete_records({PLACE: 2})

    assert (look(log).known, look(log).position, look(log).lag) == (False, 2, 3)


def test_what_an_open_transaction_hides_is_the_gap(log: MemoryLog) -> None:
    write(log, "t", 2)
    transaction(log, 3, commit=False)

    assert (look(log).lag, look(log).gap) == (2, 3)


def test_who_moves_does_not_stand(log: MemoryLog) -> None:
    write(log, "t", 4)
    before = look(log)
    log.set_positions(GROUP, {PLACE: Committed(1)})
    after = look(log)

    assert standing(before, before)
    assert not standing(before, after)


def test_only_the_same_open_transaction_pins(log: MemoryLog) -> None:
    transaction(log, 1, commit=False)
    before = look(log)
    log.producer("p")  # ends it
    write(log, "t", 1)
    transaction(log, 1, commit=False)

    assert pinned(before, before)
    assert not pinned(before, look(log))

"""Records in hand, and what was read of them before their turn."""

import pytest

from pmstream.runtime.log import Record
from pmstream.runtime.queue import LARGE_BYTES, Queue


def record(offset: int) -> Record:
    return Record("t", 0, offset, 0, None, None)


def always() -> bool:
    return True


@pytest.fixture
def queue() -> Queue:
    made = Queue(10)
    for offset in range(10, 16):
        made.put(record(offset))
    return made


def test_what_was_read_ahead_comes_with_its_record(queue: Queue) -> None:
    times = iter([True, True, False])

    assert queue.read_ahead(lambda each: each.offset, lambda: next(times))

    assert [(each.offset, early) for each, early in queue.ahead()] == [
        (10, 10),
        (11, 11),
        *((offset, None) for offset in range(12, 16)),
    ]


def test_reading_goes_on_behind_what_is_taken_and_what_was_read(queue: Queue) -> None:
    queue.step()
    queue.step()
    read: list[int] = []
    times = iter([True, False, True, True, True, True])

    def note(each: Record) -> int:
        read.append(each.offset)
        return each.offset

    assert queue.read_ahead(note, lambda: next(times))
    assert not queue.read_ahead(note, lambda: next(times))

    assert read == [12, 13, 14, 15]
    assert next(queue.ahead())[1] == 12


def test_it_moves_up_with_a_commit(queue: Queue) -> None:
    queue.read_ahead(lambda each: each.offset, always)
    queue.step()
    queue.step()
    queue.commit()

    head, early = next(queue.ahead())
    assert (queue.position, head.offset, early) == (12, 12, 12)


def test_what_was_in_somebodys_hands_is_read_anew(queue: Queue) -> None:
    queue.read_ahead(lambda each: each.offset, always)
    queue.step()
    queue.step()
    queue.back()

    assert [early for _, early in queue.ahead()] == [None, None, 12, 13, 14, 15]


def test_a_large_record_is_read_in_its_turn_only() -> None:
    queue = Queue(0)
    for offset, size in enumerate((LARGE_BYTES, LARGE_BYTES + 1, 0)):
        queue.put(Record("t", 0, offset, 0, None, b"x" * size))

    assert not queue.read_ahead(lambda each: each.offset, always)

    assert [early for _, early in queue.ahead()] == [0, None, 2]

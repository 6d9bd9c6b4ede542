"""How the parts of a stage divide a batch among them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.runtime.stage import evenly


class Work:
    """Parts with so much to do each; what they did, in order."""

    def __init__(self, *waiting: int) -> None:
        self.left = dict(enumerate(waiting))
        self.done: list[tuple[int, int]] = []

    def __call__(self, part: int, most: int) -> int:
        done = min(self.left[part], most)
        self.left[part] -= done
        self.done.append((part, done))
        return done


@pytest.mark.parametrize(
    ("waiting", "room", "left"),
    [
        ((10, 10, 10), 9, [7, 7, 7]),
        ((10, 0, 0), 9, [1, 0, 0]),  # one that has all does all, in one go
        ((0, 0, 10), 9, [0, 0, 1]),
        ((1, 10, 2), 9, [0, 4, 0]),
        ((1, 1, 1), 9, [0, 0, 0]),
        ((10, 10), 1, [9, 10]),
        ((10, 10), 0, [10, 10]),
        ((), 5, []),
    ],
)
def test_a_batch_is_full_while_anybody_has_something(
    waiting: tuple[int, ...], room: int, left: list[int]
) -> None:
    work = Work(*waiting)
    worked = evenly(range(len(waiting)), room, work)

    assert [*work.left.values()] == left
    assert worked == {part for part, done in work.done if done}


@given(st.lists(st.integers(0, 50)), st.integers(0, 200))
def test_it_is_as_much_as_there_is_or_room_for(waiting: list[int], room: int) -> None:
    work = Work(*waiting)
    evenly(range(len(waiting)), room, work)

    assert sum(done for _, done in work.done) == min(room, sum(waiting))
    assert {part for part, _ in work.done} == set(range(len(waiting)))
    if waiting:  # nobody is passed over for the sake of another
        given_up = [was - left for was, left in zip(waiting, work.left.values(), strict=True)]
        fair = room // len(waiting)
        assert all(done >= min(was, fair) for done, was in zip(given_up, waiting, strict=True))

"""What is too much of something: each has its limit, and holds up nobody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream import failure
from pmstream.core.messages import MOST_HEADERS
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.intake import MAX_REASON, dead_letter
from pmstream.runtime.log import Record
from pmstream.runtime.memory import MemoryLog
from tests.runtime.clocked import ClockedWorld, asked, make_app
from tests.runtime.world import Do, Happened, World


@pytest.fixture
def confirming(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[ClockedWorld]:
    """A world whose commands wait for replies."""
    made = ClockedWorld(log, tmp_path, clock, app=make_app(dispatch="confirm"))
    made.start_all()
    yield made
    made.close()


@pytest.mark.parametrize("count", [MOST_HEADERS, MOST_HEADERS + 1, 30_000])
def test_a_record_with_too_many_headers_is_a_dead_letter(fresh: World, count: int) -> None:
    fresh.produce(Happened(process="a", what="go", n=0), headers=(("x", b"y"),) * count)
    fresh.count("b", [0])
    fresh.settle(lambda: fresh.counts("b") == [(0, 1)])
    fresh.settle()

    letters = fresh.read(fresh.names.dead_letters)
    assert len(letters) == (count > MOST_HEADERS)
    assert fresh.counts("a") == ([] if letters else [(0, 1)])
    if letters:
        assert f"more than {MOST_HEADERS} headers" in str(dict(letters[0].headers)["pm-error"])


def test_a_dead_letter_is_hardly_larger_than_its_record() -> None:
    """Decoders repeat what they cannot read."""
    record = Record("t", 0, 0, 0, b"k", b"x" * 1_000_000)

    out = dead_letter("letters", record, "x" * 1_000_000 + "\ud800", 0)

    assert sum(len(name) + len(value or b"") for name, value in out.headers) < MAX_REASON + 100


def test_commands_that_wait_are_no_more_than_a_record_holds(confirming: ClockedWorld) -> None:
    """An event decides how many there are: one that asks for too many is the author's failure."""
    manager: Any = confirming.manager
    heard: list[str] = []

    def handle(_state: Any, event: Happened, metadata: Any) -> Any:
        size = 100_000 if event.what == "much" else 1
        return [Do(process="x" * size, n=event.n, count=n) for n in range(20)]

    def error(raised: Exception, *_: object) -> failure.Answer:
        heard.append(str(raised))
        return failure.Skip()

    manager.handle, manager.error = handle, error
    confirming.restart()  # binds them
    confirming.count("a", [0], what="much")
    confirming.count("b", [1])
    confirming.settle(asked(confirming, 2))
    confirming.settle()

    assert sorted(each.n for each in confirming.commands()) == [0, 1]
    assert len(heard) == 16, "four of them fit"
    assert "too large together" in heard[0]

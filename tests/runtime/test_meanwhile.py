"""Work goes on while a call waits, and nobody goes on before the call is over."""

import threading
import time

import pytest

from pmstream.errors import Stopped
from pmstream.runtime.log_errors import MustAbort
from pmstream.runtime.meanwhile import Waiting


def test_work_goes_on_while_a_call_waits() -> None:
    waiting, enough = Waiting(), threading.Event()
    pieces: list[int] = []

    def call() -> str:
        assert enough.wait(10)
        return "answer"

    def piece() -> bool:
        pieces.append(1)
        if len(pieces) == 3:
            enough.set()
        return True

    assert waiting.call(call, piece) == "answer"
    assert len(pieces) >= 3
    waiting.end()


def test_a_call_that_raises_raises_here() -> None:
    waiting = Waiting()

    def call() -> None:
        time.sleep(0.01)
        raise MustAbort("no")

    with pytest.raises(MustAbort, match="no"):
        waiting.call(call, lambda: False)
    waiting.end()


def test_work_that_raises_waits_for_the_call() -> None:
    waiting = Waiting()
    done: list[int] = []

    def call() -> None:
        time.sleep(0.05)
        done.append(1)

    def piece() -> bool:
        raise Stopped("a bug")

    with pytest.raises(Stopped, match="a bug"):
        waiting.call(call, piece)
    assert done == [1]
    waiting.end()

"""Work for the time that a call to the log takes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

Meanwhile = Callable[[], bool]
"""Does a piece of such work, a millisecond or so; False: there is nothing (more) to do."""


def idle() -> bool:
    """There is nothing to do."""
    return False


_YIELD_SECONDS = 0.0001


class Waiting:
    """Makes a call that waits, on a thread of its own, while its caller works.

    The caller goes on only when the call is over: nothing else is ever done at the same time with
    what the call is about.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(1, "pmstream-waiting")

    def call(self, call: Callable[[], T], meanwhile: Meanwhile) -> T:
        """The call's answer, or what it raises."""
        if meanwhile is idle:
            return call()
        future = self._threads.submit(call)
        try:
            while meanwhile() and not wait([future], _YIELD_SECONDS).done:
                pass  # the wait is what lets the other thread have its turn
        finally:
            wait([future])
        return future.result()

    def end(self) -> None:
        """No more calls."""
        self._threads.shutdown(wait=False)

"""event_timeout: interrupts the author's code, and nothing but that.

Rule: the alarm is only set while a callback runs, and what it raises is a BaseException, so that
the author's `except Exception` does not swallow it. What does not even hear the alarm (code in C
that does not come back) is dumped, and the process ends: another worker takes over.
"""

import faulthandler
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from msgspec.structs import replace

from pmstream.core.answering import materialized
from pmstream.core.process import Callbacks
from pmstream.errors import TimeUp

STUCK_FACTOR, STUCK_SECONDS = 10, 30.0
"""A callback that hears no alarm ends the process after so many times event_timeout, at least."""

_REARM_SECONDS = 1.0


class Guard:
    """The time that the callbacks of one input have together.

    Signals are heard in the main thread only: that is where a worker's loop runs.

    Args:
        seconds: how long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self._left = seconds
        self._running = False
        self._armed_at = -_REARM_SECONDS
        signal.signal(signal.SIGALRM, self._alarm)

    def bind(self, callbacks: Callbacks) -> Callbacks:
        """The same callbacks, watched; `error` has its own time: it is asked when that is up."""
        return replace(
            callbacks,
            interested=self._watched(callbacks.interested),
            handle=self._watched(lambda *args: materialized(callbacks.handle(*args))),
            apply=self._watched(callbacks.apply),
            error=self._watched(callbacks.error, anew=True),
            after_command=self._watched(callbacks.after_command),
        )

    def begin(self) -> None:
        """The next input has its whole time."""
        self._left = self._seconds
        now = time.monotonic()
        if now - self._armed_at >= _REARM_SECONDS:
            self._armed_at = now
            stuck = max(self._seconds * STUCK_FACTOR, STUCK_SECONDS)
            faulthandler.dump_traceback_later(stuck, exit=True)

    def rest(self) -> None:
        """No input is at hand: nothing can be stuck."""
        if self._armed_at > 0:
            faulthandler.cancel_dump_traceback_later()
            self._armed_at = -_REARM_SECONDS

    def _watched(self, callback: Callable[..., Any], *, anew: bool = False) -> Callable[..., Any]:
        def watched(*args: Any) -> Any:
            if anew:
                self._left = self._seconds
            self._running = True
            signal.setitimer(signal.ITIMER_REAL, max(self._left, 1e-6))
            try:
                return callback(*args)
            finally:
                self._running = False
                self._left = signal.setitimer(signal.ITIMER_REAL, 0)[0]

        return watched

    def _alarm(self, _signal: int, _frame: FrameType | None) -> None:
        if self._running:
            raise TimeUp(f"the callbacks took longer than event_timeout, {self._seconds} s")

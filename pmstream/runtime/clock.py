"""Time: the machine's, or a test's own."""

import time
from typing import Protocol


class Clock(Protocol):
    """Time, so that tests own it."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never step back."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits."""
        if seconds > 0:
            time.sleep(seconds)


class VirtualClock:
    """Time that passes only when told so; a sleep takes no time but advances it.

    Args:
        now_ms: the first answer of `now`.
    """

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        # Whole microseconds: sums of many short sleeps stay exact.
        self._wall = now_ms * 1_000
        self._monotonic = 0

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return self._wall // 1_000

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._monotonic / 1e6

    def sleep(self, seconds: float) -> None:
        """Advances both clocks at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        if seconds > 0:
            passed = max(round(seconds * 1e6), 1)
            self._monotonic += passed
            self._wall += passed

    def step(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an administrator or NTP does."""
        self._wall += round(seconds * 1e6)

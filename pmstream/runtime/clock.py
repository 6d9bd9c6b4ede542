"""Time: the machine's, or a test's own."""

import time


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
        self._wall_ms = float(now_ms)
        self._monotonic = 0.0

    def now(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return int(self._wall_ms)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Advances both clocks at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Lets time pass."""
        if seconds > 0:
            self._monotonic += seconds
            self._wall_ms += seconds * 1000

    def step(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an administrator or NTP does."""
        self._wall_ms += seconds * 1000

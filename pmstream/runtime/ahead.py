"""What a worker does while the log takes a batch: it reads some of the next one.

Rule: the transaction is open meanwhile, so a piece of this work is short; author code that is slow,
which `interested` should not be, delays commits by a second in a minute at most.
"""

from pmstream.runtime.clock import Clock
from pmstream.runtime.stage import Stage

PIECE_SECONDS = 0.001
"""So long it reads, then looks what became of the batch."""

SLOW_SECONDS, WINDOW_SECONDS = 1.0, 60.0
"""Pieces may take so much longer, together, in so long a time; then nothing is read ahead in it."""


class Ahead:
    """Reads a stage's records before their turn.

    Args:
        stage: whose.
        clock: time.

    Attributes:
        is_reading: whether it does so at this moment.
    """

    def __init__(self, stage: Stage, clock: Clock) -> None:
        self._stage, self._clock = stage, clock
        self._window, self._late = 0.0, 0.0
        self.is_reading = False

    def __call__(self) -> bool:
        """Reads a piece; False: there is nothing more to do."""
        monotonic = self._clock.monotonic
        began = monotonic()
        if began >= self._window:
            self._window, self._late = began + WINDOW_SECONDS, 0.0
        if self._late > SLOW_SECONDS:
            return False
        until = began + PIECE_SECONDS
        self.is_reading = True
        try:
            is_left = self._stage.read_ahead(self._clock.now(), lambda: monotonic() < until)
        finally:
            self.is_reading = False
        self._late += max(monotonic() - until, 0)
        return is_left

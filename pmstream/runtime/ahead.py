"""What a worker does while the log takes a batch: it reads some of the next one.

Rule: the transaction is open meanwhile, so a piece of this work is short; author code that is slow,
which `interested` should not be, delays a commit once in a while only.
"""

from pmstream.runtime.clock import Clock
from pmstream.runtime.stage import Stage

PIECE_SECONDS = 0.001
"""So long it reads, then looks what became of the batch."""

SLOW_SECONDS, NOT_FOR_SECONDS = 0.05, 60.0
"""A piece that took so long was slow: nothing is read ahead for so long."""


class Ahead:
    """Reads a stage's records before their turn.

    Args:
        stage: whose.
        clock: time.

    Attributes:
        is_reading: whether it does so at this moment.
    """

    def __init__(self, stage: Stage, clock: Clock) -> None:
        self._stage, self._clock, self._from = stage, clock, 0.0
        self.is_reading = False

    def __call__(self) -> bool:
        """Reads a piece; False: there is nothing more to do."""
        monotonic = self._clock.monotonic
        began = monotonic()
        if began < self._from:
            return False
        until = began + PIECE_SECONDS
        self.is_reading = True
        try:
            is_left = self._stage.read_ahead(self._clock.now(), lambda: monotonic() < until)
        finally:
            self.is_reading = False
        if monotonic() - began > SLOW_SECONDS:
            self._from = began + NOT_FOR_SECONDS
        return is_left

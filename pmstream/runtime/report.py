"""What a worker and its supervisor know of each other, over two pipes.

The worker tells that its loop moves, and why it ends; and it learns that its supervisor is gone.
"""

import os
import threading
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

VARIABLE = "PMSTREAM_REPORT_FD"
"""Tells a worker the pipe's file descriptor."""

BEAT_SECONDS = 1.0
"""How often a loop that moves says so."""

MAX_REASON = 4_000
"""Characters of a reason; a write of less than PIPE_BUF (4 096 bytes) is never torn."""


class Report(Struct, frozen=True, omit_defaults=True):
    """One line: a beat, or the reason why the worker ends."""

    reason: str = ""


class Reporter:
    """The worker's end; without a supervisor it tells nobody."""

    def __init__(self) -> None:
        descriptor = os.environ.get(VARIABLE, "")
        self._descriptor = int(descriptor) if descriptor.isdecimal() else None
        self._next = 0.0

    def beat(self) -> bool:
        """The loop has moved; cheap enough for every turn. Answers False, always."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + BEAT_SECONDS
            self._write(Report())
        return False

    def ends(self, reason: str) -> None:
        """The worker ends for this reason."""
        self._write(Report(reason[: MAX_REASON // 4]))

    def _write(self, report: Report) -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, msgspec.json.encode(report) + b"\n")
        except OSError:
            self._descriptor = None  # the supervisor is gone; its other pipe ends this worker


class Reports:
    """The supervisor's end of one worker's pipe.

    Attributes:
        reason: why the worker said that it ends; "" so far.
        beat_at: when its loop last moved, as `time.monotonic` has it.
    """

    def __init__(self) -> None:
        self._read, self.write_descriptor = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self.reason = ""
        self.beat_at = time.monotonic()

    def started(self) -> None:
        """The worker has its own copy of the writing end."""
        os.close(self.write_descriptor)

    def take(self) -> None:
        """Reads what has been told since the last time."""
        while True:
            try:
                part = os.read(self._read, 1 << 16)
            except BlockingIOError:
                return
            if not part:
                return
            *lines, self._rest = (self._rest + part).split(b"\n")
            for line in lines:
                report = msgspec.json.decode(line, type=Report)
                self.reason = report.reason or self.reason
                self.beat_at = time.monotonic()

    def close(self) -> None:
        """Frees the pipe."""
        os.close(self._read)


def end_with_parent(stop: Callable[[], None], grace_s: float) -> None:
    """In a worker: calls `stop` when the supervisor's pipe closes, then ends the process.

    Args:
        stop: asks the worker to drain.
        grace_s: how long it may take before the process ends itself.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="supervisor-watch").start()

"""What a worker and its supervisor know of each other, over two pipes.

The worker tells that its loop moves, how it fares, and why it ends; and it learns that its
supervisor is gone.
"""

import os
import select
import threading
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from pmstream.runtime.vitals import Vitals

VARIABLE = "PMSTREAM_REPORT_FD"
"""Tells a worker the pipe's file descriptor."""

BEAT_SECONDS = 1.0
"""How often a loop that moves says so."""

MAX_REASON = 1_000
"""Characters of a reason."""

MAX_REPORT_BYTES = 4 << 20
"""The longest report that a supervisor takes: some thousand partitions."""

_LAST_WORD_SECONDS = 1.0


class Report(Struct, frozen=True, omit_defaults=True):
    """One line: a beat, with what the worker tells of itself; or the reason why it ends."""

    reason: str = ""
    vitals: Vitals | None = None


class Reporter:
    """The worker's end; without a supervisor it tells nobody.

    A report may be longer than what the pipe takes at once: the rest follows as there is room, and
    until then no newer one is begun. So a supervisor that stands still holds up nobody.

    Args:
        headroom_of_s: a turn may last so long (max.poll.interval).
    """

    def __init__(self, headroom_of_s: float = 0.0) -> None:
        descriptor = os.environ.get(VARIABLE, "")
        self._descriptor = int(descriptor) if descriptor.isdecimal() else None
        if self._descriptor is not None:
            os.set_blocking(self._descriptor, False)
        self._rest = b""
        self._limit = headroom_of_s
        self._last, self._longest, self._next = time.monotonic(), 0.0, 0.0

    def beat(self, vitals: Callable[[], Vitals] | None = None) -> bool:
        """The loop has moved; cheap enough for every turn. Answers False, always.

        Args:
            vitals: asked when it is time to report.
        """
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last)
        self._last = now
        if self._rest:
            self._write()
        elif now >= self._next and self._descriptor is not None:
            self._next = now + BEAT_SECONDS
            found = vitals() if vitals is not None else None
            if found is not None:
                found.values["longest_turn_seconds"] = self._longest
                found.values["poll_headroom_seconds"] = self._limit - self._longest
            self._longest = 0.0
            self._send(Report(vitals=found))
        return False

    def ends(self, reason: str) -> None:
        """The worker ends for this reason: waits a moment for room in the pipe."""
        self._send(Report(reason[:MAX_REASON]))
        until = time.monotonic() + _LAST_WORD_SECONDS
        while self._rest and self._descriptor is not None and time.monotonic() < until:
            select.select([], [self._descriptor], [], _LAST_WORD_SECONDS)
            self._write()

    def _send(self, report: Report) -> None:
        self._rest += msgspec.json.encode(report) + b"\n"
        self._write()

    def _write(self) -> None:
        if self._descriptor is None:
            self._rest = b""
            return
        try:
            self._rest = self._rest[os.write(self._descriptor, self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._descriptor = None  # the supervisor is gone; its other pipe ends this worker


class Reports:
    """The supervisor's end of one worker's pipe.

    Attributes:
        reason: why the worker said that it ends; "" so far.
        vitals: what it told of itself last; None so far.
        beat_at: when its loop last moved, as `time.monotonic` has it.
    """

    def __init__(self) -> None:
        self._read, self.write_descriptor = os.pipe()
        os.set_blocking(self._read, False)
        self._rest = b""
        self.reason = ""
        self.vitals: Vitals | None = None
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
            *lines, rest = (self._rest + part).split(b"\n")
            self._rest = rest[-MAX_REPORT_BYTES:]
            for line in lines:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            report = msgspec.json.decode(line, type=Report)
        except msgspec.MsgspecError:
            return  # not from our loop: no sign of its life either
        self.reason = report.reason or self.reason
        self.vitals = report.vitals or self.vitals
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

"""What a source record means: decoded, then `interested` asked; both failures have their answer.

Rule: who reads a source topic, router or instances worker, judges its records here, alike.
"""

from collections import deque
from typing import Any, Protocol

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.core.masking import masked_words
from pmstream.core.messages import Headers
from pmstream.core.process import Callbacks
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, Undeclared, UnknownSchema
from pmstream.runtime.commit import Out
from pmstream.runtime.guard import Guard
from pmstream.runtime.inbox import own_headers, where
from pmstream.runtime.log import Record

BREAKER_RUN = 100
"""So many records in a row that cannot be decoded stop the process manager."""

BREAKER_WINDOW, BREAKER_SHARE = 1_000, 0.05
"""So does this share of the last so many records."""


MAX_REASON = 2_000
"""Characters of why a record is a dead letter: a decoder may repeat all that it cannot read."""


class Counted(Protocol):
    """A source partition; `run` records in a row, up to here, could not be decoded."""

    run: int


class Rules(Struct, frozen=True, kw_only=True):
    """What an intake goes by.

    Attributes:
        names: topics of the process manager.
        callbacks: of the process manager.
        guard: interrupts the author's code; None without `event_timeout`.
        codec: of the app.
        undecodable, unknown_schema: options of the process manager.
    """

    names: Names
    callbacks: Callbacks
    guard: Guard | None
    codec: Codec
    undecodable: str
    unknown_schema: str


class Accepted(Struct, frozen=True, gc=False):
    """A record that was decoded: where it goes, its event, and the headers that go on."""

    routing: engine.Routing
    event: Any
    headers: Headers


class Intake:
    """Judges source records."""

    def __init__(self, rules: Rules) -> None:
        self._rules, self._decode = rules, rules.codec.decode
        self._window: deque[bool] = deque(maxlen=BREAKER_WINDOW)

    def ahead(self, record: Record, now: int) -> Accepted | None:
        """Reads a record ahead of its turn; None is: its turn will tell.

        Not with `event_timeout`: there the author's code may take its time, and here may not.
        """
        if record.value is None or self._rules.guard is not None:
            return None
        try:
            return self._routed(record, record.value, now)
        except Undecodable:
            return None

    def take(
        self, record: Record, counted: Counted, now: int, early: Accepted | None = None
    ) -> Accepted | Out | engine.Halt | None:
        """Judges one record, and keeps count of what cannot be decoded.

        Args:
            record: whose turn has come.
            counted: its partition.
            now: milliseconds since the epoch.
            early: what `ahead` answered, if it was asked.

        Returns:
            Where it goes; a dead letter; why the process manager is to stop;
            or None: it concerns nobody.
        """
        found = early
        if found is None:
            if record.value is None:
                return None
            try:
                found = self._routed(record, record.value, now)
            except UnknownSchema as error:
                if self._rules.unknown_schema == "ignore":
                    return None
                return self._undecodable(record, counted, error, now)
            except Undecodable as error:
                return self._undecodable(record, counted, error, now)
        self.passed(counted)
        if found is None:
            return None
        routing = found.routing
        if routing.route is not None:
            return found
        if isinstance(routing.failure, engine.Halt):
            return routing.failure
        if isinstance(routing.failure, engine.DeadLetter):
            return self._dead_letter(record, routing.failure.reason, now)
        return None

    def passed(self, counted: Counted) -> None:
        """Counts a record that could be decoded."""
        self._window.append(False)
        counted.run = 0

    def _routed(self, record: Record, value: bytes, now: int) -> Accepted | None:
        """Decodes a record and asks where it goes; None: nobody declares it. Raises Undecodable."""
        headers = record.headers
        event = self._decode(record.topic, value, headers)
        if isinstance(event, Undeclared):
            return None
        rules = self._rules
        if rules.guard is not None:
            rules.guard.begin()
        headers = own_headers(headers) if headers else ()
        return Accepted(engine.route(rules.callbacks, event, record, headers, now), event, headers)

    def _undecodable(
        self, record: Record, counted: Counted, error: Undecodable, now: int
    ) -> Out | engine.Halt:
        run, window = counted.run + 1, self._window
        share = (sum(window) + 1) / BREAKER_WINDOW if len(window) == BREAKER_WINDOW else 0.0
        head, colon, reason = str(error).partition(": ")
        told = f"{head}{colon}{masked_words(reason, record.value or b'')}"
        if self._rules.undecodable == "stop":
            return engine.Halt(f"{where(record)} cannot be decoded: {told}")
        if run >= BREAKER_RUN:
            return engine.Halt(f"{run} records in a row cannot be decoded, the last: {told}")
        if share >= BREAKER_SHARE:
            return engine.Halt(
                f"{share:.0%} of the last {BREAKER_WINDOW} records cannot be decoded: {told}"
            )
        window.append(True)
        counted.run = run
        return self._dead_letter(record, str(error), now)

    def _dead_letter(self, record: Record, reason: str, now: int) -> Out:
        return dead_letter(self._rules.names.dead_letters, record, reason, now)


def dead_letter(topic: str, record: Record, reason: str, now: int) -> Out:
    """The dead letter of a record: its bytes and headers, where it came from, why, and when."""
    place = f"{record.topic}-{record.partition}-{record.offset}"
    headers = (
        ("pm-source", place.encode()),
        ("pm-error", reason[:MAX_REASON].encode(errors="backslashreplace")),
        ("pm-time", str(now).encode()),
        *own_headers(record.headers),
    )
    return Out(topic, record.key, record.value, headers)

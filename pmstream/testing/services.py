"""The services of a run in memory: they see the commands, do them, and answer."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from pmstream import replies
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import Log, Record, TopicPartition, Writer
from pmstream.runtime.log_errors import Again


class Rejected(Struct, frozen=True):
    """What a service answers that does not do a command; `reason` is plain data."""

    reason: Any = None


FLUSH_SECONDS = 30.0
"""How long a log may take to take a record: a real one beside a test may be slow."""

SILENT = "silent"
"""What a service answers that answers nothing."""

Service = Callable[[Any], Any]
"""A command to the events it leads to (one, several, None), `Rejected(reason)`, or SILENT."""


class Services:
    """All services of an app as one.

    Args:
        log: the cluster.
        codec: of the app.
        places: the partitions of the command topics.
        service: does the commands; None: nobody does.

    Attributes:
        sent: process UUID, command and record of all that was sent, in order.
    """

    def __init__(
        self, log: Log, codec: Codec, places: Sequence[TopicPartition], service: Service | None
    ) -> None:
        self._writer, self._codec, self._service = log.writer(), codec, service
        self._reader = log.reader()
        self._reader.assign(dict.fromkeys(places, 0))
        self.sent: list[tuple[str, Any, Record]] = []

    def turn(self, produce: Callable[..., None]) -> None:
        """Does what is new."""
        for record in self._reader.read(1_000, 0):
            command = self._codec.decode_command(record.topic, record.value or b"", record.headers)
            uuid = (dict(record.headers).get("process-uuid") or b"").decode()
            self.sent.append((uuid, command, record))
            answer = SILENT if self._service is None else self._service(command)
            if isinstance(answer, Rejected):
                self._answer(record, accepted=False, reason=answer.reason)
            elif answer is not SILENT:
                produce(*_events(answer))
                self._answer(record, accepted=True, reason=None)

    def reply(self, command: Any, *, accepted: bool, reason: Any) -> None:
        """Answers the last such command. Raises AssertionError: it was not sent."""
        for _, sent, record in reversed(self.sent):
            if sent == command:
                return self._answer(record, accepted=accepted, reason=reason)
        known = [each for _, each, _ in self.sent]
        raise AssertionError(f"{command!r} was not sent; sent so far: {known}")

    def close(self) -> None:
        """Frees the reader."""
        self._reader.close()

    def _answer(self, record: Record, *, accepted: bool, reason: Any) -> None:
        headers = record.headers
        reply = replies.accept(headers) if accepted else replies.reject(headers, reason)
        if reply is not None:
            self._writer.produce(
                reply.topic, reply.value, reply.key, reply.headers, reply.partition
            )
            flush(self._writer)


def flush(writer: Writer) -> None:
    """Waits until the log has taken all. Raises Again: it did not in FLUSH_SECONDS."""
    until = time.monotonic() + FLUSH_SECONDS
    while True:
        try:
            return writer.flush(1)
        except Again:
            if time.monotonic() > until:
                raise


def _events(answer: Any) -> Sequence[Struct]:
    if answer is None:
        return ()
    return (answer,) if isinstance(answer, Struct) else tuple(answer)

"""Events, commands and what is known about them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from msgspec import Struct
from msgspec.structs import replace

Headers = tuple[tuple[str, bytes | None], ...]
"""Headers of a record, in order; a name may stand more than once."""

MOST_HEADERS = 1_000
"""Of a record: in memory each costs fifty times the bytes that it has in the log."""

RESERVED_PREFIX = "pm-"
"""Header names that begin so belong to pmstream and are never taken from, or given to, others."""

EVENT_ID, CORRELATION_ID, CAUSATION_ID = "event-id", "correlation-id", "causation-id"
COMMAND_ID, PROCESS_UUID, PROCESS_MANAGER = "command-id", "process-uuid", "process-manager"
REPLY_TO, REPLY_PARTITION = "reply-to", "reply-partition"
"""Headers of a command in confirm mode: topic and partition for its reply."""

OUTCOME, ACCEPTED, REJECTED = "outcome", b"accepted", b"rejected"
"""Header of a reply, and its two values."""


class Metadata(Struct, frozen=True, kw_only=True, gc=False):
    """What is known about the event that a callback receives.

    For a timer that fires: the event that created the process is its place (topic, partition,
    offset), the correlation id is that of the event whose handling set it, its time is when it
    was due, and it has no headers.

    Attributes:
        process_uuid: the instance that handles it; empty in `interested`.
        process_manager: name of the process manager.
        event_id: the header `event-id`, else `topic-partition-offset` of the source record.
        correlation_id: the header `correlation-id`, else the event id.
        causation_id: the header `causation-id`, else None.
        topic, partition, offset: where the event stands in its source topic.
        timestamp: the source record's time, milliseconds since the epoch, UTC.
        headers: the source record's headers, read-only; of a repeated name the last value.
        replayed: whether the event is handled again by a replay.
        attempt: 1 for the first try, 2 for the first retry, and so on.
    """

    process_uuid: str
    process_manager: str
    event_id: str
    correlation_id: str
    causation_id: str | None
    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Mapping[str, bytes | None]
    replayed: bool = False
    attempt: int = 1


class Routed(Struct, frozen=True, array_like=True, gc=False, tag="event"):
    """One event on its way to one instance, as it was read: durable in inbox, work and backlog.

    Attributes:
        process_uuid: the instance it goes to.
        route: a name of `routing.Route`.
        value: the event's bytes as the producer wrote them.
        topic, partition, offset: where the event stands in its source topic.
        index: which of the process UUIDs of one event this is, from 0.
        timestamp: the source record's time, milliseconds since the epoch.
        headers: the source record's headers without those of pmstream.
        replayed: whether a replay routed it.
        hold: how long an early event may wait for its start, milliseconds; 0 is not at all.
    """

    process_uuid: str
    route: str
    value: bytes
    topic: str
    partition: int
    offset: int
    index: int
    timestamp: int
    headers: Headers
    replayed: bool = False
    hold: int = 0

    @property
    def cause(self) -> str:
        """The event's position, from which ids are made."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class Timed(Struct, frozen=True, array_like=True, gc=False, tag="timer"):
    """A timer that came due, on its way to its instance: durable in work and backlog.

    Attributes:
        process_uuid: the instance that set it.
        name: of the timer.
        due: when it was due, milliseconds since the epoch.
        n: which of the instance's timers it is, in the order they were set.
        born: position (`topic-partition-offset`) of the event that created the instance.
        correlation_id: of the event whose handling set it.
    """

    process_uuid: str
    name: str
    due: int
    n: int
    born: str
    correlation_id: str

    route: ClassVar[str] = "timer"
    headers: ClassVar[Headers] = ()
    hold: ClassVar[int] = 0

    @property
    def cause(self) -> str:
        """What ids are made from: unique in the life of the process UUID, also if used again."""
        return f"{self.born}/timer-{self.name}-{self.n}"


Cause = Routed | Timed
"""What an instance works on."""


class Emitted(Struct, frozen=True, array_like=True, gc=False):
    """One encoded command, ready for its topic.

    Attributes:
        topic: the command topic.
        key, value: bytes of the record.
        headers: ids, trace context, then the event's own headers.
        id: the command id.
    """

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    id: str

    partition: ClassVar[int | None] = None


class Encoded(Struct, frozen=True, gc=False):
    """A command's topic and bytes, before it has an id.

    Attributes:
        topic: the command topic.
        key, value: bytes of the record.
        headers: those that its format asks for; they win over the event's own of the same name.
    """

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()


class Coder(Protocol):
    """The bytes of messages; `runtime.codec` is the real one."""

    def decode_event(self, routed: Routed) -> Any:
        """Reads a routed event's value. Raises Undecodable."""

    def encode_command(self, command: Any) -> Encoded:
        """Checks and writes a command. Raises CommandInvalid."""

    def decode_command(self, topic: str, value: bytes, headers: Headers) -> Any:
        """Reads back what `encode_command` wrote. Raises Undecodable."""


def metadata_of(cause: Cause, process_manager: str, attempt: int = 1) -> Metadata:
    """Tells a callback what is known of the event it receives."""
    if isinstance(cause, Timed):
        return _metadata_of_timer(cause, process_manager, attempt)
    found = metadata_at(cause, cause.headers, process_manager, cause.process_uuid)
    if attempt == 1 and not cause.replayed:
        return found
    return replace(found, attempt=attempt, replayed=cause.replayed)


class Placed(Protocol):
    """What stands in a topic: a source record, or a routed event."""

    @property
    def topic(self) -> str:
        """Its topic."""

    @property
    def partition(self) -> int:
        """Its partition."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def timestamp(self) -> int:
        """Its time, milliseconds since the epoch."""


def ids_at(cause: str, headers: Headers) -> tuple[str, str]:
    """An event's id and correlation id: what its headers say, else its place."""
    if not headers:
        return cause, cause
    by_name = dict(headers)
    event_id = _text(by_name.get(EVENT_ID)) or cause
    return event_id, _text(by_name.get(CORRELATION_ID)) or event_id


def ids_of(cause: Cause, place: str) -> tuple[str, str]:
    """The event id and correlation id of what an instance works on; `place` is `cause.cause`."""
    if isinstance(cause, Timed):
        return f"{cause.process_uuid}/{place}", cause.correlation_id
    return ids_at(place, cause.headers) if cause.headers else (place, place)


def metadata_at(
    event: Placed, headers: Headers, process_manager: str, process_uuid: str = ""
) -> Metadata:
    """What is known of an event by its place and its headers, without those of pmstream."""
    cause = f"{event.topic}-{event.partition}-{event.offset}"
    event_id, correlation_id = ids_at(cause, headers)
    causation_id, by_name = None, _NO_HEADERS
    if headers:
        by_name = MappingProxyType(dict(headers))
        causation_id = _text(by_name.get(CAUSATION_ID))
    return Metadata(
        process_uuid=process_uuid,
        process_manager=process_manager,
        event_id=event_id,
        correlation_id=correlation_id,
        causation_id=causation_id,
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        timestamp=event.timestamp,
        headers=by_name,
    )


_NO_HEADERS: Mapping[str, bytes | None] = MappingProxyType({})


def _metadata_of_timer(timer: Timed, process_manager: str, attempt: int) -> Metadata:
    topic, partition, offset = timer.born.rsplit("-", 2)
    event_id, correlation_id = ids_of(timer, timer.cause)
    return Metadata(
        process_uuid=timer.process_uuid,
        process_manager=process_manager,
        event_id=event_id,
        correlation_id=correlation_id,
        causation_id=None,
        topic=topic,
        partition=int(partition),
        offset=int(offset),
        timestamp=timer.due,
        headers=_NO_HEADERS,
        attempt=attempt,
    )


UNASKED = Metadata(
    process_uuid="",
    process_manager="",
    event_id="",
    correlation_id="",
    causation_id=None,
    topic="",
    partition=0,
    offset=0,
    timestamp=0,
    headers=_NO_HEADERS,
)
"""For callbacks that take no Metadata."""


def _text(value: bytes | None) -> str | None:
    return value.decode(errors="replace") if value else None

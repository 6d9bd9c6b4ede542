"""An event on its way to one instance, as a record of the inbox.

Key: the process UUID. Value: the source record's bytes, untouched. Headers: one binary header with
all that pmstream knows, then the source's own (ADR 2 tells why one).
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pmstream.core.engine import Routing
from pmstream.core.messages import RESERVED_PREFIX, Headers, Routed
from pmstream.core.routing import Route, check_uuid
from pmstream.errors import InvalidRoute, Undecodable
from pmstream.runtime.log import Record

HEADER = "pm-routed"

_Number = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_Time = Annotated[int, Meta(ge=-1, le=(1 << 63) - 1)]


class _Routing(Struct, frozen=True, array_like=True, gc=False):
    """The header's content; `owner` is the router's transactional id (protocol §4)."""

    route: Route
    topic: str
    partition: _Number
    offset: _Number
    index: _Number
    timestamp: _Time
    owner: str
    replayed: bool = False
    hold: _Number = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Routing)


def own_headers(headers: Headers) -> Headers:
    """The headers that go on from a source record: all but those that begin with `pm-`."""
    for name, _ in headers:
        if name.startswith(RESERVED_PREFIX):
            return tuple(each for each in headers if not each[0].startswith(RESERVED_PREFIX))
    return headers


def inbox_headers(
    source: Record, routing: Routing, index: int, owner: str, *, replayed: bool = False
) -> Headers:
    """Headers of the inbox record that carries `source` to one instance."""
    assert routing.route is not None, "an event that goes nowhere"
    told = _Routing(
        routing.route,
        source.topic,
        source.partition,
        source.offset,
        index,
        source.timestamp,
        owner,
        replayed=replayed,
        hold=routing.hold,
    )
    return ((HEADER, _encoder.encode(told)), *own_headers(source.headers))


def read_inbox(record: Record) -> Routed:
    """Reads an inbox record.

    Raises:
        Undecodable: no router of this version wrote it.
    """
    routing = _routing(record)
    if not record.key or record.value is None:
        raise Undecodable(f"{where(record)} has no key or no value: no router wrote it")
    try:
        uuid = check_uuid(record.key.decode())
    except UnicodeDecodeError:
        raise Undecodable(f"{where(record)} has a key that is not UTF-8") from None
    except InvalidRoute as error:
        raise Undecodable(f"{where(record)}: {error}") from None
    return Routed(
        process_uuid=uuid,
        route=routing.route,
        value=record.value,
        topic=routing.topic,
        partition=routing.partition,
        offset=routing.offset,
        index=routing.index,
        timestamp=routing.timestamp,
        headers=own_headers(record.headers),
        replayed=routing.replayed,
        hold=routing.hold,
    )


def owner_of(record: Record) -> str | None:
    """The transactional id of the router that wrote the record; None if no router did."""
    try:
        return _routing(record).owner
    except Undecodable:
        return None


def time_of(record: Record) -> int:
    """When an inbox record counts: as it was written; in a rebuilt inbox, as its event was."""
    try:
        routing = _routing(record)
    except Undecodable:
        return record.timestamp
    return routing.timestamp if routing.replayed else record.timestamp


def where(record: Record) -> str:
    """The record's place, for people."""
    return f"record {record.topic}-{record.partition} at offset {record.offset}"


def _routing(record: Record) -> _Routing:
    value = record.headers[0][1] if record.headers and record.headers[0][0] == HEADER else None
    if value is None:
        raise Undecodable(f"{where(record)} has no header {HEADER}: no router wrote it")
    try:
        return _decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"{where(record)} has a damaged header {HEADER}: {error}") from error

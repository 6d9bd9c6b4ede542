"""Spans as bytes of OTLP (opentelemetry.proto.trace.v1), for exporters that send bytes.

Rule: a short cut, never a second opinion. A collector reads what the official encoder would have
written, which a property test holds this one to; it takes an eighth of the time
(`python -m bench.tracing`, ADR 16).
"""

import struct
from binascii import unhexlify
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import starmap

from msgspec import Struct

from pmstream.runtime.spans import MOST_TEXT, Attribute, Kind, Span, Transaction, Value


class Parcel(Struct, frozen=True, gc=False):
    """Spans that were handed over together.

    Attributes:
        spans: nobody changes them any more.
        transaction: whether they count; None: they are of none.
        taken_at: nanoseconds since the epoch: what had not ended ended then.
    """

    spans: Sequence[Span]
    transaction: Transaction | None
    taken_at: int

    def ended(self, span: Span) -> int:
        """When one of them did."""
        return span.ended or self.taken_at


class Encoder:
    """Writes requests.

    Args:
        resource: a ResourceSpans without spans.
        scope: a ScopeSpans without spans.
    """

    def __init__(self, resource: bytes, scope: bytes) -> None:
        self._resource, self._scope = resource, scope

    def request(self, parcels: Iterable[Parcel]) -> bytes:
        """An ExportTraceServiceRequest of all their spans."""
        spans = [_span(each, parcel) for parcel in parcels for each in parcel.spans]
        scope = _field(b"\x12", b"".join((self._scope, *spans)))
        return _field(b"\x0a", self._resource + scope)


def plain(text: str) -> str:
    """Text that can be written: one that cannot would cost its whole batch."""
    text = text[:MOST_TEXT]
    return text if text.isascii() else text.encode(errors="replace").decode()


def _span(span: Span, parcel: Parcel) -> bytes:
    context, parent, transaction = span.context, span.parent, parcel.transaction
    parts = [
        *(b"\x0a\x10", unhexlify(context[3:35]), b"\x12\x08", unhexlify(context[36:52])),
        _title(span.name, span.kind),
        _TIMES(0x39, span.began, 0x41, span.ended or parcel.taken_at),
        *starmap(_attribute, span.attributes.items()),
    ]
    if parent is not None:
        parts += (b"\x22\x08", unhexlify(parent[36:52]))
    if transaction is not None:
        parts.append(_attribute(_TRANSACTION, transaction))
    if span.links:
        parts += map(_link, span.links)
    parts.append(_OK if span.error is None else _failed(span.error))
    parts.append(_ROOT if parent is None else _REMOTE)
    return _field(b"\x12", b"".join(parts))


_TIMES = struct.Struct("<BQBQ").pack
_TRANSACTION = Attribute.TRANSACTION
_OK = b"\x7a\x00"
"""A status that is not set."""

_ROOT, _REMOTE = (b"\x85\x01" + flags.to_bytes(4, "little") for flags in (0x100, 0x300))
"""Flags: it is known whether the parent is remote, and it is."""

_FAILED = 2
_KINDS = {Kind.INTERNAL: 1, Kind.PRODUCER: 4, Kind.CONSUMER: 5}


@lru_cache(maxsize=256)
def _title(name: str, kind: Kind) -> bytes:
    return _text(b"\x2a", name) + bytes((0x30, _KINDS[kind]))


@lru_cache(maxsize=2_048, typed=True)
def _attribute(attribute: Attribute, value: Value) -> bytes:
    """Most are the same in many spans: topics, names, outcomes."""
    if isinstance(value, str):
        written = _text(b"\x0a", value)
    elif isinstance(value, bool):
        written = b"\x10\x01" if value else b"\x10\x00"
    else:
        written = b"\x18" + _varint(value & _LONG)
    return _field(b"\x4a", _text(b"\x0a", attribute) + _field(b"\x12", written))


_LONG = (1 << 64) - 1


def _link(context: bytes) -> bytes:
    return b"\x6a\x21\x0a\x10%b\x12\x08%b\x35\x00\x03\x00\x00" % (
        unhexlify(context[3:35]),
        unhexlify(context[36:52]),
    )


def _failed(text: str) -> bytes:
    return _field(b"\x7a", _text(b"\x12", text) + bytes((0x18, _FAILED)))


def _text(tag: bytes, text: str) -> bytes:
    return _field(tag, plain(text).encode())


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    if number < len(_SMALL):
        return _SMALL[number]
    found = bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


_SMALL = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(4_096)]

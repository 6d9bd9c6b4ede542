"""Operators' orders and what became of them, as records of the orders topic.

Key: the process UUID (none for an order to a partition). Header `pm-kind`: "order", written by an
operator, or "outcome", written by the owner in the transaction that obeys. Both are JSON. The
outcome is the audit: who, why, before and after. Anybody may write there, so what cannot be read
is refused, never guessed at.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pmstream.core.instance import Instance
from pmstream.core.lifecycle import condition
from pmstream.core.obeying import Refused, delivered
from pmstream.core.orders import OF_PARTITIONS, Order, Verb
from pmstream.core.routing import check_uuid
from pmstream.errors import InvalidRoute
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Headers, Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.nesting import MAX_DEPTH, is_too_deep

KIND = "pm-kind"
ORDER, OUTCOME = b"order", b"outcome"

MAX_STATE_BYTES = 100_000
"""A state that is larger is left out of the audit; twice it must fit into a record."""

MAX_ORDER_BYTES = 500_000
"""An order that is larger is refused, but one to deliver an event: its outcome holds it whole, and
must fit into a record with two states."""

MAX_TEXT = 2_000
"""Characters of who and why, and of an id, that are kept."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """An instance at one moment, for the audit.

    Attributes:
        condition: where it stands in LIFECYCLE.
        state: field to value; None while it has none, when it is too large, or no JSON.
        state_bytes: how large it is.
        works_on: position of the input that it works on.
        attempts, error, reason: of that.
        backlog: how many inputs wait behind it.
        timers: name to when it is due, milliseconds since the epoch.
    """

    condition: str
    state: Any = None
    state_bytes: int = 0
    works_on: str = ""
    attempts: int = 0
    error: str = ""
    reason: str = ""
    backlog: int = 0
    timers: Mapping[str, int] = {}


class OrderOutcome(Struct, frozen=True, kw_only=True):
    """What became of an order.

    Attributes:
        order: as it was given.
        accepted: whether it was obeyed.
        refused: why not.
        offset: where the order stands in its partition.
        time: of the owner, milliseconds since the epoch.
        owner: transactional id of the worker.
        before, after: the instance; None for an order to a partition, or when there is none.
    """

    order: Order
    accepted: bool
    offset: int
    time: int
    owner: str
    refused: str = ""
    before: Snapshot | None = None
    after: Snapshot | None = None


class Unread(Struct, frozen=True):
    """An order that cannot be read, and why."""

    order: Order
    why: str


ReadOrder = Order | Unread | Out | None
"""An order; one that is refused unread; one to pass on to its partition; None: an outcome."""

_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)
_outcome_decoder = msgspec.json.Decoder(OrderOutcome)


def order_record(topic: str, order: Order, partition: int) -> Out:
    """An order as a record."""
    key = order.process_uuid.encode() or None
    return Out(topic, key, _encoder.encode(order), ((KIND, ORDER),), partition)


def outcome_record(topic: str, outcome: OrderOutcome, partition: int) -> Out:
    """An outcome as a record; of an order to deliver it tells which event, not what is in it."""
    key = outcome.order.process_uuid.encode() or None
    if outcome.order.verb is Verb.DELIVER:
        outcome = replace(outcome, order=_without_event(outcome.order))
    try:
        value = _encoder.encode(outcome)
    except (TypeError, ValueError, RecursionError):  # of a state that JSON cannot hold
        before, after = _without_state(outcome.before), _without_state(outcome.after)
        value = _encoder.encode(replace(outcome, before=before, after=after))
    return Out(topic, key, value, ((KIND, OUTCOME),), partition)


def _without_event(order: Order) -> Order:
    try:
        event = delivered(order).cause
    except Refused:
        event = ""
    return replace(order, arguments={"event": event})


def _without_state(told: Snapshot | None) -> Snapshot | None:
    return None if told is None else replace(told, state=None)


def read_outcome(record: Record) -> OrderOutcome | None:
    """The outcome in a record; None when it is none, or cannot be read."""
    if not _is(record.headers, OUTCOME):
        return None
    try:
        return _outcome_decoder.decode(record.value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_order(record: Record) -> bool:
    """Whether it is an owner's to answer: an order, readable or not."""
    return not _is(record.headers, OUTCOME)


def order_reader(topic: str, partitions: int) -> Callable[[Record, int], ReadOrder]:
    """How an instances worker reads one of the partitions of its orders."""

    def read(record: Record, number: int) -> ReadOrder:
        if not is_order(record):
            return None
        try:
            order = _order_decoder.decode(record.value or b"")
            if order.verb not in OF_PARTITIONS:
                check_uuid(order.process_uuid)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InvalidRoute) as error:
            return Unread(Order(id="", verb=Verb.RETRY), f"it cannot be read: {error}"[:MAX_TEXT])
        excess = _excess(order, len(record.value or b""))
        if excess:
            return Unread(Order(id=order.id[:MAX_TEXT], verb=order.verb), excess)
        key = order.process_uuid.encode()
        if order.verb in OF_PARTITIONS:
            return order
        belongs = murmur2_partition(key, partitions)
        if belongs != number:
            return Out(topic, key, record.value, record.headers, belongs)
        return order

    return read


def _excess(order: Order, size: int) -> str:
    """Which limit an order is beyond, if any."""
    if max(len(order.id), len(order.who), len(order.why)) > MAX_TEXT:
        return f"id, who and why may have {MAX_TEXT} characters each"
    if size > MAX_ORDER_BYTES and order.verb is not Verb.DELIVER:
        return f"it has {size} bytes; an order may have {MAX_ORDER_BYTES}"
    if is_too_deep(order.arguments):
        return f"its arguments are nested deeper than {MAX_DEPTH} times"
    return ""


def snapshot(instance: Instance | None) -> Snapshot | None:
    """What the audit tells of an instance."""
    if instance is None:
        return None
    work = instance.work
    size = len(instance.state)
    error = f"{work.error_type}: {work.error_text}" if work and work.error_type else ""
    return Snapshot(
        condition=condition(instance),
        state=msgspec.msgpack.decode(instance.state) if 0 < size <= MAX_STATE_BYTES else None,
        state_bytes=size,
        works_on=work.input.cause if work else "",
        attempts=work.attempts if work else 0,
        error=error,
        reason=work.reason if work else "",
        backlog=instance.backlog.size,
        timers={name: each.due for name, each in instance.timers.pending.items()},
    )


def _is(headers: Headers, kind: bytes) -> bool:
    return any(name == KIND and value == kind for name, value in headers)

"""What one record says about one process, as a line of its history.

Rule: no payload is in a moment; who may see it reads the record.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from msgspec import Struct

from pmstream.core.instance import FormatError, Instance, Timer, load_instance
from pmstream.core.lifecycle import condition
from pmstream.core.messages import (
    CAUSATION_ID,
    COMMAND_ID,
    OUTCOME,
    PROCESS_MANAGER,
    PROCESS_UUID,
)
from pmstream.core.orders import Order
from pmstream.errors import Undecodable
from pmstream.runtime.inbox import HEADER, read_inbox
from pmstream.runtime.log import Record
from pmstream.runtime.orders import OrderOutcome, ReadOrder, read_outcome

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CHARACTERS = 300


class What(StrEnum):
    """Kinds of moments; of those of one time, the first stands first."""

    ORDER = "order"
    EVENT = "event"
    REPLY = "reply"
    OUTCOME = "outcome"
    INSTANCE = "instance"
    TIMER = "timer"
    COMMAND = "command"


class Moment(Struct, frozen=True, kw_only=True):
    """One line.

    Attributes:
        time: milliseconds since the epoch.
        what: its kind.
        position: `topic-partition-offset` of the record.
        detail: the sentence.
        attempts: failures so far of what the instance works on; 0 if none, or not known.
        trace: W3C trace id, "" without one.
        record: it says so; None of what is still to come.
    """

    time: int
    what: What
    position: str
    detail: str
    attempts: int = 0
    trace: str = ""
    record: Record | None = None


def position(record: Record) -> str:
    """Where a record stands."""
    return f"{record.topic}-{record.partition}-{record.offset}"


def trace_id(record: Record) -> str:
    """Of the record's header traceparent; "" if it has none, or it is malformed."""
    value = _header(record, "traceparent").encode()
    found = _TRACEPARENT.fullmatch(value)
    return found[1].decode() if found else ""


def is_command_of(record: Record, process_manager: str, uuid: str) -> bool:
    """Whether a process sent that command."""
    sender = (_header(record, PROCESS_UUID), _header(record, PROCESS_MANAGER))
    return sender == (uuid, process_manager)


def of_event(record: Record) -> Moment:
    """A routed event, or in direct mode an event of the source."""
    detail = ""
    if any(name == HEADER for name, _ in record.headers):
        try:
            routed = read_inbox(record)
            detail = f"{routed.route} with {routed.cause}"
            detail += ", replayed" if routed.replayed else ""
        except Undecodable as error:
            detail = str(error)
    return _moment(record, What.EVENT, detail)


def of_command(record: Record) -> Moment:
    """A command that was sent."""
    id, cause = _header(record, COMMAND_ID), _header(record, CAUSATION_ID)
    return _moment(record, What.COMMAND, f"{id}, caused by {cause}")


def of_reply(record: Record) -> Moment:
    """What a service answered to a command."""
    outcome = _header(record, OUTCOME) or "without an outcome"
    return _moment(record, What.REPLY, f"{outcome}: {_header(record, COMMAND_ID)}")


def of_instance(records: Iterable[Record]) -> Iterator[Moment]:
    """How an instance stood and which timers it had, told when that changes.

    Args:
        records: its own in the changelog, in order; compaction may have left few of them.
    """
    stood, timers = "", dict[str, Timer]()
    for record in records:
        try:
            instance = load_instance(record.value) if record.value is not None else None
        except FormatError as error:
            yield _moment(record, What.INSTANCE, str(error))
            continue
        stands = _stands(instance)
        if stands != stood:
            attempts = instance.work.attempts if instance and instance.work else 0
            yield _moment(record, What.INSTANCE, stands, attempts)
        now = instance.timers.pending if instance else {}
        for told in _of_timers(timers, now):
            yield _moment(record, What.TIMER, told)
        stood, timers = stands, now


def _stands(instance: Instance | None) -> str:
    if instance is None:
        return "it is not there any more"
    work, found = instance.work, str(condition(instance))
    if work is not None:
        why = f"{work.error_type}: {work.error_text}" if work.error_type else work.reason
        found += f" at {work.input.cause}" + (f": {why}" if why else "")
    if instance.backlog.size:
        found += f"; {instance.backlog.size} wait behind"
    return found


def _of_timers(before: Mapping[str, Timer], now: Mapping[str, Timer]) -> Iterator[str]:
    for name, timer in now.items():
        if name not in before or before[name].n != timer.n:
            yield f"{name} is set, due {_iso(timer.due)}"
        elif timer.queued and not before[name].queued:
            yield f"{name} came due, and waits behind others"
    for name in before.keys() - now.keys():
        yield f"{name} is gone: it fired, was cancelled, or the process ended"


def of_orders(
    records: Iterable[Record], read: Callable[[Record, int], ReadOrder], uuid: str
) -> Iterator[Moment]:
    """Orders to a process and what became of them.

    Args:
        records: of the partition of the orders topic, in order.
        read: see `order_reader`.
        uuid: of the process.
    """
    given: dict[str, Moment] = {}
    for record in records:
        outcome = read_outcome(record)
        if outcome is not None and outcome.order.process_uuid == uuid:
            if outcome.order.id in given:
                yield given.pop(outcome.order.id)
            yield _moment(record, What.OUTCOME, _became(outcome))
        elif record.key == uuid.encode():
            found = read(record, record.partition)
            if isinstance(found, Order):
                given[found.id] = _moment(record, What.ORDER, _ordered(found))
    for waiting in given.values():
        yield Moment(
            time=waiting.time,
            what=waiting.what,
            position=waiting.position,
            detail=f"{waiting.detail}; no outcome yet",
            record=waiting.record,
        )


def _ordered(order: Order) -> str:
    name = order.arguments.get("name") or order.arguments.get("event")
    what = f"{order.verb} {name}" if isinstance(name, str) else str(order.verb)
    return f"{what} by {order.who or 'nobody'}" + (f": {order.why}" if order.why else "")


def _became(outcome: OrderOutcome) -> str:
    ordered = _ordered(outcome.order)
    if not outcome.accepted:
        return f"{outcome.order.verb} refused: {outcome.refused} ({ordered})"
    before = outcome.before.condition if outcome.before else "absent"
    after = outcome.after.condition if outcome.after else "absent"
    return f"{outcome.order.verb} accepted: {before} → {after} ({ordered})"


def _moment(record: Record, what: What, detail: str, attempts: int = 0) -> Moment:
    return Moment(
        time=record.timestamp,
        what=what,
        position=position(record),
        detail=detail[:_CHARACTERS],
        attempts=attempts,
        trace=trace_id(record),
        record=record,
    )


def _header(record: Record, wanted: str) -> str:
    value = next((value for name, value in record.headers if name == wanted), None)
    return (value or b"").decode(errors="replace")


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat()

"""Which inputs are traced, and what their spans come from.

Rule: what an event causes goes on in its trace; what time, an order, a replay or the end of a wait
brings back begins a new trace, linked to the last one of its process and to the event's.
"""

from collections.abc import Callable

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.engine import Arrived, Due, Input, Order, Reply, Waiting
from pmstream.core.instance import Instance
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Cause, Routed, Timed
from pmstream.core.obeying import Refused, delivered
from pmstream.core.orders import Verb
from pmstream.runtime.spans import Attribute, Value
from pmstream.runtime.traceparent import sampled
from pmstream.runtime.trail import place

_DUE = {
    DueKind.RETRY: "retry",
    DueKind.TIMER: "timer",
    DueKind.START: "start",
    DueKind.REPLY: "reply",
}
"""What comes due and is worth a span; the others only look."""


class Origin(Struct, frozen=True):
    """What a traced input comes from.

    Attributes:
        name: what is at hand.
        attributes: what is known of it.
        parent: context whose trace goes on; None begins a new one.
        links: contexts of what it comes from otherwise.
    """

    name: str
    attributes: dict[Attribute, Value]
    parent: bytes | None
    links: tuple[bytes, ...] = ()


def origin(
    instance: Instance | None, input: Input, names: Names, allows: Callable[[], bool]
) -> Origin | None:
    """What an input comes from; None is: it is not traced.

    Args:
        instance: before the input.
        input: see `engine.step`.
        names: topics of the process manager.
        allows: asked whether one more input may be traced, if this one is to be.
    """
    last = instance.trace if instance is not None else None
    if not isinstance(input, Arrived):
        found = _brought_back(instance, input, names, last)
        return found if found is not None and allows() else None
    context = sampled(input.routed.headers)
    # Asked before anything is made: where all are sampled, most of them are turned away here.
    if context is None or not allows():
        return None
    if input.routed.replayed:  # long after: what its producer waited for is over
        return _of(input.routed, "event", None, last, context)
    return _of(input.routed, "event", context, last)


def _brought_back(
    instance: Instance | None,
    input: Waiting | Due | Order | Reply,
    names: Names,
    last: bytes | None,
) -> Origin | None:
    """What comes of something that was there before."""
    if isinstance(input, Waiting):
        return _later(input.entry.work.input, "backlog", last)
    if isinstance(input, Due):
        if input.kind is DueKind.TIMER:
            return _of_timer(input.name, input.process_uuid, last)
        work = instance.work if instance is not None else None
        what = _DUE.get(input.kind)
        return None if work is None or what is None else _later(work.input, what, last)
    if isinstance(input, Order):
        return _ordered(input, names.orders, last)
    work = instance.work if instance is not None else None
    if work is None or not work.pending or work.pending[0].id != input.command_id:
        return None
    context = sampled(work.pending[0].headers)
    if context is None:
        return None
    return Origin(*_fed(names.replies, "reply", work.input.process_uuid), context, _links(last))


def _of(routed: Routed, what: str, parent: bytes | None, *links: bytes | None) -> Origin:
    known: dict[Attribute, Value] = {
        **place(routed.topic, routed.partition, routed.offset),
        **_process(what, routed.process_uuid),
        Attribute.ROUTE: str(routed.route),
    }
    if routed.replayed:
        known[Attribute.REPLAYED] = True
    return Origin(f"process {routed.topic}", known, parent, _links(*links))


def _later(cause: Cause, what: str, last: bytes | None) -> Origin | None:
    """What waited begins a new trace, if its process or itself is traced."""
    if isinstance(cause, Timed):
        return _of_timer(cause.name, cause.process_uuid, last)
    context = sampled(cause.headers)
    if last is None and context is None:
        return None
    return _of(cause, what, None, last, context)


def _of_timer(name: str, uuid: str, last: bytes | None) -> Origin | None:
    if last is None:
        return None
    known = {**_process("timer", uuid), Attribute.TIMER: name}
    return Origin("process timer", known, None, (last,))


def _ordered(order: Order, topic: str, last: bytes | None) -> Origin | None:
    """An order begins a new trace, if its process or the event that it delivers is traced."""
    links = _links(last, _delivers(order))
    name, known = _fed(topic, "order", order.process_uuid)
    return Origin(name, {**known, Attribute.ORDER: str(order.verb)}, None, links) if links else None


def _delivers(order: Order) -> bytes | None:
    if order.verb is not Verb.DELIVER:
        return None
    try:
        return sampled(delivered(order).headers)
    except Refused:
        return None


def _fed(topic: str, what: str, uuid: str) -> tuple[str, dict[Attribute, Value]]:
    known: dict[Attribute, Value] = {
        Attribute.SYSTEM: "kafka",
        Attribute.OPERATION: "process",
        Attribute.TOPIC: topic,
        **_process(what, uuid),
    }
    return f"process {topic}", known


def _process(what: str, uuid: str) -> dict[Attribute, Value]:
    return {
        Attribute.INPUT: what,
        Attribute.PROCESS_UUID: uuid,
        Attribute.CONVERSATION: uuid,
    }


def _links(*contexts: bytes | None) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(each for each in contexts if each is not None))

"""Traces what a tool produces: a trace begins with each message, as with one from a traced service.

Rule: the limit holds here, too; beyond it messages carry no context.
"""

from time import time_ns

from pmstream.runtime.log import Headers
from pmstream.runtime.spans import Attribute, Kind, Span
from pmstream.runtime.traceparent import TRACEPARENT, next_context
from pmstream.runtime.trail import Trail


def traced_headers(trail: Trail | None, topic: str) -> Headers:
    """Headers of one more message: its context; none when tracing is off, or at its limit."""
    if trail is None or not trail.allows():
        return ()
    span = Span(
        name=f"send {topic}",
        kind=Kind.PRODUCER,
        context=next_context(None),
        began=time_ns(),
        attributes={
            Attribute.SYSTEM: "kafka",
            Attribute.OPERATION: "send",
            Attribute.TOPIC: topic,
        },
    )
    trail.tell([span])
    return ((TRACEPARENT, span.context),)

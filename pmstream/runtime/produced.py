"""Traces what a tool produces: a trace begins with each message, as with one from a traced service.

Rule: the limit holds here, too; beyond it messages carry no context.
"""

from pmstream.runtime.log import Headers
from pmstream.runtime.spans import Attribute, Beginning, Kind
from pmstream.runtime.traceparent import TRACEPARENT
from pmstream.runtime.trail import Trail


def traced_headers(trail: Trail | None, topic: str) -> Headers:
    """Headers of one more message: its context; none when tracing is off, or at its limit."""
    if trail is None or not trail.allows():
        return ()
    known = {Attribute.SYSTEM: "kafka", Attribute.OPERATION: "send", Attribute.TOPIC: topic}
    span = trail.tell(Beginning(name=f"send {topic}", kind=Kind.PRODUCER, attributes=known))
    span.close()
    return ((TRACEPARENT, span.context),)

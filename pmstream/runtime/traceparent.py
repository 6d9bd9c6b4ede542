"""The W3C's trace context in headers: who is traced, and what goes on from there.

Rule: what is not written as the W3C says is as if it were not there; nobody else's bytes change.
"""

import re
from random import Random

from pmstream.runtime.log import Headers

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

SAMPLED = 1
"""The flag that asks for spans."""

_FORM = re.compile(
    rb"(?:00|(?!00|ff)[0-9a-f]{2}(?=.{53}(?:-|\Z)))"  # a later version may have more behind it
    rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_LENGTH = 55
_ODD = frozenset(b"%x" % digit for digit in range(16) if digit & SAMPLED)


def sampled(headers: Headers) -> bytes | None:
    """The context of an event that is to be traced; None is: it has none, or a bad one."""
    found = None
    for name, value in headers:
        if name == TRACEPARENT:
            if found is not None:
                return None  # two of them: nobody knows which one counts
            found = value or b""
    # Most events are not sampled: the flag is looked at before the rest.
    if not found or found[_LENGTH - 1 : _LENGTH] not in _ODD or not is_context(found):
        return None
    return found[:_LENGTH]


def is_context(value: bytes) -> bool:
    """Whether the bytes are a trace context of the W3C's."""
    match = _FORM.match(value)
    return match is not None and (value[:2] != b"00" or len(value) == _LENGTH)


def dump_context(trace_id: int, span_id: int) -> bytes:
    """The context of a sampled span."""
    return b"00-%032x-%016x-%02x" % (trace_id, span_id, SAMPLED)


def next_context(parent: bytes | None) -> bytes:
    """The context of a new span: in the trace of its parent, or, without one, in a new one."""
    own = _CHANCE.getrandbits(64) or 1  # the W3C has no id of zeros
    if parent is None:
        return dump_context(_CHANCE.getrandbits(128) or 1, own)
    return b"00-%b-%016x-01" % (parent[3:35], own)


_CHANCE = Random()
"""Our own: nobody else's seed is disturbed."""


def load_context(context: bytes) -> tuple[int, int]:
    """Trace id and span id of a context."""
    return int(context[3:35], 16), int(context[36:52], 16)


def carried(headers: Headers, context: bytes, *, goes_on: bool) -> Headers:
    """The headers with this context in the place of theirs, or behind them.

    Args:
        headers: of a record.
        context: of the span that sends it on.
        goes_on: whether it is the same trace still; a new one does not inherit `tracestate`.
    """
    kept = list(headers) if goes_on else [each for each in headers if each[0] != TRACESTATE]
    names = [name for name, _ in kept]
    found = names.count(TRACEPARENT)
    if not found:
        return (*kept, (TRACEPARENT, context))
    at = names.index(TRACEPARENT)
    kept[at] = (TRACEPARENT, context)
    if found > 1:
        kept[at + 1 :] = [each for each in kept[at + 1 :] if each[0] != TRACEPARENT]
    return tuple(kept)

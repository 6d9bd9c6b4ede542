"""route(): what an event means to the router.

Rule: pure and total. What the author's code did wrong becomes an answer.
"""

from typing import Any

from msgspec import Struct, field

from pmstream.core import failure
from pmstream.core.answering import as_error, ask, describe, stacktrace
from pmstream.core.failure import FailureContext, Halt, Kind, Stage
from pmstream.core.messages import UNASKED, Headers, Metadata, Placed, metadata_at
from pmstream.core.process import Callbacks
from pmstream.core.routing import Route, resolve
from pmstream.errors import TimeUp


class Dropped(Struct, frozen=True):
    """interested() failed and error() answered Skip; `error` is type and text."""

    error: str


class DeadLetter(Struct, frozen=True):
    """interested() failed and error() answered Park: an operator shall look at the event."""

    reason: str
    error: str


class Routing(Struct, frozen=True, gc=False):
    """Where an event goes; nowhere when `route` is None.

    Attributes:
        route: what it means to the instances.
        ids: their process UUIDs, distinct, in order.
        hold: how long it may wait for its start, milliseconds.
        failure: what to do instead, when interested() failed.
    """

    route: Route | None = None
    ids: list[str] = field(default_factory=list)
    hold: int = 0
    failure: Dropped | DeadLetter | Halt | None = None


def route(callbacks: Callbacks, event: Any, place: Placed, headers: Headers, now: int) -> Routing:
    """Asks interested() where an event goes; never raises for what the author's code did.

    Args:
        callbacks: of the process manager.
        event: its decoded value.
        place: where it stands.
        headers: its own.
        now: milliseconds since the epoch.
    """
    metadata = UNASKED
    if not callbacks.routes_blindly:
        metadata = metadata_at(place, headers, callbacks.name)
    try:
        resolved = resolve(callbacks.interested(event, metadata), callbacks.fan_out_limit)
    except (Exception, TimeUp) as raised:  # noqa: BLE001 - the author's code
        metadata = metadata_at(place, headers, callbacks.name)
        return _unrouted(callbacks, as_error(raised), event, metadata, now)
    return Routing() if resolved is None else Routing(*resolved)


def _unrouted(
    callbacks: Callbacks, error: Exception, event: Any, metadata: Metadata, now: int
) -> Routing:
    context = FailureContext(
        context={},
        state=callbacks.state(),
        last_event=event,
        metadata=metadata,
        stage=Stage.INTERESTED,
        first_failed_at=now,
        stacktrace=stacktrace(error),
    )
    verdict = ask(callbacks, Kind.INTERESTED, error, event, context, max_context_bytes=0)
    if isinstance(verdict, Halt):
        return Routing(failure=verdict)
    if verdict.answer is failure.Park:
        return Routing(failure=DeadLetter(verdict.reason, describe(error)))
    return Routing(failure=Dropped(describe(error)))

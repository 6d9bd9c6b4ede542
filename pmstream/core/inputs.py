"""What `step` works on, and what it answers."""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from pmstream.core.dispatching import Reply
from pmstream.core.failure import Halt
from pmstream.core.instance import Entry, Instance
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Emitted, Routed
from pmstream.core.orders import Order
from pmstream.core.result import Outcome


class Arrived(Struct, frozen=True, gc=False):
    """A routed event was read.

    Attributes:
        routed: the event.
        event: its decoded value; None when it is not decoded yet.
    """

    routed: Routed
    event: Any = None


class Due(Struct, frozen=True):
    """Something came due in an instance: a hint, checked against it. `name` is a timer's."""

    kind: DueKind
    process_uuid: str
    name: str = ""


class Waiting(Struct, frozen=True):
    """The backlog entry that the last step told to take."""

    entry: Entry


Input = Arrived | Reply | Due | Waiting | Order
"""All that `step` works on."""


class Take(StrEnum):
    """Which backlog entry the shell is to hand to `step` next."""

    FIRST = "first"
    CREATING = "creating"


class Step(Struct, frozen=True, kw_only=True, gc=False):
    """The work of one input.

    Attributes:
        instance: the instance after it; None is: no record.
        commands: encoded, with ids, to emit in order.
        put: a backlog entry to write.
        taken: sequence number of the backlog entry that this step consumed, to delete.
        take: hand this backlog entry to `step` next, if there is one.
        halt: stop the process manager; then nothing of this input counts. One from the backlog
            that passed what waits for a start has changed places with it: `put` and `taken` tell.
        outcome: what happened.
        refused: why an order was not obeyed; "" when it was.
    """

    instance: Instance | None
    outcome: Outcome
    commands: tuple[Emitted, ...] = ()
    put: Entry | None = None
    taken: int | None = None
    take: Take | None = None
    halt: Halt | None = None
    refused: str = ""

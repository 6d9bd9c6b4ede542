"""What an operator may order of one instance, as data.

`obeying` says what each verb does; `runtime.orders` how an order stands in its topic.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct


class Verb(StrEnum):
    """What is ordered."""

    RETRY = "retry"
    """Try now what waits for a retry or an operator; its attempts and context go on."""
    RELEASE = "release"
    """Try now what is parked, as if for the first time; what waits behind it follows."""
    SKIP = "skip"
    """Drop what the instance works on: the event, or the command at hand."""
    PARK = "park"
    """Let what the instance works on wait for an operator."""
    EDIT = "edit"
    """Change fields of the state; `set`: field to value; `expect`: refuse unless they are so."""
    STOP = "stop"
    """End the instance: its state, its timers, and what it works on."""
    FIRE = "fire"
    """Let a timer come due now; `name` says which."""
    CANCEL = "cancel"
    """Forget a timer; `name` says which."""
    DELIVER = "deliver"
    """Take in an event as if it arrived now; `event`: a `messages.Routed` as plain data."""
    PAUSE = "pause"
    """The partition takes orders only."""
    RESUME = "resume"
    """The partition goes on."""


OF_PARTITIONS = frozenset({Verb.PAUSE, Verb.RESUME})
"""These concern a partition; all others one instance."""


class Order(Struct, frozen=True, kw_only=True):
    """An operator's order.

    Attributes:
        id: unique; the outcome carries it.
        verb: what is ordered.
        process_uuid: the instance; "" for a partition.
        arguments: see `Verb`.
        who: ordered it, for the audit.
        why: likewise.
        time: when it was given, milliseconds since the epoch.
    """

    id: str
    verb: Verb
    process_uuid: str = ""
    arguments: Mapping[str, Any] = {}
    who: str = ""
    why: str = ""
    time: int = 0

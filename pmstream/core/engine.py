"""step(): one input and one instance give one Step. All decisions live here.

Rule: pure and total. What the author's code or the input did wrong becomes an answer in the
Step; an exception out of here is a bug of pmstream and stops the worker.
"""

from enum import StrEnum
from typing import Any, Protocol

from msgspec import Struct

from pmstream.core.instance import Instance, Work
from pmstream.core.messages import Emitted, Routed
from pmstream.core.process import Callbacks


class Encoded(Struct, frozen=True):
    """A command's topic and bytes, before it has an id."""

    topic: str
    key: bytes
    value: bytes


class Coder(Protocol):
    """The bytes of messages; `runtime.codec` is the real one."""

    def decode_event(self, routed: Routed) -> Any:
        """Reads a routed event's value. Raises Undecodable."""

    def encode_command(self, command: Any) -> Encoded:
        """Checks and writes a command. Raises CommandInvalid."""

    def decode_command(self, topic: str, value: bytes) -> Any:
        """Reads back what `encode_command` wrote."""


class Outcome(StrEnum):
    """What happened to an input; for metrics, spans and history."""

    HANDLED = "handled"
    ENDED = "ended"
    IGNORED = "ignored"
    QUEUED = "queued"
    RETRYING = "retrying"
    SKIPPED = "skipped"
    PARKED = "parked"
    HALTED = "halted"


class Take(StrEnum):
    """Which backlog entry the shell is to hand to `step` next."""

    FIRST = "first"
    CREATING = "creating"


class Entry(Struct, frozen=True):
    """A backlog entry at its sequence number."""

    sequence: int
    work: Work


class Halt(Struct, frozen=True):
    """The process manager is to stop: what the worker says as it ends."""

    reason: str


class Step(Struct, frozen=True, kw_only=True):
    """The work of one input.

    Attributes:
        instance: the instance after it; None is: no record.
        commands: encoded, with ids, to emit in order.
        put: a backlog entry to write.
        taken: sequence number of the backlog entry that this step consumed, to delete.
        take: hand this backlog entry to `step` next.
        halt: stop the process manager; then nothing of this input counts.
        outcome: what happened.
    """

    instance: Instance | None
    outcome: Outcome
    commands: tuple[Emitted, ...] = ()
    put: Entry | None = None
    taken: int | None = None
    take: Take | None = None
    halt: Halt | None = None

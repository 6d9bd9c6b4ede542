"""The durable record of one process, and the LIFECYCLE it walks.

Rule: one instance is one record; everything else (the due index) is derived from it.
"""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.failure import Stage
from pmstream.core.messages import Emitted, Routed
from pmstream.errors import PmstreamError

FORMAT = 1
"""First byte of every record; a newer one is refused, never guessed at."""

HAS_DUE = 1
"""Flag in the second byte: the record has due entries, so a restore must derive them."""

FIRST_SEQUENCE = 1 << 32
"""Backlog sequence numbers begin here, so that an entry can be put in front."""


class Status(StrEnum):
    """Whether ROUTES sees an instance."""

    RUNNING = "running"
    ABSENT = "absent"


_RUNNING = Status.RUNNING


class Wait(StrEnum):
    """What unfinished work waits for."""

    RETRY = "retry"
    OPERATOR = "operator"


class Condition(StrEnum):
    """Where an instance stands in its life; derived from its record."""

    ABSENT = "absent"
    IDLE = "idle"
    RETRYING = "retrying"
    PARKED = "parked"
    DRAINING = "draining"


LIFECYCLE: dict[Condition, dict[Condition, str]] = {
    # from: {to: what leads there}
    Condition.ABSENT: {
        Condition.IDLE: "an event creates it",
        Condition.RETRYING: "its first event failed; the answer was Retry",
        Condition.PARKED: "its first event failed; the answer was Park",
    },
    Condition.IDLE: {
        Condition.RETRYING: "an input failed; the answer was Retry",
        Condition.PARKED: "an input failed; the answer was Park",
        Condition.ABSENT: "Stop, or after_command ended it",
    },
    Condition.RETRYING: {
        Condition.IDLE: "the retry succeeded, nothing waits behind",
        Condition.DRAINING: "the retry succeeded, inputs wait behind",
        Condition.PARKED: "the retry, or an event that passed it, failed; the answer was Park",
        Condition.ABSENT: "the input was dropped, or ended an instance that nothing waits for",
    },
    Condition.PARKED: {
        Condition.RETRYING: "an event that creates passed it and failed; the answer was Retry",
    },
    Condition.DRAINING: {
        Condition.IDLE: "the backlog is empty",
        Condition.RETRYING: "an input from the backlog failed; the answer was Retry",
        Condition.PARKED: "an input from the backlog failed, or had; the answer was Park",
        Condition.ABSENT: "an input from the backlog ended it, nothing waits behind",
    },
}


class Work(Struct, frozen=True, array_like=True, kw_only=True):
    """An input that must end before the next one may begin; also one entry of the backlog.

    Attributes:
        input: what is being worked on, as it was read.
        stage: where it stands; ROUTING before anything was tried.
        wait: what it waits for; None in the backlog before its first try.
        due: when a retry is due, milliseconds since the epoch.
        context: the author's mapping.
        attempts: failures so far.
        first_failed_at: milliseconds since the epoch; 0 before the first failure.
        error_type, error_text: the last error, for operators.
        reason: why it was parked.
        command: index of the command that `context` and `attempts` belong to.
        sent: commands that are out and whose after_command is still to run.
        not_started: whether it waits because no instance exists; an input that creates one may
            pass it. False as soon as there is an instance.
    """

    input: Routed
    stage: Stage = Stage.ROUTING
    wait: Wait | None = None
    due: int = 0
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    attempts: int = 0
    first_failed_at: int = 0
    error_type: str = ""
    error_text: str = ""
    reason: str = ""
    command: int = 0
    sent: tuple[Emitted, ...] = ()
    not_started: bool = False


class Entry(Struct, frozen=True):
    """A backlog entry at its sequence number."""

    sequence: int
    work: Work


class Backlog(Struct, frozen=True, array_like=True, gc=False):
    """Sequence numbers of what waits behind the work: `[first, next)`, with gaps, `size` in all."""

    first: int = FIRST_SEQUENCE
    next: int = FIRST_SEQUENCE
    size: int = 0


class Instance(Struct, frozen=True, array_like=True, kw_only=True):
    """One process.

    Attributes:
        status: whether ROUTES sees an instance; ABSENT is kept for its work or backlog only.
        state: the author's Struct as msgpack; empty while absent.
        state_version: the version of the author's state that `state` was written with.
        born: position (`topic-partition-offset`) of the event that created it.
        work: what must end before the next input may begin.
        backlog: what waits behind it.
        timers: place of the timers (another issue); always empty so far.
        trace: last sampled span context; None so far.
    """

    status: Status
    state: bytes = b""
    state_version: int = 1
    born: str = ""
    work: Work | None = None
    backlog: Backlog = Backlog()
    timers: dict[str, tuple[int, int, bool]] = msgspec.field(default_factory=dict)
    trace: bytes | None = None

    @property
    def exists(self) -> bool:
        """Whether ROUTES sees an instance."""
        return self.status is _RUNNING


class FormatError(PmstreamError):
    """A durable record was written by a newer version, or is damaged."""


def condition(instance: Instance | None) -> Condition:
    """Tells where the instance stands in LIFECYCLE."""
    if instance is None:
        return Condition.ABSENT
    if instance.work is not None:
        return Condition.PARKED if instance.work.wait is Wait.OPERATOR else Condition.RETRYING
    if instance.backlog.size:
        return Condition.DRAINING
    return Condition.IDLE if instance.exists else Condition.ABSENT


def due(instance: Instance) -> tuple[str, int] | None:
    """What is to happen to the instance by itself, and when: (kind, milliseconds).

    A retry at its time; draining at once (0), so that a crash in mid-drain goes on.
    """
    if instance.work is not None:
        return ("retry", instance.work.due) if instance.work.wait is Wait.RETRY else None
    return ("drain", 0) if instance.backlog.size else None


_encoder = msgspec.msgpack.Encoder()
_instance_decoder = msgspec.msgpack.Decoder(Instance)
_work_decoder = msgspec.msgpack.Decoder(Work)


def dump_instance(instance: Instance) -> bytes:
    """The record's bytes: format, flags, msgpack array."""
    flags = HAS_DUE if due(instance) is not None else 0
    return bytes((FORMAT, flags)) + _encoder.encode(instance)


def load_instance(record: bytes) -> Instance:
    """Reads `dump_instance`.

    Raises:
        FormatError: another format, or damaged bytes.
    """
    _check_format(record)
    try:
        return _instance_decoder.decode(memoryview(record)[2:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"an instance's record is damaged: {error}") from error


def dump_work(work: Work) -> bytes:
    """A backlog entry's bytes: format, flags, msgpack array."""
    return bytes((FORMAT, 0)) + _encoder.encode(work)


def load_work(record: bytes) -> Work:
    """Reads `dump_work`.

    Raises:
        FormatError: another format, or damaged bytes.
    """
    _check_format(record)
    try:
        return _work_decoder.decode(memoryview(record)[2:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"a backlog entry is damaged: {error}") from error


def has_due(record: bytes) -> bool:
    """Whether an instance's record has due entries, told without decoding it."""
    return bool(record[1] & HAS_DUE)


def _check_format(record: bytes) -> None:
    if not record or record[0] != FORMAT:
        raise FormatError(
            f"a record has format {record[0] if record else 'none'}; this version reads {FORMAT}: "
            "a newer pmstream wrote it, run that version"
        )

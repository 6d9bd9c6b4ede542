"""The durable record of one process.

Rule: one instance is one record; everything else (the due index) is derived from it. What is
frozen and holds plain data is never part of a cycle: `gc=False` keeps a large cache of instances,
and the objects of each event, away from the garbage collector.
"""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.failure import Stage
from pmstream.core.messages import Cause, Emitted
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
    """Kept for its work or backlog only."""
    COMPLETED = "completed"
    """Ended; a marker keeps late events from beginning it anew (`completed_for`)."""


_RUNNING, _COMPLETED = Status.RUNNING, Status.COMPLETED


class Wait(StrEnum):
    """What unfinished work waits for."""

    RETRY = "retry"
    OPERATOR = "operator"
    REPLY = "reply"
    START = "start"


class Work(Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """An input that must end before the next one may begin; also one entry of the backlog.

    Attributes:
        input: what is being worked on, as it was read.
        stage: where it stands; ROUTING before anything was tried.
        wait: what it waits for; None in the backlog before its first try.
        due: when a retry is due, a reply or a start is no longer waited for; milliseconds since
            the epoch.
        context: the author's mapping.
        attempts: failures so far.
        first_failed_at: milliseconds since the epoch; 0 before the first failure.
        error_type, error_text: the last error, for operators.
        reason: why it was parked.
        command: index of the command that `context` and `attempts` belong to.
        sent: commands that are out and whose after_command is still to run.
        pending: confirm mode: the command at hand, whose reply is awaited or which is to be sent
            again, then those behind it.
        not_started: whether it waits because no instance exists; an input that creates one may
            pass it. False as soon as there is an instance.
    """

    input: Cause
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
    pending: tuple[Emitted, ...] = ()


class Timer(Struct, frozen=True, array_like=True, gc=False):
    """A timer of an instance.

    Attributes:
        due: milliseconds since the epoch.
        n: which of the instance's timers it is, in the order they were set.
        queued: it came due and waits in the backlog, or is being worked on.
        correlation_id: of the event whose handling set it.
    """

    due: int
    n: int
    queued: bool = False
    correlation_id: str = ""


class Timers(Struct, frozen=True, array_like=True, gc=False):
    """An instance's timers by name, and how many it has set in its life."""

    pending: dict[str, Timer] = {}
    count: int = 0


NO_TIMERS = Timers()
"""Of an instance that has set none."""


class Entry(Struct, frozen=True):
    """A backlog entry at its sequence number."""

    sequence: int
    work: Work


class Backlog(Struct, frozen=True, array_like=True, gc=False):
    """Sequence numbers of what waits behind the work: `[first, next)`, with gaps, `size` in all."""

    first: int = FIRST_SEQUENCE
    next: int = FIRST_SEQUENCE
    size: int = 0


class Instance(Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """One process.

    Attributes:
        status: whether ROUTES sees an instance; ABSENT is kept for its work or backlog only.
        state: the author's Struct as msgpack; empty while absent.
        state_version: the version of the author's state that `state` was written with.
        born: position (`topic-partition-offset`) of the event that created it.
        work: what must end before the next input may begin.
        backlog: what waits behind it.
        timers: kept until their TimerFired was worked on.
        trace: last sampled span context; None so far.
        until: when a completed one's marker expires, milliseconds since the epoch.
    """

    status: Status
    state: bytes = b""
    state_version: int = 1
    born: str = ""
    work: Work | None = None
    backlog: Backlog = Backlog()
    timers: Timers = NO_TIMERS
    trace: bytes | None = None
    until: int = 0

    @property
    def exists(self) -> bool:
        """Whether ROUTES sees an instance."""
        return self.status is _RUNNING


class FormatError(PmstreamError):
    """A durable record was written by a newer version, or is damaged."""


_encoder = msgspec.msgpack.Encoder()
_instance_decoder = msgspec.msgpack.Decoder(Instance)
_work_decoder = msgspec.msgpack.Decoder(Work)


def _calls_for_time(instance: Instance) -> bool:
    """Whether `lifecycle.coming` may answer anything; cheaper than asking it."""
    work = instance.work
    waits = instance.backlog.size > 0 if work is None else work.wait is not Wait.OPERATOR
    return waits or instance.status is _COMPLETED or bool(instance.timers.pending)


def dump_instance(instance: Instance) -> bytes:
    """The record's bytes: format, flags, msgpack array."""
    return (_TIMED if _calls_for_time(instance) else _PLAIN) + _encoder.encode(instance)


_PLAIN, _TIMED = bytes((FORMAT, 0)), bytes((FORMAT, HAS_DUE))


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

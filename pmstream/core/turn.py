"""The turn of one input: what it works with, how it fails, what it then waits for.

Rule: a context lives from one failure of the same thing to the next, and no further.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.answering import Verdict, ask, copy_context, stacktrace, text
from pmstream.core.failure import FailureContext, Halt, Kind, Stage
from pmstream.core.instance import Instance, Wait, Work
from pmstream.core.messages import Cause, Coder, Emitted, Metadata, Timed, metadata_of
from pmstream.core.process import Callbacks
from pmstream.core.state import load_state
from pmstream.core.timers import fired
from pmstream.errors import StateInvalid, Undecodable

UNDECODABLE_DELAY_MS = (1_000, 60_000)
"""First and longest wait for a worker that can decode an event."""


class Failed(Struct, frozen=True, kw_only=True):
    """One failure, before `error` is asked.

    Attributes:
        index: which command failed.
        pending: commands of the same event behind it.
        sent: see `Work.sent`.
        unsent: see `Work.pending`.
    """

    kind: Kind
    stage: Stage
    error: Exception
    failed: Any
    state: Any
    index: int = 0
    pending: Sequence[Any] = ()
    sent: tuple[Emitted, ...] = ()
    unsent: tuple[Emitted, ...] = ()


class Turn(Struct, gc=False):
    """The turn of one input: what it works with, and its failures so far.

    Attributes:
        told: the event's Metadata, once it is made: not before somebody asks for it.
        attempt: which try it is, from 1.
        tries: in this turn.
        subject: what `attempts` have failed.
    """

    callbacks: Callbacks
    cause: Cause
    event: Any
    work: Work | None
    now: int
    coder: Coder
    max_state_bytes: int
    told: Metadata | None = None
    attempt: int = 1
    tries: int = 1
    subject: tuple[Stage, int] = (Stage.HANDLE, 0)
    attempts: int = 0
    first_failed_at: int = 0
    context: dict[str, Any] = msgspec.field(default_factory=dict)

    def resume(self, work: Work) -> None:
        """Goes on with what is not finished: its failures so far count."""
        self.subject = (_SUBJECTS[work.stage], work.command)
        self.attempts, self.attempt = work.attempts, work.attempts + 1
        self.first_failed_at, self.context = work.first_failed_at, work.context

    @property
    def metadata(self) -> Metadata:
        """What the author's code is told of the event."""
        if self.told is None:
            self.told = metadata_of(self.cause, self.callbacks.name, self.attempt)
        return self.told

    def fail(self, failed: Failed) -> Verdict | Work | Halt:
        """Asks `error`; a Verdict says how to go on within this turn, else the turn ends."""
        subject = (_SUBJECTS[failed.stage], failed.index)
        if not self.attempts or subject != self.subject:
            self.subject, self.attempts, self.first_failed_at = subject, 0, self.now
            self.context = {}
        self.attempts += 1
        verdict = ask(
            self.callbacks,
            failed.kind,
            failed.error,
            failed.failed,
            self._failure_context(failed),
            self.max_state_bytes,
        )
        if isinstance(verdict, Halt):
            return verdict
        if verdict.answer is failure.Park:
            return self._wait(failed, Wait.OPERATOR, reason=verdict.reason)
        if verdict.answer in _TRY_AGAIN:
            self.context = verdict.context
            self.tries += 1
            if verdict.delay_ms or self.tries > self.callbacks.max_attempts_per_batch:
                return self._wait(failed, Wait.RETRY, due=self.now + verdict.delay_ms)
            self.count_attempt(self.attempts + 1)
        return verdict

    def next_subject(self) -> None:
        """What failed so far is over: the next thing begins with an empty context."""
        self.attempts, self.first_failed_at, self.context = 0, 0, {}

    def failures(self, stage: Stage, index: int) -> int:
        """How often this very thing has failed so far."""
        return self.attempts if self.subject == (stage, index) else 0

    def count_attempt(self, attempt: int) -> None:
        """Tells the author's code which try the next one is."""
        if self.attempt != attempt:
            self.attempt, self.told = attempt, None

    def decode(self) -> Work | None:
        """Reads the event unless it is at hand; the Work is: wait for a worker that can."""
        cause = self.cause
        if isinstance(cause, Timed):
            self.event = fired(cause.name, cause.due)
        elif self.event is None:
            try:
                self.event = self.coder.decode_event(cause)
            except Undecodable as error:
                return self.wait_for_decoder(error)
        return None

    def wait_for_decoder(self, error: Undecodable) -> Work:
        """The delay grows with the time already spent; not a failure of the author's code."""
        work = self.work or Work(input=self.cause)
        since = work.first_failed_at or self.now
        first, longest = UNDECODABLE_DELAY_MS
        return msgspec.structs.replace(
            work,
            wait=Wait.RETRY,
            due=self.now + min(max(self.now - since, first), longest),
            first_failed_at=since,
            error_type=type(error).__name__,
            error_text=text(error),
        )

    def state_of(self, life: Instance | None) -> Any:
        """The instance's state, else (also when it cannot be read) the empty one."""
        if life is not None:
            try:
                return load_state(life.state, self.callbacks, life.state_version)
            except StateInvalid:
                pass
        return self.callbacks.state()

    def _failure_context(self, failed: Failed) -> FailureContext:
        return FailureContext(
            context=copy_context(self.context),
            state=failed.state,
            last_event=self.event,
            pending_commands=tuple(failed.pending),
            metadata=self.metadata,
            stage=failed.stage,
            attempts=self.attempts,
            first_failed_at=self.first_failed_at,
            stacktrace=stacktrace(failed.error),
        )

    def _wait(self, failed: Failed, wait: Wait, due: int = 0, reason: str = "") -> Work:
        return Work(
            input=self.cause,
            stage=failed.stage,
            wait=wait,
            due=due,
            context=self.context,
            attempts=self.attempts,
            first_failed_at=self.first_failed_at,
            error_type=type(failed.error).__name__,
            error_text=text(failed.error),
            reason=reason,
            command=failed.index,
            sent=failed.sent,
            pending=failed.unsent,
            not_started=failed.kind is Kind.ROUTE,
        )


_TRY_AGAIN = frozenset({failure.Retry, failure.ContinueWith})

_SUBJECTS = {
    # A context lives from one failure of the same thing to the next: the event, a command (by
    # its index), or the after_command of one.
    Stage.ROUTING: Stage.HANDLE,
    Stage.HANDLE: Stage.HANDLE,
    Stage.APPLY: Stage.HANDLE,
    Stage.DISPATCH: Stage.DISPATCH,
    Stage.AFTER_COMMAND: Stage.AFTER_COMMAND,
}

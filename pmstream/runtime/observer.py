"""Tells listeners of each try of the author's code.

Rule: without a listener nothing is wrapped and nothing is paid; a listener can harm nobody.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pmstream.core.answering import materialized
from pmstream.core.failure import FailureContext, Stage
from pmstream.core.messages import Metadata
from pmstream.core.process import Callbacks
from pmstream.errors import CommandInvalid
from pmstream.telemetry import AttemptFailed, AttemptStarted, AttemptStopped, Heard, Listener

_EVENT_STAGES = (Stage.HANDLE, Stage.APPLY)


class _Open(Struct):
    """A try that is neither stopped nor failed yet."""

    about: dict[str, Any]
    began: float
    ended: float
    commands: int = 0


class Observer:
    """Turns callbacks into telemetry.

    A try is known to be stopped when the next one begins, or the batch ends: a state that cannot
    be written fails it after `apply`.

    Args:
        listeners: hear of it.
        told: hears of each listener that raises, once.
    """

    def __init__(self, listeners: Sequence[Listener], told: Callable[[str], None]) -> None:
        self._listeners, self._told = listeners, told
        self._open: _Open | None = None
        self._complained: set[int] = set()

    def bind(self, callbacks: Callbacks) -> Callbacks:
        """The same callbacks, observed."""
        return replace(
            callbacks,
            handle=self._handle(callbacks.handle),
            apply=self._apply(callbacks.apply),
            handles_blindly=False,
            error=self._error(callbacks.error),
        )

    def rest(self) -> None:
        """No event is at hand: the last try is over."""
        last, self._open = self._open, None
        if last is not None:
            seconds = last.ended - last.began
            self._tell(AttemptStopped(**last.about, seconds=seconds, commands=last.commands))

    def _handle(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def handle(state: Any, event: Any, metadata: Metadata) -> Any:
            self.rest()
            about = _about(event, metadata)
            self._tell(AttemptStarted(**about))
            began = time.perf_counter()
            self._open = _Open(about, began, began)
            answer = materialized(callback(state, event, metadata))
            self._open.commands = _count(answer)
            return answer

        return handle

    def _apply(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def apply(state: Any, event: Any, metadata: Metadata) -> Any:
            after = callback(state, event, metadata)
            if self._open is not None:
                self._open.ended = time.perf_counter()
            return after

        return apply

    def _error(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        def error(raised: Exception, failed: Any, context: FailureContext) -> Any:
            seconds, now = 0.0, time.perf_counter()
            is_event = context.stage in _EVENT_STAGES or isinstance(raised, CommandInvalid)
            if is_event and self._open is not None:
                seconds, self._open = now - self._open.began, None
            answer: Any = None
            try:
                answer = callback(raised, failed, context)
                return answer
            finally:
                self.rest()
                self._tell(
                    AttemptFailed(
                        **_about(context.last_event, context.metadata),
                        seconds=seconds,
                        stage=str(context.stage),
                        error=raised,
                        stacktrace=context.stacktrace,
                        attempts=context.attempts,
                        answer="" if answer is None else type(answer).__name__,
                    )
                )

        return error

    def _tell(self, what: Heard) -> None:
        for number, listener in enumerate(self._listeners):
            try:
                listener(what)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the author's code
                if number not in self._complained:
                    self._complained.add(number)
                    self._told(f"a listener raises {_raised(error)}; told once, work goes on")


def _raised(error: BaseException) -> str:
    """What and where; not its text, which may hold what the listener was told."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def _about(event: Any, metadata: Metadata) -> dict[str, Any]:
    return {
        "process_manager": metadata.process_manager,
        "process_uuid": metadata.process_uuid,
        "event_type": type(event).__name__,
        "event_id": metadata.event_id,
        "correlation_id": metadata.correlation_id,
        "topic": metadata.topic,
        "partition": metadata.partition,
        "offset": metadata.offset,
        "attempt": metadata.attempt,
    }


def _count(answer: Any) -> int:
    if answer is None:
        return 0
    return len(answer) if isinstance(answer, list | tuple) else 1

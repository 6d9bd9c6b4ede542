"""Whether a supervisor and its workers are started, ready, alive; and if not, why not.

Rule: alive never depends on the broker: a Kafka that is away is no reason to restart anybody.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from pmstream.runtime.child import View
from pmstream.runtime.vitals import Condition

SILENT_SECONDS = 30.0
"""A supervisor that has not turned for so long does not move; a worker is not ready then."""

REPLACED_SECONDS = 30.0
"""How long the replacement of a worker that stands still may take."""

_HOLDING = frozenset({Condition.BLOCKED, Condition.REFUSED, Condition.RESTORING, Condition.OPENING})


class Supervised(Protocol):
    """What is asked of a supervisor, by another thread."""

    stopped: dict[str, str]

    def views(self) -> list[View]:
        """Every worker as it is now."""

    @property
    def is_stopping(self) -> bool:
        """Whether it has been told to end."""

    @property
    def silence_s(self) -> float:
        """Since it last turned."""


class Health(Struct, frozen=True):
    """Judges a supervisor.

    Attributes:
        supervised: whom.
        stall_timeout_s: a worker whose loop has not moved for so long is replaced.
    """

    supervised: Supervised
    stall_timeout_s: float

    def not_started(self) -> list[str]:
        """Why it has not started: a worker has not told of itself, or opens its stores.

        Who restores has started: a restore that stands still ends its worker by itself.
        """
        return [
            why
            for each in self._wanted()
            for why in _absent(each) or _holding(each, frozenset({Condition.OPENING}))
        ]

    def not_ready(self) -> list[str]:
        """Why it is not ready: not every partition is worked on, or something has stopped."""
        found = ["it was told to end"] if self.supervised.is_stopping else []
        found += [f"{name} stopped: {why}" for name, why in self.supervised.stopped.items()]
        for each in self._wanted():
            found += _absent(each) or [*_unready(each), *_holding(each, _HOLDING)]
        return found

    def not_alive(self) -> list[str]:
        """Why it is to be restarted: it does not move, or does not replace who stands still."""
        found = []
        silence = self.supervised.silence_s
        if silence > SILENT_SECONDS:
            found.append(f"the supervisor has not moved for {silence:.0f} s")
        limit = self.stall_timeout_s + REPLACED_SECONDS
        return found + [
            f"{each.name} has not moved for {each.silence_s:.0f} s and was not replaced"
            for each in self.supervised.views()
            if each.silence_s > limit
        ]

    def _wanted(self) -> list[View]:
        """Workers that should run: a process manager that stopped is told of by itself."""
        stopped = self.supervised.stopped
        return [
            each
            for each in self.supervised.views()
            if not each.done and each.spec.process_manager not in stopped
        ]


Question = Callable[[Health], list[str]]

QUESTIONS: Mapping[str, Question] = {
    "/startupz": Health.not_started,
    "/readyz": Health.not_ready,
    "/livez": Health.not_alive,
}
"""Path to what it asks: reasons why not."""


def _absent(view: View) -> list[str]:
    if not view.runs:
        return [f"{view.name} does not run" + (f": {view.end}" if view.end else "")]
    return [] if view.vitals is not None else [f"{view.name} has not told of itself yet"]


def _unready(view: View) -> Iterator[str]:
    if view.silence_s > SILENT_SECONDS:
        yield f"{view.name} has not moved for {view.silence_s:.0f} s"
    if view.vitals is not None and not view.vitals.joined:
        yield f"{view.name} is no member of its group"


def _holding(view: View, conditions: frozenset[Condition]) -> list[str]:
    parts = view.vitals.parts if view.vitals is not None else []
    return [
        f"{view.name}: {part.topic}-{part.number} is {part.condition}: {part.why}"
        for part in parts
        if part.condition in conditions
    ]

"""Counts failures by stage and answer, where `error` is asked: who fails pays, nobody else."""

from collections import Counter
from typing import Any

from msgspec import structs

from pmstream.core.failure import FailureContext
from pmstream.core.process import Callbacks

RAISED = "raised"
"""What stands for an answer that never came, because `error` itself raised."""


class Failures:
    """Counts what passes through it.

    Attributes:
        counts: `STAGE ANSWER` to how often, tries of aborted transactions too.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def bind(self, callbacks: Callbacks) -> Callbacks:
        """The same callbacks, `error` counted."""

        def error(error: Exception, failed: Any, context: FailureContext) -> object:
            answer = RAISED
            try:
                found = callbacks.error(error, failed, context)
                answer = type(found).__name__
            finally:
                self.counts[f"{context.stage} {answer}"] += 1
            return found

        return structs.replace(callbacks, error=error)

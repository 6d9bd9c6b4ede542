"""What a worker's loop counts of itself: plain integers, each touched once a transaction."""

import resource
import sys
import time

from pmstream.runtime.log_errors import Again, MustGather
from pmstream.runtime.vitals import Histogram, Values

COMMIT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds that a transaction is open."""

_REASONS = ("rebalance", "refused", "unanswered")
_BYTES_OF_MEMORY = 1 if sys.platform == "darwin" else 1024  # the unit of ru_maxrss


class Tally:
    """What a worker has done so far.

    Attributes:
        commits: transactions that count.
        inputs: that they took.
        sent: records of them for others.
        aborts: transactions that were aborted, to be done again.
        rebuilds: transactions whose outcome was unknown.
        fences: those of them that another producer caused.
        rebalances: times that the group gave something.
        last_error: of an abort or rebuild.
        open_seconds: how long transactions were open.
    """

    def __init__(self) -> None:
        self.commits = self.inputs = self.sent = 0
        self.aborts = self.rebuilds = self.fences = self.rebalances = 0
        self.last_error = ""
        self.open_seconds = Histogram(COMMIT_BUCKETS)
        self._aborts_by: dict[str, float] = dict.fromkeys(_REASONS, 0)

    def committed(self, inputs: int, sent: int) -> None:
        """A transaction counts."""
        self.commits += 1
        self.inputs += inputs
        self.sent += sent

    def aborted(self, error: Exception) -> None:
        """A transaction was aborted, and why."""
        self.aborts += 1
        self.last_error = str(error)
        self._aborts_by[_reason(error.__cause__)] += 1

    def rebuilt(self, error: Exception) -> None:
        """The outcome of a transaction is unknown."""
        self.rebuilds += 1
        self.last_error = str(error)

    def values(self) -> Values:
        """For the metrics of those names."""
        return {
            "commits_total": self.commits,
            "inputs_committed_total": self.inputs,
            "records_sent_total": self.sent,
            "aborts_total": self._aborts_by,
            "producers_rebuilt_total": self.rebuilds,
            "fences_total": self.fences,
            "rebalances_total": self.rebalances,
            "commit_seconds": self.open_seconds.values(),
            "worker_cpu_seconds_total": time.process_time(),
            "worker_memory_bytes": _most_memory(),
        }


def _reason(cause: BaseException | None) -> str:
    if isinstance(cause, MustGather):
        return "rebalance"
    return "unanswered" if isinstance(cause, Again) else "refused"


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_MEMORY

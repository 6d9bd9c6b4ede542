"""Deletes from the inbox what was handled and is old enough.

Rule: never above the committed position, whatever its age (protocol §6): a transaction that may
still abort has moved nothing.
"""

from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.log_errors import LogError

PURGE_SECONDS = 300.0
"""How often each partition is looked at."""


class Purge:
    """Deletes old records of inbox partitions.

    Args:
        log: that has them.
        retention_ms: how long handled records stay, for people who look and for replays.
    """

    def __init__(self, log: Log, clock: Clock, retention_ms: int) -> None:
        self._log, self._clock, self._retention_ms = log, clock, retention_ms

    def partition(self, inbox: TopicPartition, committed: int) -> str:
        """Deletes below the committed position what is older than the retention.

        Returns:
            What is worth a log line, else "".
        """
        young = self._log.offset_at(inbox, self._clock.now() - self._retention_ms)
        start = self._log.start(inbox)
        if young is None or start is None:
            return ""  # no leader: the next time will do
        below = min(committed, young)
        if below <= start:
            return ""
        try:
            self._log.delete_records({inbox: below})
        except LogError as error:
            return f"not purged below {below}: {error}"
        return f"purged from {start} to below {below}"

"""Frees readers from the open transaction of a dead owner.

An open transaction pins the last stable offset: until the broker times it out, nobody sees what
is behind it. Whoever needs to, ends it: a producer with the owner's transactional id aborts it. If
that owner lives after all it is fenced, builds a new producer and restores in place: nothing is
lost.
"""

from collections.abc import Iterable

from pmstream.runtime.changelog import COMMIT_KEY, load_commit
from pmstream.runtime.clock import Clock
from pmstream.runtime.inbox import owner_of
from pmstream.runtime.log import Log, Record, TopicPartition
from pmstream.runtime.log_errors import Again, LogError, PositionLost, Refused, Unavailable

_AGAIN_SECONDS = 5.0
_END_SECONDS = 3.0
_READ_SECONDS = 1.5
_PEEK_RECORDS = 500
_MOST_RECORDS = 20_000  # one transaction is the rule, and its commit record ends it


class Takeover:
    """Ends open transactions, each owner's at most once in 5 s.

    Args:
        own_id: never taken over.

    Attributes:
        count: how many were ended.
    """

    def __init__(self, log: Log, clock: Clock, own_id: str) -> None:
        self._log, self._clock, self._own_id = log, clock, own_id
        self._tried: dict[str, float] = {}
        self.count = 0

    def changelog(self, changelog: TopicPartition, last_owner: str | None) -> None:
        """Ends what pins a changelog partition.

        Args:
            changelog: the partition.
            last_owner: of the last committed record, if no open one can be read.
        """
        records = self._pinned(changelog, _MOST_RECORDS)
        if records is None:
            return  # a log that is slow or away: fencing an owner who lives would not help
        for owner in _owners(records) or ({last_owner} if last_owner else set()):
            self.end(owner, changelog)

    def absent(self, changelog: TopicPartition, group: str) -> None:
        """Ends at once what owners that are no members of the group have open there.

        Args:
            changelog: the partition.
            group: of its owners; their transactional ids are its name, a dot, and their own.
        """
        owners = _owners(self._pinned(changelog, _MOST_RECORDS) or ())
        if owners:
            self.end_absent(owners, group, changelog)

    def end_absent(
        self, owners: Iterable[str], group: str, pinned: TopicPartition | None = None
    ) -> None:
        """Ends the open transactions of those owners that are no members of the group."""
        try:
            members = self._log.members(group)
        except (Again, Unavailable):
            return  # who waits for them asks again, or waits for the transaction's timeout
        for owner in owners:
            if owner.removeprefix(group + ".") not in members:
                self.end(owner, pinned)

    def inbox(self, inbox: TopicPartition) -> None:
        """Ends the router's transaction that pins an inbox partition."""
        for record in self._pinned(inbox, 1) or ():
            owner = owner_of(record)
            if owner is not None:
                self.end(owner)

    def end(self, owner: str, pinned: TopicPartition | None = None) -> None:
        """Ends the owner's open transaction; it is done once that partition is pinned no more."""
        now = self._clock.monotonic()
        if not owner or owner == self._own_id:
            return
        if now - self._tried.get(owner, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        self._tried[owner] = now
        try:
            self._log.abort_open(owner, _END_SECONDS, lambda: self._is_free(pinned))
        except LogError:
            return  # tried again later; a restore that stalls for long says so itself
        self.count += 1

    def _is_free(self, partition: TopicPartition | None) -> bool:
        ends = self._ends(partition) if partition is not None else None
        return ends is not None and ends[0] >= ends[1]

    def _ends(self, partition: TopicPartition) -> tuple[int, int] | None:
        """The last stable offset and the very end; None while either is unknown."""
        low = self._log.end(partition, stable=True)
        high = self._log.end(partition, stable=False)
        return None if low is None or high is None else (low, high)

    def _pinned(self, partition: TopicPartition, limit: int) -> list[Record] | None:
        """Records from the LSO on, the oldest first; None when no open transaction is known of."""
        ends = self._ends(partition)
        if ends is None or ends[0] >= ends[1]:
            return None
        low, high = ends
        reader = self._log.reader(committed=False)
        found: list[Record] = []
        try:
            reader.assign({partition: low})
            until = self._clock.monotonic() + _READ_SECONDS
            while (reader.position(partition) or low) < high and len(found) < limit:
                found += reader.read(min(_PEEK_RECORDS, limit), 0.1)
                if self._clock.monotonic() > until:
                    break
        except (PositionLost, Refused):
            return None
        finally:
            reader.close()
        return found


def _owners(records: Iterable[Record]) -> set[str]:
    return {load_commit(each.value).owner for each in records if each.key == COMMIT_KEY}

"""Instances as they would be after the batch: overlay, then cache, then store.

Rule: what the overlay holds counts for nobody else until the commit is acknowledged; until then it
can be thrown away.
"""

from pmstream.core.engine import Entry, Step, Take
from pmstream.core.instance import (
    Instance,
    dump_instance,
    dump_work,
    load_instance,
    load_work,
)
from pmstream.core.routing import CREATING
from pmstream.runtime.store import Store, backlog_key, instance_key

_BYTES_PER_INSTANCE = 500
"""What a decoded instance costs beside its bytes, roughly; they are counted three times."""


class Room:
    """Memory for a worker's decoded instances, in even shares for the partitions that it owns.

    Args:
        size: bytes, roughly.

    Attributes:
        parts: how many partitions share it.
    """

    def __init__(self, size: int) -> None:
        self._size, self.parts = size, 1

    @property
    def share(self) -> int:
        """Bytes that each partition may take."""
        return self._size // max(self.parts, 1)


class Overlay:
    """The instances of one partition.

    Args:
        store: what is committed.
        room: for decoded instances.
        idle_ms: those untouched so long leave memory; None: only when there is no room.
    """

    def __init__(self, store: Store, room: Room, idle_ms: int | None = None) -> None:
        self._store, self._room, self._idle_ms = store, room, idle_ms
        self._cache: dict[str, tuple[Instance, int, int]] = {}
        self._cached_bytes = 0
        self._instances: dict[str, Instance | None] = {}
        self._entries: dict[bytes, bytes | None] = {}

    @property
    def touched(self) -> bool:
        """Whether any instance was touched since the last commit."""
        return bool(self._instances)

    def get(self, uuid: str) -> Instance | None:
        """The instance of this moment."""
        if uuid in self._instances:
            return self._instances[uuid]
        cached = self._cache.get(uuid)
        if cached is not None:
            return cached[0]
        record = self._store.get(instance_key(uuid))
        return load_instance(record) if record is not None else None

    def put(self, uuid: str, step: Step) -> None:
        """Takes over what a step made of an instance and its backlog."""
        self._instances[uuid] = step.instance
        if step.put is not None:
            self._entries[backlog_key(uuid, step.put.sequence)] = dump_work(step.put.work)
        if step.taken is not None:
            self._entries[backlog_key(uuid, step.taken)] = None

    def entry(self, uuid: str, take: Take) -> Entry | None:
        """The backlog entry that a step asked for: the first one, or the first that creates."""
        instance = self.get(uuid)
        if instance is None:
            return None
        for sequence in range(instance.backlog.first, instance.backlog.next):
            key = backlog_key(uuid, sequence)
            record = self._entries[key] if key in self._entries else self._store.get(key)
            if record is None:
                continue  # one that creates was taken from the middle
            work = load_work(record)
            if take is Take.FIRST or work.input.route in CREATING:
                return Entry(sequence, work)
        return None

    def changes(self) -> dict[bytes, bytes | None]:
        """All that changed, as changelog and store take it."""
        changes: dict[bytes, bytes | None] = {
            instance_key(uuid): dump_instance(instance) if instance is not None else None
            for uuid, instance in self._instances.items()
        }
        changes.update(self._entries)
        return changes

    @property
    def cached(self) -> int:
        """How many decoded instances are in memory."""
        return len(self._cache)

    def publish(self, changes: dict[bytes, bytes | None], now: int) -> None:
        """The batch is committed: the overlay becomes cache; the oldest leave when it is full."""
        cache, total = self._cache, self._cached_bytes
        # `changes` begins with the instances, in this order.
        for (uuid, instance), record in zip(
            self._instances.items(), changes.values(), strict=False
        ):
            gone = cache.pop(uuid, None)
            if gone is not None:
                total -= gone[1]
            if instance is not None and record is not None:
                size = 3 * len(record) + _BYTES_PER_INSTANCE
                cache[uuid] = (instance, size, now)
                total += size
        self._cached_bytes = total
        self._fit()
        self.forget()

    def drop_idle(self, now: int) -> None:
        """Instances that nothing has touched for long leave memory, and those beyond the share."""
        self._fit()
        while self._idle_ms is not None and self._cache:
            touched = next(iter(self._cache.values()))[2]
            if now - touched < self._idle_ms:
                return
            self._drop_oldest()

    def _fit(self) -> None:
        share = self._room.share
        while self._cached_bytes > share:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._cached_bytes -= self._cache.pop(next(iter(self._cache)))[1]

    def forget(self) -> None:
        """Throws the batch away."""
        self._instances = {}
        self._entries = {}

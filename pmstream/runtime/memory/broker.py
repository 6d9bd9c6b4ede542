"""The brokers of the memory log: topics, transactions and groups, and what time does to them."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Headers, TopicInfo, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Again, Fenced, Refused
from pmstream.runtime.memory.group import Group
from pmstream.runtime.memory.partition import Partition, Transaction
from pmstream.runtime.murmur2 import murmur2_partition

DEFAULTS: Mapping[str, str] = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
    "delete.retention.ms": "86400000",
    "max.compaction.lag.ms": "9223372036854775807",
    "max.message.bytes": "1048588",
    "message.timestamp.type": "CreateTime",
    "min.cleanable.dirty.ratio": "0.5",
    "min.compaction.lag.ms": "0",
    "min.insync.replicas": "1",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
    "segment.bytes": "1073741824",
    "segment.ms": "604800000",
}
"""A topic's settings when its maker names none; others are refused."""

_RECORD_OVERHEAD = 70  # a batch of one record, before key, value and headers
_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")

partition_of = lru_cache(1 << 16)(murmur2_partition)
"""`murmur2_partition`, remembered: keys repeat."""


class Topic:
    """A topic: its identity, its settings, its partitions."""

    def __init__(self, spec: TopicSpec, topic_id: str) -> None:
        self.name, self.id = spec.name, topic_id
        self.config = {**DEFAULTS, **spec.config}
        self.compacted = "compact" in self.config["cleanup.policy"]
        self.max_bytes = int(self.config["max.message.bytes"])
        self.partitions: list[Partition] = []
        self.grow(spec.partitions)
        self._turn = 0

    @property
    def info(self) -> TopicInfo:
        """As the port tells it."""
        return TopicInfo(self.name, self.id, len(self.partitions))

    def grow(self, partitions: int) -> None:
        """Adds partitions up to this many."""
        for number in range(len(self.partitions), partitions):
            self.partitions.append(Partition(TopicPartition(self.name, number)))

    def choose(self, key: bytes | None, partition: int | None) -> Partition:
        """Where a record goes; records without a key take turns."""
        if partition is None:
            if key is not None:
                return self.partitions[partition_of(key, len(self.partitions))]
            self._turn += 1
            partition = self._turn % len(self.partitions)
        if not 0 <= partition < len(self.partitions):
            raise Refused(f"topic {self.name} has no partition {partition}")
        return self.partitions[partition]


class Owner:
    """A transactional id: who may use it now, and what is open."""

    def __init__(self) -> None:
        self.epoch = 0
        self.open: Transaction | None = None


class Broker:
    """The state behind one `MemoryLog`; every answer depends on it and on the clock alone.

    Attributes:
        markers_held: while True a decided transaction writes no markers.
        pinned: transactional ids whose open transaction nothing can end.
    """

    def __init__(self, clock: Clock, transaction_timeout_ms: int, session_timeout_ms: int) -> None:
        self.clock = clock
        self.topics: dict[str, Topic] = {}
        self.groups: dict[str, Group] = {}
        self.markers_held = False
        self.pinned: set[str] = set()
        self._owners: dict[str, Owner] = {}
        self._open: dict[Transaction, None] = {}
        self._transaction_seconds = transaction_timeout_ms / 1000
        self._session_seconds = session_timeout_ms / 1000
        self._due = float("inf")
        self._count = 0

    def tick(self) -> None:
        """Does what time has brought: ends old transactions, removes silent members."""
        now = self.clock.monotonic()
        if now < self._due:
            return
        due = [g.expire(now, self._session_seconds) for g in self.groups.values()]
        for transaction in list(self._open):
            until = transaction.started + self._transaction_seconds
            if until > now:
                due.append(until)
            elif transaction.verdict is None and transaction.transactional_id not in self.pinned:
                self.end_open(transaction.transactional_id)
        self._due = min(due, default=float("inf"))

    def number(self) -> int:
        """A number never given before."""
        self._count += 1
        return self._count

    def watch(self) -> None:
        """Makes `tick` look again: something new may time out."""
        now = self.clock.monotonic()
        self._due = min(self._due, now + self._session_seconds, now + self._transaction_seconds)

    def wake(self) -> None:
        """Makes the next `tick` look at everything."""
        self._due = 0.0

    # Topics

    def create(self, spec: TopicSpec) -> None:
        """Makes a topic."""
        unknown = sorted(set(spec.config) - set(DEFAULTS))
        if spec.name in self.topics:
            raise Refused(f"topic {spec.name} exists already")
        if not _LEGAL_NAME.fullmatch(spec.name) or spec.partitions < 1 or unknown:
            raise Refused(f"topic {spec} has an illegal name, count, or settings {unknown}")
        self.topics[spec.name] = Topic(spec, f"topic-{self.number()}")
        self.refresh(spec.name)

    def delete(self, name: str) -> None:
        """Deletes a topic, and with it every group's positions in it."""
        gone = {partition.where for partition in self.topic(name).partitions}
        del self.topics[name]
        for group in self.groups.values():
            group.forget(gone)
        self.refresh(name)

    def refresh(self, topic: str) -> None:
        """Lets the groups that follow a topic see its partitions."""
        for group in self.groups.values():
            if any(topic in member.topics for member in group.members.values()):
                group.balance()

    def topic(self, name: str) -> Topic:
        """The topic, or Refused."""
        found = self.topics.get(name)
        if found is None:
            raise Refused(f"topic {name} does not exist")
        return found

    def partition(self, where: TopicPartition) -> Partition | None:
        """The partition if it exists."""
        topic = self.topics.get(where.topic)
        if topic is None or not 0 <= where.partition < len(topic.partitions):
            return None
        return topic.partitions[where.partition]

    def partitions(self, topic: str) -> Iterable[TopicPartition]:
        """The partitions of a topic; none if it does not exist."""
        found = self.topics.get(topic)
        return [partition.where for partition in found.partitions] if found else []

    def delete_records(self, where: TopicPartition, position: int) -> None:
        """Moves the low watermark. Raises Refused."""
        if self.topic(where.topic).config["cleanup.policy"] == "compact":
            raise Refused(f"{where.topic} is only compacted (POLICY_VIOLATION)")
        found = self.partition(where)
        if found is None or position > found.end:
            raise Refused(f"{where} does not reach {position} (OFFSET_OUT_OF_RANGE)")
        found.delete_below(position)

    def append(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Headers,
        partition: int | None,
        transaction: Transaction | None,
    ) -> int:
        """Appends one record; answers its offset. Raises Refused."""
        found = self.topics.get(topic) or self.topic(topic)
        size = _RECORD_OVERHEAD + len(value or b"") + len(key or b"")
        for name, text in headers:
            size += len(name) + len(text or b"") + 2
        if size > found.max_bytes:
            raise Refused(f"a record of {size} bytes: {topic} takes {found.max_bytes} at most")
        if key is None and found.compacted:
            raise Refused(f"a record without a key: {topic} is compacted")
        target = found.choose(key, partition)
        if transaction is not None:
            transaction.partitions[target.where] = target
        return target.append(self.clock.now(), key, value, headers, transaction)

    # Transactions

    def register(self, transactional_id: str) -> int:
        """Makes the caller the only user of the id; answers the epoch. Raises Again."""
        self.end_open(transactional_id)
        return self._owners[transactional_id].epoch

    def end_open(self, transactional_id: str) -> None:
        """Aborts what the id has open and fences its user. Raises Again."""
        owner = self._owners.setdefault(transactional_id, Owner())
        open_, owner.epoch = owner.open, owner.epoch + 1
        if open_ is None:
            return
        if transactional_id in self.pinned or (open_.verdict is not None and self.markers_held):
            raise Again(f"a transaction of {transactional_id} is still being ended")
        self.decide(open_, commit=False)

    def opened(self, transactional_id: str, epoch: int) -> Transaction:
        """The open transaction of this user, begun if there is none. Raises Fenced, Again."""
        owner = self.check_epoch(transactional_id, epoch)
        if owner.open is not None and owner.open.verdict is not None:
            raise Again(
                f"{transactional_id}: the markers are not written (CONCURRENT_TRANSACTIONS)"
            )
        if owner.open is None:
            owner.open = Transaction(transactional_id, self.clock.monotonic())
            self._open[owner.open] = None
            self.watch()
        return owner.open

    def check_epoch(self, transactional_id: str, epoch: int) -> Owner:
        """Refuses a user whose id was taken over or timed out."""
        owner = self._owners[transactional_id]
        if owner.epoch != epoch:
            raise Fenced(f"transactional id {transactional_id} was taken over or timed out")
        return owner

    def decide(self, transaction: Transaction, *, commit: bool) -> None:
        """Decides a transaction and writes its markers, unless a test holds them back."""
        if transaction.verdict is None:
            transaction.verdict = commit
        if not self.markers_held:
            self._write_markers(transaction)

    def release_markers(self) -> None:
        """Writes the markers that were held back."""
        for transaction in [each for each in self._open if each.verdict is not None]:
            self._write_markers(transaction)

    def _write_markers(self, transaction: Transaction) -> None:
        transaction.ended = True
        del self._open[transaction]
        self._owners[transaction.transactional_id].open = None
        for partition in transaction.partitions.values():
            partition.mark(transaction)
        for (name, where), (order, position) in transaction.offsets.items():
            group = self.group(name)
            group.pending[where].discard(transaction)
            if transaction.verdict:
                group.store(where, order, position)

    # Groups

    def group(self, name: str) -> Group:
        """The group, made when first named."""
        if name not in self.groups:
            self.groups[name] = Group(name, self.partitions)
        return self.groups[name]

"""Group members and readers of the memory log."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from pmstream.runtime.log import (
    Committed,
    Fault,
    FaultKind,
    Listener,
    Membership,
    Record,
    TopicPartition,
)
from pmstream.runtime.log_errors import Again, OffsetPending, PositionLost, Refused
from pmstream.runtime.memory.broker import Broker
from pmstream.runtime.memory.group import Gone, Group, Member, Token
from pmstream.runtime.memory.hooks import Hooks, hooked


class MemoryConsumer:
    """A member of a group; made by `MemoryLog.consumer`."""

    def __init__(self, broker: Broker, hooks: Hooks, group: Group, name: str | None) -> None:
        self.who = name or f"member-{broker.number()}"
        self.hooks = hooks
        self._broker, self._group, self._name = broker, group, name
        self._topics: tuple[str, ...] = ()
        self._listener: Listener | None = None
        self._member: Member | None = None
        self._told_expelled = self._dead = False
        self._missing: set[str] = set()
        self._positions: dict[TopicPartition, int | None] = {}
        self._paused: set[TopicPartition] = set()
        self._turn = 0
        self._closed = False

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """See `Consumer.subscribe`."""
        self._topics, self._listener = tuple(topics), listener

    @hooked
    def gather(self, max_records: int, timeout: float) -> list[Record]:
        """See `Consumer.gather`."""
        if self._closed:
            raise RuntimeError("this consumer is closed")
        busy = self._attend()
        found = self._fetch(max_records)
        if not found and not busy:
            self._broker.clock.sleep(timeout)
            self._broker.tick()
            found = self._fetch(max_records)
        return found

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.pause`."""
        self._paused |= set(partitions) & self._positions.keys()

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """See `Consumer.resume`."""
        self._paused -= set(partitions)

    @hooked
    def seek(self, partition: TopicPartition, position: int) -> None:
        """See `Consumer.seek`."""
        if partition not in self._positions:
            raise Again(f"{partition.topic}-{partition.partition} is not assigned")
        self._positions[partition] = position

    @hooked
    def committed(self, partition: TopicPartition, timeout: float) -> Committed | None:
        """See `Consumer.committed`."""
        pending = self._group.pending
        if pending.get(partition):
            self._broker.clock.sleep(timeout)
            self._broker.tick()
        if pending.get(partition):
            raise OffsetPending(f"a transaction moves {partition.topic}-{partition.partition}")
        return self._group.committed(partition)

    @hooked
    def membership(self) -> Membership | None:
        """See `Consumer.membership`; as of the last gather."""
        member = self._member
        if member is None or member.generation < 0 or self._told_expelled or self._dead:
            return None
        return Membership(member.generation, Token(self._group.name, member.id, self._name))

    @hooked
    def position(self, partition: TopicPartition) -> int | None:
        """See `Consumer.position`."""
        return self._positions.get(partition)

    @hooked
    def lag(self, partition: TopicPartition) -> tuple[int, int] | None:
        """See `Consumer.lag`."""
        position, log = self._positions.get(partition), self._broker.partition(partition)
        if position is None or log is None:
            return None
        return max(log.stable_end - position, 0), log.end - log.stable_end

    def close(self) -> None:
        """See `Consumer.close`."""
        self._closed = True
        if self._member is not None and self._name is None:
            self._group.leave(self._member, Gone.LEFT)

    def injected(self, call: str, error: BaseException | None) -> None:
        """Has no state to take."""

    def _attend(self) -> bool:
        """Joins, or hears what has become of the membership; whether anything was told."""
        listener, member = self._listener, self._member
        if listener is None:
            return False
        if member is None:
            self._join()
            return self._report_missing(listener)
        member.seen = self._broker.clock.monotonic()
        if member.gone is not None:
            return self._part(listener, member, member.gone)
        return self._report_missing(listener) | self._rebalance(listener, member)

    def _join(self) -> None:
        member = Member(f"{self.who}#{self._broker.number()}", self._name, self._topics)
        self._member = member
        self._group.join(member, self._broker.clock.monotonic())
        self._broker.watch()

    def _part(self, listener: Listener, member: Member, why: Gone) -> bool:
        """Tells that the membership is over; the next gather joins anew."""
        if why is Gone.REPLACED:
            self._dead = True
            self._positions.clear()
            listener.fault(Fault(FaultKind.FATAL, f"{member.label}: {why} (FENCED_INSTANCE_ID)"))
            return True
        if why is Gone.EXPELLED and not self._told_expelled:
            self._told_expelled = True
            self._positions.clear()
            listener.fault(Fault(FaultKind.EXPELLED, f"{member.label}: {why}"))
            return True
        self._told_expelled, self._member = False, None
        self._positions.clear()
        listener.lost(sorted(member.owned))
        return True

    def _rebalance(self, listener: Listener, member: Member) -> bool:
        """Gives back first; what is new comes in a later gather (cooperative rebalancing)."""
        group = self._group
        if member.generation == group.generation:
            return False
        revoked = group.give_back(member)
        if revoked:
            for partition in revoked:
                self._positions.pop(partition, None)
            listener.revoked(revoked)
            return True
        assigned = group.receive(member)
        member.generation = group.generation
        self._positions.update(dict.fromkeys(assigned))
        self._paused |= set(assigned)
        listener.assigned(assigned)
        return True

    def _report_missing(self, listener: Listener) -> bool:
        """Tells once of each topic that does not exist."""
        missing = {topic for topic in self._topics if topic not in self._broker.topics}
        for topic in sorted(missing - self._missing):
            listener.fault(Fault(FaultKind.REFUSED, f"topic {topic} does not exist"))
        news, self._missing = bool(missing - self._missing), missing
        return news

    def _fetch(self, limit: int) -> list[Record]:
        found: list[Record] = []
        where = list(self._positions)
        self._turn += 1  # nobody starves behind a full partition
        for at in range(len(where)):
            if len(found) >= limit:
                break
            partition = where[(at + self._turn) % len(where)]
            position = self._positions[partition]
            if position is not None and partition not in self._paused:
                self._fetch_one(partition, position, limit - len(found), found)
        return found

    def _fetch_one(
        self, partition: TopicPartition, position: int, limit: int, into: list[Record]
    ) -> None:
        log = self._broker.partition(partition)
        if log is None:
            return
        if log.start <= position <= log.end:
            self._positions[partition] = log.read(position, limit, committed=True, into=into)
            return
        self._positions[partition] = None
        if self._listener is not None:
            text = f"position {position} is not in {log.start}..{log.end}"
            self._listener.fault(Fault(FaultKind.POSITION_LOST, text, partition))


class MemoryReader:
    """A reader of named partitions; made by `MemoryLog.reader`."""

    who = ""

    def __init__(
        self, broker: Broker, hooks: Hooks, *, committed: bool, bare: bool = False
    ) -> None:
        self.hooks = hooks
        self._broker, self._committed, self._bare = broker, committed, bare
        self._positions: dict[TopicPartition, int] = {}
        self._read: set[TopicPartition] = set()
        self._turn = 0

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Reader.assign`."""
        self._positions = dict(positions)
        self._read.clear()

    @hooked
    def read(self, max_records: int, timeout: float) -> list[Record]:
        """See `Reader.read`."""
        found = self._fetch(max_records)
        if not found:
            self._broker.clock.sleep(timeout)
            self._broker.tick()
            found = self._fetch(max_records)
        return found

    @hooked
    def position(self, partition: TopicPartition) -> int | None:
        """See `Reader.position`."""
        return self._positions[partition] if partition in self._read else None

    def close(self) -> None:
        """See `Reader.close`."""
        self._positions.clear()

    def injected(self, call: str, error: BaseException | None) -> None:
        """Has no state to take."""

    def _fetch(self, limit: int) -> list[Record]:
        found: list[Record] = []
        where = list(self._positions)
        self._turn += 1
        for at in range(len(where)):
            if len(found) >= limit:
                break
            partition = where[(at + self._turn) % len(where)]
            log, position = self._broker.partition(partition), self._positions[partition]
            if log is None:
                raise Refused(f"{partition.topic}-{partition.partition} does not exist")
            if not log.start <= position <= log.end:
                text = f"position {position} of {log.where} is not in {log.start}..{log.end}"
                raise PositionLost(partition, text)
            left = limit - len(found)
            self._positions[partition] = log.read(
                position, left, committed=self._committed, into=found
            )
            self._read.add(partition)
        return [replace(each, timestamp=0, headers=()) for each in found] if self._bare else found

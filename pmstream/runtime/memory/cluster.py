"""The port on the memory log's brokers, and the hooks for tests."""

from collections.abc import Callable, Mapping, Sequence

from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Committed, TopicInfo, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Refused
from pmstream.runtime.memory.broker import Broker
from pmstream.runtime.memory.consumers import MemoryConsumer, MemoryReader
from pmstream.runtime.memory.group import Gone
from pmstream.runtime.memory.hooks import Hooks, Injection, hooked
from pmstream.runtime.memory.producers import MemoryProducer, MemoryWriter


class MemoryLog:
    """A cluster in memory: the port `Log`, single-threaded and deterministic.

    Args:
        clock: all time comes from it; waiting calls `clock.sleep`.
        transaction_timeout_ms: an older open transaction is aborted, its owner fenced.
        session_timeout_ms: a member that does not gather for so long is removed.
    """

    who = ""

    def __init__(
        self,
        clock: Clock,
        *,
        transaction_timeout_ms: int = 60_000,
        session_timeout_ms: int = 10_000,
    ) -> None:
        self._broker = Broker(clock, transaction_timeout_ms, session_timeout_ms)
        self.hooks = Hooks(self._broker.tick)

    # The port

    def consumer(self, group: str, member: str | None = None) -> MemoryConsumer:
        """See `Log.consumer`."""
        return MemoryConsumer(self._broker, self.hooks, self._broker.group(group), member)

    def reader(self, *, committed: bool = True, bare: bool = False) -> MemoryReader:
        """See `Log.reader`."""
        return MemoryReader(self._broker, self.hooks, committed=committed, bare=bare)

    @hooked
    def producer(self, transactional_id: str) -> MemoryProducer:
        """See `Log.producer`."""
        return MemoryProducer(self._broker, self.hooks, transactional_id)

    def writer(self) -> MemoryWriter:
        """See `Log.writer`."""
        return MemoryWriter(self._broker, self.hooks)

    @hooked
    def abort_open(
        self, transactional_id: str, timeout: float, is_enough: Callable[[], bool] = lambda: False
    ) -> None:
        """See `Log.abort_open`."""
        self._broker.end_open(transactional_id)

    @hooked
    def topics(self) -> dict[str, TopicInfo]:
        """See `Log.topics`."""
        return {name: topic.info for name, topic in self._broker.topics.items()}

    @hooked
    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """See `Log.create_topics`."""
        refused = []
        for spec in specs:
            try:
                self._broker.create(spec)
            except Refused as refusal:
                refused.append(str(refusal))
        if refused:
            raise Refused("\n".join(refused))

    @hooked
    def config(self, topic: str) -> dict[str, str]:
        """See `Log.config`."""
        return dict(self._broker.topic(topic).config)

    @hooked
    def start(self, partition: TopicPartition) -> int | None:
        """See `Log.start`."""
        found = self._broker.partition(partition)
        return found.start if found else None

    @hooked
    def end(self, partition: TopicPartition, *, stable: bool) -> int | None:
        """See `Log.end`."""
        found = self._broker.partition(partition)
        if found is None:
            return None
        return found.stable_end if stable else found.end

    @hooked
    def offset_at(self, partition: TopicPartition, timestamp: int) -> int | None:
        """See `Log.offset_at`."""
        found = self._broker.partition(partition)
        return found.offset_at(timestamp) if found else None

    @hooked
    def last_committed(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """See `Log.last_committed`."""
        known = {each: self._broker.group(group).committed(each) for each in partitions}
        return {each: position for each, position in known.items() if position is not None}

    @hooked
    def set_positions(self, group: str, positions: Mapping[TopicPartition, Committed]) -> None:
        """See `Log.set_positions`."""
        found = self._broker.group(group)
        if found.members:
            raise Refused(f"group {group} has members: {', '.join(self.members(group))}")
        for partition in positions:
            if self._broker.partition(partition) is None:
                raise Refused(f"{partition.topic}-{partition.partition} does not exist")
        order = self._broker.number()
        for partition, position in positions.items():
            found.store(partition, order, position)

    @hooked
    def members(self, group: str) -> list[str]:
        """See `Log.members`."""
        return sorted(member.label for member in self._broker.group(group).members.values())

    @hooked
    def delete_records(self, positions: Mapping[TopicPartition, int]) -> None:
        """See `Log.delete_records`: up to the high watermark; compact-only topics refuse."""
        refused = []
        for where, position in positions.items():
            try:
                self._broker.delete_records(where, position)
            except Refused as refusal:
                refused.append(str(refusal))
        if refused:
            raise Refused("\n".join(refused))

    # Hooks for tests: see the package's docstring

    def inject(
        self,
        call: str,
        error: BaseException | None,
        *,
        after: bool = False,
        who: str | None = None,
        times: int = 1,
    ) -> Injection:
        """Makes a call fail.

        Args:
            call: the port's name of it: "commit", "end", "committed", "producer", …
            error: what it raises; None makes it answer None.
            after: whether the work is done all the same (the answer is lost).
            who: only of this transactional id or static member; None is anybody's.
            times: how often.

        Returns:
            The plan; `left = 0` takes it back, `hits` counts.
        """
        plan = Injection(call, error, who, times, after=after)
        self.hooks.planned.append(plan)
        return plan

    def hold_markers(self, *, held: bool) -> None:
        """While held, commits and aborts are decided and answered, but nothing shows yet."""
        self._broker.markers_held = held
        if not held:
            self._broker.release_markers()

    def pin(self, transactional_id: str, *, pinned: bool = True) -> None:
        """While pinned, neither time nor takeover ends what this id has open (KIP-664)."""
        if pinned:
            self._broker.pinned.add(transactional_id)
        else:
            self._broker.pinned.discard(transactional_id)
            self._broker.wake()

    def rebalance(self, group: str, *, rotate: bool = False) -> None:
        """Begins a new generation now; `rotate` moves every share to the next member."""
        self._broker.group(group).balance(rotate=rotate)

    def expel(self, group: str, member: str) -> None:
        """Lets a member exceed max.poll.interval now."""
        self._remove(group, member, Gone.EXPELLED)

    def lose(self, group: str, member: str) -> None:
        """Lets a member's session time out now."""
        self._remove(group, member, Gone.SESSION)

    def forget_positions(
        self, group: str, partitions: Sequence[TopicPartition] | None = None
    ) -> None:
        """Lets a group's positions (None: all) expire."""
        self._broker.group(group).forget(partitions)

    def compact(self, topic: str, *, tombstones: bool = False) -> None:
        """Runs the cleaner; `tombstones`: those older than delete.retention.ms go too."""
        found = self._broker.topic(topic)
        retention = int(found.config["delete.retention.ms"])
        before = self._broker.clock.now() - retention if tombstones else -1
        for partition in found.partitions:
            partition.compact(before)

    def truncate(self, partition: TopicPartition, start: int) -> None:
        """Moves a low watermark, whatever the topic's policy."""
        found = self._broker.partition(partition)
        if found is not None:
            found.delete_below(start)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic."""
        self._broker.delete(topic)

    def add_partitions(self, topic: str, total: int) -> None:
        """Lets a topic grow."""
        self._broker.topic(topic).grow(total)
        self._broker.refresh(topic)

    def injected(self, call: str, error: BaseException | None) -> None:
        """Has no state to take."""

    def _remove(self, group: str, label: str, why: Gone) -> None:
        found = self._broker.group(group)
        for member in [m for m in found.members.values() if label in (m.label, m.id)]:
            found.leave(member, why)

"""Helpers of the contract suite: a log, names of the test's own, and waiting with a deadline."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count

from pmstream.runtime.clock import Clock
from pmstream.runtime.log import (
    Committed,
    Consumer,
    Fault,
    Headers,
    Log,
    Membership,
    Producer,
    Record,
    TopicPartition,
    TopicSpec,
    Writer,
)
from pmstream.runtime.log_errors import Again

PATIENCE = 90.0
"""Seconds of the log's clock until a condition counts as never coming true."""

CALL = 5.0
"""Timeout of one call."""

_STEP = 0.05
_numbers = count(1)


class Member:
    """A group member that writes down what it is told, and keeps what it gathers.

    Attributes:
        told: every call of the listener, in order.
        owned: what it owns by what it was told.
        faults: all faults.
        records: everything gathered.
        outside: calls of the listener that came outside of gather.
    """

    def __init__(self, consumer: Consumer, topics: Sequence[str], *, start: bool) -> None:
        self.consumer, self._start = consumer, start
        self.told: list[tuple[str, list[TopicPartition]]] = []
        self.owned: set[TopicPartition] = set()
        self.faults: list[Fault] = []
        self.records: list[Record] = []
        self.outside = 0
        self._fresh: set[TopicPartition] = set()
        self._gathering = False
        consumer.subscribe(topics, self)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell("assigned", partitions)
        self.owned |= set(partitions)
        self._fresh |= set(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell("revoked", partitions)
        self._drop(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self._tell("lost", partitions)
        self._drop(partitions)

    def fault(self, fault: Fault) -> None:
        self._tell("fault", [])
        self.faults.append(fault)

    def gather(self, max_records: int = 1_000, timeout: float = _STEP) -> list[Record]:
        """One gather; starts what was assigned before, if this member does so."""
        if self._start:
            for partition in sorted(self._fresh):
                with suppress(Again):
                    self.start(partition)
        self._gathering = True
        found = self.consumer.gather(max_records, timeout)
        self._gathering = False
        self.records += found
        return found

    def start(self, partition: TopicPartition, position: int | None = None) -> None:
        """Seeks (to the committed position, or 0) and resumes. Raises Again."""
        if position is None:
            committed = self.consumer.committed(partition, CALL)
            position = committed.position if committed else 0
        self.consumer.seek(partition, position)
        self.consumer.resume([partition])
        self._fresh.discard(partition)

    def offsets(self, partition: TopicPartition) -> list[int]:
        """Offsets gathered from a partition, in order."""
        return [r.offset for r in self.records if (r.topic, r.partition) == partition]

    def names(self) -> list[str]:
        """What was told about something, without the empty lists and the faults."""
        return [name for name, partitions in self.told if partitions]

    def _tell(self, name: str, partitions: Sequence[TopicPartition]) -> None:
        self.told.append((name, list(partitions)))
        self.outside += not self._gathering

    def _drop(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned -= set(partitions)
        self._fresh -= set(partitions)


class World:
    """A log under test and what a test makes on it.

    Args:
        log: the log.
        clock: the log's time.
        delete_topic: deletes a topic; not in the port, since the runtime never does it.
        writer: for `write`; on Kafka, the first record of a new one waits for half a second.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        delete_topic: Callable[[str], None],
        writer: Writer | None = None,
    ) -> None:
        self.log, self.clock, self.delete_topic, self._writer = log, clock, delete_topic, writer
        self._consumers: list[Consumer] = []
        self._producers: list[Producer] = []

    def name(self, what: str) -> str:
        """A name that no other test has used, in this run or on this broker before."""
        return f"{what}-{next(_numbers)}-{self.clock.now() % 10**9}"

    def topic(self, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """A new topic."""
        name = self.name("topic")
        self.log.create_topics([TopicSpec(name, partitions, config or {})])
        return name

    def partition(self, config: Mapping[str, str] | None = None) -> TopicPartition:
        """The only partition of a new topic."""
        return TopicPartition(self.topic(1, config), 0)

    def member(
        self, group: str, topics: Sequence[str], name: str | None = None, *, start: bool = True
    ) -> Member:
        """A new member of a group."""
        consumer = self.log.consumer(group, name)
        self._consumers.append(consumer)
        return Member(consumer, topics, start=start)

    def joined(self, topics: Sequence[str], group: str = "") -> Member:
        """The only member of a group, owning all partitions."""
        member = self.member(group or self.name("group"), topics)
        self.gather_until(lambda: bool(member.owned), member)
        return member

    def producer(self, transactional_id: str = "") -> Producer:
        """A transactional producer."""
        producer = self.log.producer(transactional_id or self.name("id"))
        self._producers.append(producer)
        return producer

    def close(self) -> None:
        """Closes what the test left open."""
        for producer in self._producers:
            producer.drop()
        for consumer in self._consumers:
            consumer.close()

    # Waiting

    def until(self, condition: Callable[[], bool], turn: Callable[[], object]) -> None:
        """Takes turns until the condition holds."""
        deadline = self.clock.monotonic() + PATIENCE
        while not condition():
            assert self.clock.monotonic() < deadline, "it never came true"
            before = self.clock.monotonic()
            turn()
            if self.clock.monotonic() - before < 0.001:
                self.clock.sleep(0.001)

    def gather_until(self, condition: Callable[[], bool], *members: Member) -> None:
        """Lets members gather in turn until the condition holds."""
        self.until(condition, lambda: [member.gather() for member in members])

    def repeat(self, call: Callable[[], None]) -> None:
        """Makes a call until it is decided: Again means the same call again."""
        decided: list[bool] = []

        def turn() -> None:
            try:
                call()
            except Again:
                return
            decided.append(True)

        self.until(lambda: bool(decided), turn)

    def end(self, partition: TopicPartition, *, stable: bool) -> int:
        """The end of a partition, asked until it can be told."""
        answers: list[int] = []

        def turn() -> None:
            answer = self.log.end(partition, stable=stable)
            if answer is not None:
                answers.append(answer)

        self.until(lambda: bool(answers), turn)
        return answers[0]

    def stable(self, partition: TopicPartition, position: int) -> None:
        """Waits until the last stable offset is there: markers come a little after the answer."""
        self.until(lambda: self.end(partition, stable=True) == position, lambda: None)

    # Reading and writing

    def read(
        self, partition: TopicPartition, position: int = 0, *, committed: bool = True
    ) -> list[Record]:
        """All that a new reader sees from a position to the end of this moment."""
        target = self.end(partition, stable=committed)
        reader = self.log.reader(committed=committed)
        found: list[Record] = []
        try:
            reader.assign({partition: position})
            self.until(
                lambda: (reader.position(partition) or 0) >= target,
                lambda: found.extend(reader.read(500, _STEP)),
            )
        finally:
            reader.close()
        return found

    def values(self, partition: TopicPartition, *, committed: bool = True) -> list[bytes | None]:
        """The values that a new reader sees."""
        return [record.value for record in self.read(partition, committed=committed)]

    def write(self, partition: TopicPartition, values: Iterable[bytes]) -> None:
        """Writes without a transaction."""
        writer = self._writer = self._writer or self.log.writer()
        for value in values:
            writer.produce(partition.topic, value, b"key", (), partition.partition)
        self.repeat(lambda: writer.flush(CALL))

    def stage(
        self,
        producer: Producer,
        partition: TopicPartition,
        values: Iterable[bytes],
        headers: Headers = (),
    ) -> None:
        """Begins a transaction with these records, all taken by the log."""
        producer.begin()
        self.add(producer, partition, values, headers)

    def add(
        self,
        producer: Producer,
        partition: TopicPartition,
        values: Iterable[bytes],
        headers: Headers = (),
    ) -> None:
        """Adds records to the open transaction, all taken by the log."""
        for value in values:
            producer.produce(partition.topic, value, b"key", headers, partition.partition)
        self.repeat(lambda: producer.flush(CALL))

    def send(
        self,
        producer: Producer,
        group: Membership | None,
        partition: TopicPartition,
        position: Committed,
    ) -> None:
        """Puts one position into the open transaction."""
        assert group is not None
        self.repeat(lambda: producer.send_offsets(group, {partition: position}, CALL))

    def commit(self, producer: Producer) -> None:
        """Commits."""
        self.repeat(lambda: producer.commit(CALL))

    def abort(self, producer: Producer) -> None:
        """Aborts."""
        self.repeat(lambda: producer.abort(CALL))

    def committed(self, member: Member, partition: TopicPartition) -> Committed | None:
        """The stable committed position, asked until it is stable."""
        answers: list[Committed | None] = []

        def turn() -> None:
            try:
                answers.append(member.consumer.committed(partition, CALL))
            except Again:
                return

        self.until(lambda: bool(answers), turn)
        return answers[0]

"""A stage that reads source partitions: their positions, their records, one transaction's share.

What a record becomes is the subclass' affair. Stateless but for its position: the group's committed
offset carries, as text, who wrote it, the source topic's id, and how many records in a row could
not be decoded.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from pmstream.runtime.commit import Slice
from pmstream.runtime.log import Consumer, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.sources import Positions, Share, Source
from pmstream.runtime.stage import Load, evenly
from pmstream.runtime.vitals import Condition, Part, Values, Vitals

Told = Callable[[str, int, str], None]


class SourceStage(ABC):
    """Handles the source partitions that this worker owns.

    Args:
        topic_ids: source topic to its id.
        owner: this worker's transactional id.
        positions: finds where to read on.
        told: hears of what is worth a log line.

    Attributes:
        halt: why the process manager is to stop, once a record said so.
    """

    def __init__(
        self, topic_ids: Mapping[str, str], owner: str, positions: Positions, told: Told
    ) -> None:
        self.topics: Sequence[str] = list(topic_ids)
        self._topic_ids, self._owner = topic_ids, owner
        self._positions, self._told = positions, told
        self._sources: dict[TopicPartition, Source] = {}
        self.halt = ""

    @abstractmethod
    def handle(self, source: Source, record: Record, early: Any, now: int) -> bool:
        """Stages what a record becomes; False, and `halt`: it stops the process manager.

        Args:
            source: where it stands.
            record: whose turn has come.
            early: what `ahead` answered, if it was asked.
            now: milliseconds since the epoch.
        """

    def ahead(self, record: Record, now: int) -> Any:
        """Reads a record ahead of its turn; None is: its turn will tell."""
        return None

    def counted(self) -> Values:
        """Values of its own metrics."""
        return {}

    # Ownership

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` finds their positions."""
        for each in partitions:
            self._sources[each] = Source(each)

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions and what they staged."""
        for each in partitions:
            self._sources.pop(each, None)

    def dropped_all(self) -> None:
        """Lets go of every partition."""
        self._sources.clear()

    def is_running(self, where: TopicPartition) -> bool:
        """Whether that source partition is read here."""
        source = self._sources.get(where)
        return source is not None and source.ready

    def restart(self, consumer: Consumer) -> None:
        """Reads every position again."""
        consumer.pause([each.place for each in self._running()])
        self.halt = ""
        for each in self._sources.values():
            each.stop()

    def close(self) -> None:
        """Lets go of all it holds."""
        self.dropped_all()

    def _running(self) -> list[Source]:
        return [each for each in self._sources.values() if each.ready]

    def catch_up(self, consumer: Consumer) -> None:
        """Finds the position of each new partition, then reads it."""
        for each in self._sources.values():
            try:
                is_found = not each.ready and self._positions.find(each, consumer)
            except Unavailable:
                return  # the coordinator is away: one question a turn, and the next turn asks
            if is_found:
                self._told(
                    "reading", each.place.partition, f"{each.place.topic} {each.queue.position}"
                )

    # Records and batches

    def take(self, records: Iterable[Record]) -> None:
        """Puts records into their partitions' queues; drops those of others."""
        for record in records:
            source = self._sources.get(TopicPartition(record.topic, record.partition))
            if source is not None:
                source.take(record)

    def process(self, now: int, room: int) -> None:
        """Handles what is at hand, up to `room` records in this batch."""

        def work(source: Source, most: int) -> int:
            queue, before = source.queue, source.queue.taken
            for record, early in queue.ahead():
                is_room = queue.taken < before + most and not self.halt
                if not is_room or not self.handle(source, record, early, now):
                    break
            return queue.taken - before

        sources = self._running()
        evenly(sources, room - sum(each.queue.taken for each in sources), work)

    def read_ahead(self, now: int, is_time: Callable[[], bool]) -> bool:
        """Reads records before their turn; True while some are left."""
        ahead = partial(self.ahead, now=now)
        return any(each.queue.read_ahead(ahead, is_time) for each in self._running())

    def load(self) -> Load:
        """How much is at hand and staged."""
        sources = self._running()
        return Load(
            waiting=sum(each.queue.left for each in sources),
            staged=sum(each.queue.taken for each in sources),
            staged_bytes=sum(each.size for each in sources),
            busy=len(sources) < len(self._sources),
        )

    def vitals(self, consumer: Consumer) -> Vitals:
        """What it can tell of itself and of each partition."""
        parts = [_part(each, consumer) for each in self._sources.values()]
        return Vitals(parts=parts, values=self.counted())

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition of which records were handled."""
        return [
            Share(each, self._owner, self._topic_ids[each.place.topic])
            for each in self._running()
            if each.queue.taken
        ]

    def rollback(self) -> None:
        """Drops what is staged; the records stay."""
        self.halt = ""
        for each in self._sources.values():
            each.forget()


def _part(source: Source, consumer: Consumer) -> Part:
    topic, number = source.place
    values: Values = {"partition_running": float(source.ready)}
    if not source.ready:
        return Part(topic, number, Condition.OPENING, "its position is not known yet", values)
    lag = consumer.lag(source.place)
    values |= {} if lag is None else {"lag_records": lag[0], "hidden_records": lag[1]}
    return Part(topic, number, Condition.RUNNING, "", values)

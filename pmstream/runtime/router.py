"""The router stage: a source record becomes one inbox record for each process it concerns.

Stateless but for its position: the group's committed offset carries, as text, who wrote it, the
source topic's id, and how many records in a row could not be decoded.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.runtime.commit import Out, Slice
from pmstream.runtime.guard import Guard
from pmstream.runtime.inbox import inbox_headers
from pmstream.runtime.intake import Intake
from pmstream.runtime.log import Consumer, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.sources import Positions, Share, Source
from pmstream.runtime.stage import Load

Told = Callable[[str, int, str], None]


class Setup(Struct, frozen=True, kw_only=True):
    """What a router is made of.

    Attributes:
        names: topics and groups of the process manager.
        intake: judges their records.
        guard: interrupts the author's code; None without `event_timeout`.
        topic_ids: source topic to its id.
        owner: this worker's transactional id.
    """

    names: Names
    intake: Intake
    guard: Guard | None
    topic_ids: Mapping[str, str]
    owner: str


class RouterStage:
    """Routes the source partitions that this worker owns.

    Args:
        setup: what it is made of.
        positions: finds where to read on.
        told: hears of what is worth a log line.

    Attributes:
        halt: why the process manager is to stop, once a record said so.
        routed, ignored, dead_letters: records so far.
    """

    def __init__(self, setup: Setup, positions: Positions, told: Told) -> None:
        self.topics: Sequence[str] = list(setup.topic_ids)
        self._setup, self._positions, self._told = setup, positions, told
        self._sources: dict[TopicPartition, Source] = {}
        self._intake = setup.intake
        self.halt = ""
        self.routed = self.ignored = self.dead_letters = 0

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
        """Whether that source partition is routed here."""
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
                self._told("routing", each.place.partition, f"{each.place.topic} {each.position}")

    # Records and batches

    def take(self, record: Record) -> None:
        """Puts a record into its partition's queue; drops it when that does not run here."""
        source = self._sources.get(TopicPartition(record.topic, record.partition))
        if source is not None:
            source.take(record)

    def process(self, now: int, room: int) -> None:
        """Routes what is at hand, up to `room` records in this batch."""
        sources = self._running()
        left = room - sum(each.cursor for each in sources)
        for rest, source in zip(range(len(sources), 0, -1), sources, strict=True):
            share = -(-left // rest)
            while share > 0 and source.cursor < len(source.queue) and not self.halt:
                if self._route(source, source.queue[source.cursor], now):
                    source.cursor += 1
                share, left = share - 1, left - 1
        if self._setup.guard is not None:
            self._setup.guard.rest()

    def _route(self, source: Source, record: Record, now: int) -> bool:
        """Stages what a record becomes; False when it stops the process manager."""
        found = self._intake.take(record, source, now)
        if isinstance(found, engine.Halt):
            self.halt = found.reason
            return False
        if found is None or record.value is None:
            self.ignored += 1
            return True
        if isinstance(found, Out):
            source.out.append(found)
            self.dead_letters += 1
            return True
        for index, uuid in enumerate(found.ids):
            headers = inbox_headers(record, found, index, self._setup.owner)
            source.out.append(Out(self._setup.names.inbox, uuid.encode(), record.value, headers))
            source.size += len(record.value)
        return True

    def load(self) -> Load:
        """How much is at hand and staged."""
        sources = self._running()
        return Load(
            waiting=sum(len(each.queue) - each.cursor for each in sources),
            staged=sum(each.cursor for each in sources),
            staged_bytes=sum(each.size for each in sources),
            busy=len(sources) < len(self._sources),
        )

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition of which records were handled."""
        return [
            Share(each, self._setup.owner, self._setup.topic_ids[each.place.topic])
            for each in self._running()
            if each.cursor
        ]

    def rollback(self) -> None:
        """Drops what is staged; the records stay."""
        self.halt = ""
        for each in self._sources.values():
            each.forget()

"""The router stage: a source record becomes one inbox record for each process it concerns.

Stateless but for its position: the group's committed offset carries, as text, who wrote it, the
source topic's id, and how many records in a row could not be decoded.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.core.messages import Metadata, Routed, metadata_of
from pmstream.core.process import Callbacks
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, Undeclared, UnknownSchema
from pmstream.runtime.commit import Out, Slice
from pmstream.runtime.guard import Guard
from pmstream.runtime.inbox import inbox_headers, own_headers, where
from pmstream.runtime.log import Consumer, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.sources import Positions, Share, Source
from pmstream.runtime.stage import Load

BREAKER_RUN = 100
"""So many records in a row that cannot be decoded stop the process manager."""

BREAKER_WINDOW, BREAKER_SHARE = 1_000, 0.05
"""So does this share of the last so many records."""

Told = Callable[[str, int, str], None]


class Setup(Struct, frozen=True, kw_only=True):
    """What a router is made of.

    Attributes:
        names: topics and groups of the process manager.
        callbacks: of the process manager.
        guard: interrupts the author's code; None without `event_timeout`.
        codec: of the app.
        topic_ids: source topic to its id.
        undecodable, unknown_schema: options of the process manager.
        owner: this worker's transactional id.
    """

    names: Names
    callbacks: Callbacks
    guard: Guard | None
    codec: Codec
    topic_ids: Mapping[str, str]
    undecodable: str
    unknown_schema: str
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
        self._window: deque[bool] = deque(maxlen=BREAKER_WINDOW)
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
        if record.value is None:
            self.ignored += 1
            return True
        try:
            event = self._setup.codec.decode(record.topic, record.value, record.headers)
        except UnknownSchema as error:
            if self._setup.unknown_schema == "ignore":
                self.ignored += 1
                return True
            return self._undecodable(source, record, error, now)
        except Undecodable as error:
            return self._undecodable(source, record, error, now)
        self._window.append(False)
        source.run = 0
        if isinstance(event, Undeclared):
            self.ignored += 1
            return True
        routing = self._ask(event, record, now)
        if isinstance(routing.failure, engine.Halt):
            self.halt = routing.failure.reason
            return False
        if isinstance(routing.failure, engine.DeadLetter):
            self._dead_letter(source, record, routing.failure.reason, now)
            return True
        if routing.route is None:
            self.ignored += 1
            return True
        for index, uuid in enumerate(routing.ids):
            headers = inbox_headers(record, routing, index, self._setup.owner)
            source.out.append(Out(self._setup.names.inbox, uuid.encode(), record.value, headers))
            source.size += len(record.value)
        return True

    def _ask(self, event: Any, record: Record, now: int) -> engine.Routing:
        if self._setup.guard is not None:
            self._setup.guard.begin()
        return engine.route(self._setup.callbacks, event, self._metadata(record), now)

    def _metadata(self, record: Record) -> Metadata:
        routed = Routed(
            process_uuid="",
            route="",
            value=b"",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            index=0,
            timestamp=record.timestamp,
            headers=own_headers(record.headers),
        )
        return metadata_of(routed, self._setup.callbacks.name)

    def _undecodable(self, source: Source, record: Record, error: Undecodable, now: int) -> bool:
        run, window = source.run + 1, self._window
        share = (sum(window) + 1) / BREAKER_WINDOW if len(window) == BREAKER_WINDOW else 0.0
        if self._setup.undecodable == "stop":
            self.halt = f"{where(record)} cannot be decoded: {error}"
        elif run >= BREAKER_RUN:
            self.halt = f"{run} records in a row cannot be decoded, the last: {error}"
        elif share >= BREAKER_SHARE:
            self.halt = (
                f"{share:.0%} of the last {BREAKER_WINDOW} records cannot be decoded: {error}"
            )
        if self.halt:
            return False
        window.append(True)
        source.run = run
        self._dead_letter(source, record, str(error), now)
        return True

    def _dead_letter(self, source: Source, record: Record, reason: str, now: int) -> None:
        source.out.append(dead_letter(self._setup.names.dead_letters, record, reason, now))
        self.dead_letters += 1

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


def dead_letter(topic: str, record: Record, reason: str, now: int) -> Out:
    """The dead letter of a record: its bytes and headers, where it came from, why, and when."""
    place = f"{record.topic}-{record.partition}-{record.offset}"
    headers = (
        ("pm-source", place.encode()),
        ("pm-error", reason.encode()),
        ("pm-time", str(now).encode()),
        *own_headers(record.headers),
    )
    return Out(topic, record.key, record.value, headers)

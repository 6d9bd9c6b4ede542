"""The router stage: a source record becomes one inbox record for each process it concerns.

Stateless but for its position: the group's committed offset carries, as text, who wrote it, the
source topic's id, and how many records in a row could not be decoded.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec
from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.core.messages import Metadata, Routed, metadata_of
from pmstream.core.process import Callbacks
from pmstream.errors import Stopped, Undecodable
from pmstream.runtime.codec import Codec, Undeclared, UnknownSchema
from pmstream.runtime.commit import Out, Slice
from pmstream.runtime.inbox import inbox_headers, own_headers, where
from pmstream.runtime.log import (
    Again,
    Clock,
    Committed,
    Consumer,
    Log,
    OffsetPending,
    Record,
    TopicPartition,
)
from pmstream.runtime.stage import Load
from pmstream.runtime.takeover import Takeover

BREAKER_RUN = 100
"""So many records in a row that cannot be decoded stop the process manager."""

BREAKER_WINDOW, BREAKER_SHARE = 1_000, 0.05
"""So does this share of the last so many records."""

_ASK_SECONDS = 0.2
_PATIENCE_SECONDS = 1.0


class Note(Struct, frozen=True, array_like=True):
    """The text stored with a source position.

    Attributes:
        owner: transactional id of who moved it, or `ensure`.
        topic_id: of the source topic: another id is another topic of the same name.
        run: records in a row, up to here, that could not be decoded.
    """

    owner: str
    topic_id: str
    run: int = 0


def dump_note(note: Note) -> str:
    """The note as text."""
    return msgspec.json.encode(note).decode()


def load_note(text: str) -> Note | None:
    """Reads `dump_note`; None when something else stands there."""
    try:
        return msgspec.json.decode(text, type=Note)
    except msgspec.MsgspecError:
        return None


class Source:
    """An assigned partition of a source topic; runs once its position is known."""

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.ready = False
        self.position = 0
        self.queue: list[Record] = []
        self.pending_since: float | None = None
        self.committed_run = 0
        self.forget()

    def forget(self) -> None:
        """Begins an empty batch."""
        self.cursor = 0
        self.run = self.committed_run
        self.out: list[Out] = []
        self.size = 0

    def stop(self) -> None:
        """Position unknown; nothing in hand."""
        self.ready, self.queue, self.pending_since = False, [], None
        self.forget()


class Share:
    """A source partition's share of one transaction (`commit.Slice`)."""

    commit_record: Out | None = None

    def __init__(self, part: Source, owner: str, topic_id: str) -> None:
        self._part, self._run = part, part.run
        self.source = part.place
        next_position = part.queue[part.cursor - 1].offset + 1
        self.position = Committed(next_position, dump_note(Note(owner, topic_id, part.run)))
        self.records = part.out

    def acknowledged(self, _offset: int | None) -> None:
        """The position is committed: the records in hand up to it are done."""
        part = self._part
        part.position, part.committed_run = self.position.position, self._run
        del part.queue[: part.cursor]
        part.forget()


class RouterStage:
    """Routes the source partitions that this worker owns.

    Args:
        log: for topic starts and unstable positions.
        names: topics of the process manager.
        callbacks: of the process manager.
        codec: of the app.
        topic_ids: source topic to its id.
        options: `undecodable` and `unknown_schema` of the process manager.
        owner: this worker's transactional id.
        takeover: frees a position from a dead router.
    """

    def __init__(
        self,
        log: Log,
        names: Names,
        callbacks: Callbacks,
        codec: Codec,
        topic_ids: Mapping[str, str],
        options: Mapping[str, str],
        owner: str,
        takeover: Takeover,
        clock: Clock,
        told: Callable[[str, int, str], None] = lambda _what, _partition, _text: None,
    ) -> None:
        self.topics = list(topic_ids)
        self._log, self._names, self._callbacks, self._codec = log, names, callbacks, codec
        self._topic_ids, self._options, self._owner = topic_ids, options, owner
        self._takeover, self._clock, self._told = takeover, clock, told
        self._sources: dict[TopicPartition, Source] = {}
        self._window: deque[bool] = deque(maxlen=BREAKER_WINDOW)
        self.halt = ""
        self.ignored = self.dead_letters = 0

    # Ownership

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` finds their positions."""
        for each in partitions:
            self._sources[each] = Source(each)

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions (all of them when none is named) and what they staged."""
        for each in list(partitions) or list(self._sources):
            self._sources.pop(each, None)

    def is_running(self, where: TopicPartition) -> bool:
        """Whether that source partition is routed here."""
        source = self._sources.get(where)
        return source is not None and source.ready

    def restart(self, consumer: Consumer) -> None:
        """Reads every position again."""
        consumer.pause([each.place for each in self._running()])
        for each in self._sources.values():
            each.stop()

    def close(self) -> None:
        """Drops everything."""
        self._sources.clear()

    def _running(self) -> list[Source]:
        return [each for each in self._sources.values() if each.ready]

    # Positions

    def catch_up(self, consumer: Consumer) -> None:
        """Finds the position of each new partition, then reads it."""
        for each in self._sources.values():
            if not each.ready:
                self._start(each, consumer)

    def _start(self, source: Source, consumer: Consumer) -> None:
        group = self._names.group("router")
        try:
            committed = consumer.committed(source.place, _ASK_SECONDS)
        except OffsetPending:
            now = self._clock.monotonic()
            source.pending_since = source.pending_since or now
            if now - source.pending_since > _PATIENCE_SECONDS:
                known = self._log.last_committed(group, [source.place]).get(source.place)
                note = load_note(known.metadata) if known else None
                if note is not None:
                    self._takeover.end(note.owner)
            return
        position = self._checked(source, committed) if committed else self._first(source, group)
        if position is None:
            return
        try:
            consumer.seek(source.place, position)
            consumer.resume([source.place])
        except Again:
            return
        source.ready, source.position = True, position
        self._told("routing", source.place.partition, f"{source.place.topic} from {position}")

    def _checked(self, source: Source, committed: Committed) -> int:
        """The committed position, if it speaks of this very topic."""
        note, topic = load_note(committed.metadata), source.place.topic
        if note is None or note.topic_id != self._topic_ids[topic]:
            raise Stopped(
                f"{topic}-{source.place.partition}: the committed position {committed.position} "
                + ("was set from outside" if note is None else "belongs to an earlier topic")
                + ": its offsets would be handled as events of another history; run `pmstream "
                "topics ensure` to see what is there, or replay"
            )
        source.committed_run = source.run = note.run
        return committed.position

    def _first(self, source: Source, group: str) -> int | None:
        """No position: a partition that appeared later begins at its beginning."""
        topic = source.place.topic
        info = self._log.topics().get(topic)
        if info is None:
            return None
        others = [TopicPartition(topic, number) for number in range(info.partitions)]
        if self._log.last_committed(group, others):
            return self._log.start(source.place)
        raise Stopped(
            f"group {group} has no position in {topic}: run `pmstream topics ensure` to set where "
            "to start (if this process manager ran before, its positions have expired: see there)"
        )

    # Records and batches

    def take(self, record: Record) -> None:
        """Puts a record into its partition's queue; drops it when that does not run here."""
        source = self._sources.get(TopicPartition(record.topic, record.partition))
        if source is not None and source.ready:
            expected = source.queue[-1].offset + 1 if source.queue else source.position
            if record.offset >= expected:
                source.queue.append(record)

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

    def _route(self, source: Source, record: Record, now: int) -> bool:
        """Stages what a record becomes; False when it stops the process manager."""
        if record.value is None:
            self.ignored += 1
            return True
        try:
            event = self._codec.decode(record.topic, record.value)
        except UnknownSchema as error:
            if self._options["unknown_schema"] == "ignore":
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
        routing = engine.route(self._callbacks, event, self._metadata(record), now)
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
            headers = inbox_headers(record, routing.route, index, self._owner)
            source.out.append(Out(self._names.inbox, uuid.encode(), record.value, headers))
            source.size += len(record.value)
        return True

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
        return metadata_of(routed, self._callbacks.name)

    def _undecodable(self, source: Source, record: Record, error: Undecodable, now: int) -> bool:
        run, window = source.run + 1, self._window
        share = (sum(window) + 1) / BREAKER_WINDOW if len(window) == BREAKER_WINDOW else 0.0
        if self._options["undecodable"] == "stop":
            self.halt = f"{where(record)} cannot be decoded: {error}"
        elif run >= BREAKER_RUN:
            self.halt = f"{run} records in a row cannot be decoded, the last: {error}"
        elif share >= BREAKER_SHARE:
            self.halt = f"{share:.0%} of the last {BREAKER_WINDOW} records cannot be decoded: {error}"
        if self.halt:
            return False
        window.append(True)
        source.run = run
        self._dead_letter(source, record, str(error), now)
        return True

    def _dead_letter(self, source: Source, record: Record, reason: str, now: int) -> None:
        source.out.append(dead_letter(self._names.dead_letters, record, reason, now))
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
            Share(each, self._owner, self._topic_ids[each.place.topic])
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

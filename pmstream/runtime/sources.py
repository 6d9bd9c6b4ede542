"""A router's source partitions: their positions, and the notes stored with them."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from pmstream.errors import Stopped
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Out, Sent
from pmstream.runtime.generations import check_open
from pmstream.runtime.log import Committed, Consumer, Log, Record, TopicPartition
from pmstream.runtime.log_errors import Again, OffsetPending
from pmstream.runtime.queue import Queue
from pmstream.runtime.takeover import Takeover

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
    """An assigned partition of a source topic; runs once its position is known.

    Attributes:
        place: the partition.
        ready: whether its position is known.
        queue: records in hand; those that are taken are staged.
        out, size: what these became, and its bytes.
        run: records in a row, up to the last of these, that could not be decoded.
    """

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.ready = False
        self.queue = Queue(0)
        self.pending_since: float | None = None
        self.committed_run = 0
        self.forget()

    def start(self, position: int) -> None:
        """The position is known."""
        self.ready, self.queue = True, Queue(position)

    def take(self, record: Record) -> None:
        """Puts a gathered record behind the others."""
        if self.ready:
            self.queue.put(record)

    def forget(self) -> None:
        """Begins an empty batch."""
        self.queue.back()
        self.size = 0
        self.run = self.committed_run
        self.out: list[Out] = []

    def stop(self) -> None:
        """Position unknown; nothing in hand."""
        self.ready, self.queue, self.pending_since = False, Queue(0), None
        self.forget()


class Share:
    """A source partition's share of one transaction (`commit.Slice`)."""

    commit_record: Out | None = None

    def __init__(self, part: Source, owner: str, topic_id: str) -> None:
        self._part, self._run = part, part.run
        self.source = part.place
        note = dump_note(Note(owner, topic_id, part.run))
        self.position = Committed(part.queue.position, note)
        self.records: Sequence[Sent] = part.out
        self.sent = len(part.out)

    def acknowledged(self, _offset: int | None) -> None:
        """The position is committed: the records in hand up to it are done."""
        part = self._part
        part.committed_run = self._run
        part.queue.commit()
        part.forget()


class Positions:
    """Finds where to read on.

    Args:
        log: for topic starts and unstable positions.
        group: the router's.
        topic_ids: source topic to its id.
        takeover: frees a position from a dead router.
    """

    def __init__(
        self,
        log: Log,
        group: str,
        topic_ids: Mapping[str, str],
        takeover: Takeover,
        clock: Clock,
    ) -> None:
        self._log, self._group, self._topic_ids = log, group, topic_ids
        self._takeover, self._clock = takeover, clock

    def find(self, source: Source, consumer: Consumer) -> bool:
        """Makes a source ready if its position is known by now.

        Raises:
            Stopped: there is none, or it belongs to another topic.
            Busy: its generation is closed.
        """
        try:
            committed = consumer.committed(source.place, _ASK_SECONDS)
        except OffsetPending:
            self._pending(source)
            return False
        position = self._first(source) if committed is None else self._checked(source, committed)
        if position is None:
            return False
        try:
            consumer.seek(source.place, position)
            consumer.resume([source.place])
        except Again:
            return False  # no leader yet: the next turn tries again
        source.start(position)
        return True

    def _pending(self, source: Source) -> None:
        """A dead router's transaction holds the position: whoever moved it last is ended."""
        now = self._clock.monotonic()
        source.pending_since = source.pending_since or now
        if now - source.pending_since <= _PATIENCE_SECONDS:
            return
        known = self._log.last_committed(self._group, [source.place]).get(source.place)
        note = load_note(known.metadata) if known is not None else None
        if note is not None:
            self._takeover.end(note.owner)

    def _checked(self, source: Source, committed: Committed) -> int:
        """The committed position, if it speaks of this very topic."""
        check_open(source.place, committed)
        note, topic = load_note(committed.metadata), source.place.topic
        if note is None or note.topic_id != self._topic_ids[topic]:
            what = "was set from outside" if note is None else "belongs to an earlier topic"
            raise Stopped(
                f"{topic}-{source.place.partition}: the committed position {committed.position} "
                f"{what} of this name: its offsets would be taken for events of another history; "
                "`pmstream topics ensure` shows what is there"
            )
        source.committed_run = source.run = note.run
        return committed.position

    def _first(self, source: Source) -> int | None:
        """No position: a partition that appeared later begins at its beginning."""
        topic = source.place.topic
        info = self._log.topics().get(topic)
        if info is None:
            return None
        all_of_it = [TopicPartition(topic, number) for number in range(info.partitions)]
        known = self._log.last_committed(self._group, all_of_it)
        if source.place in known:
            return None  # a coordinator that was loading said "none": the next turn asks again
        if known:
            return self._log.start(source.place)
        raise Stopped(
            f"group {self._group} has no position in {topic}: run `pmstream topics ensure` to set "
            "where to start (if this process manager ran before, its positions have expired)"
        )

"""Dead letters: what could not be read or routed, told, and marked as done with.

A mark is a record without a value, in its letter's partition, that names it; a letter with a mark
is closed. Rule: a mark is written once, in a transaction: whoever marks fences all others first.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.errors import ConfigurationError, Undecodable
from pmstream.operate.bounds import bounds, own_topic
from pmstream.operate.reading import read_once
from pmstream.operate.transaction import transaction
from pmstream.runtime.codec import Codec, Undeclared
from pmstream.runtime.log import Log, Producer, Record

SOURCE, ERROR, TIME = "pm-source", "pm-error", "pm-time"
"""Headers of a letter: where its record stands, what is wrong with it, when that was found."""

LETTER, MARK, WHO, WHY = "pm-letter", "pm-mark", "pm-who", "pm-why"
"""Headers of a mark."""

DROPPED, REDRIVEN = "dropped", "redriven"


class Letter(Struct, frozen=True):
    """A dead letter.

    Attributes:
        id: `partition:offset` in the dead-letter topic.
        source: `topic-partition-offset` of the record that could not be read.
        error: why not.
        time: when that was found, milliseconds since the epoch.
        mark: what became of it, by whom and why; "" if it is open.
        record: its bytes and headers, which are those of the source.
    """

    id: str
    source: str
    error: str
    time: int
    mark: str
    record: Record


def still_open(records: Iterable[Record]) -> list[Record]:
    """Letters without a mark, of records of the topic."""
    known = list(records)
    closed = {_header(each, LETTER) for each in known if _header(each, MARK)}
    return [each for each in known if not _header(each, MARK) and _id(each) not in closed]


def letters(log: Log, names: Names, since: int | None = None) -> list[Letter]:
    """All dead letters, the oldest first.

    Args:
        log: the cluster.
        names: of the process manager.
        since: only those found at that time or later, milliseconds since the epoch.

    Raises:
        ConfigurationError: there is no such topic.
        Unreachable, Unavailable: the cluster.
    """
    places = bounds(log, own_topic(log, names.dead_letters))
    if since is not None:
        at = {place: log.offset_at(place, since) for place in places}
        places = {
            place: (max(start, at[place] or 0), end) for place, (start, end) in places.items()
        }
    records = [each for chunk in read_once(log, places) for each in chunk]
    marks = {_header(each, LETTER): _marked(each) for each in records if _header(each, MARK)}
    found = [_letter(each, marks.get(_id(each), "")) for each in records if not _header(each, MARK)]
    return sorted(found, key=lambda each: (each.time, each.record.partition, each.record.offset))


def named(log: Log, names: Names, ids: Collection[str]) -> list[Letter]:
    """Letters by their ids.

    Raises:
        ConfigurationError: one is no id, or not there; else as `letters`.
    """
    there = {each.id: each for each in letters(log, names)}
    missing = [each for each in ids if each not in there]
    if missing:
        raise ConfigurationError(
            f"there is no dead letter {missing[0]!r}: an id is partition:offset, as "
            "`pmstream dead-letters list` shows it"
        )
    return [there[each] for each in dict.fromkeys(ids)]


@contextmanager
def sole(log: Log, names: Names) -> Iterator[Producer]:
    """A transaction that ends all others about these letters first; committed at the end.

    Raises:
        Again, MustAbort, OutcomeUnknown, Refused, Unavailable: the cluster.
    """
    log.topics()  # a cluster that is away says so sooner here
    producer = log.producer(f"{names.app}.{names.process_manager}.dead-letters")
    try:
        with transaction(producer):
            yield producer
    finally:
        producer.drop()


def drop(log: Log, names: Names, ids: Sequence[str], who: str, why: str, now: int) -> list[Letter]:
    """Marks open letters as dropped; answers those that were, others were closed meanwhile.

    Raises:
        ConfigurationError: see `named`.
        Again, MustAbort, OutcomeUnknown, Refused, Unavailable: the cluster.
    """
    with sole(log, names) as producer:
        found = [each for each in named(log, names, ids) if not each.mark]
        for each in found:
            mark(producer, each, DROPPED, who, why, now)
    return found


def mark(producer: Producer, letter: Letter, mark: str, who: str, why: str, now: int) -> None:
    """Says what became of a letter. Raises MustAbort."""
    told = {LETTER: letter.id, MARK: mark, WHO: who, WHY: why, TIME: str(now)}
    headers = tuple((name, value.encode()) for name, value in told.items())
    place = letter.record
    producer.produce(place.topic, None, place.key, headers, place.partition)


def today(app: App, letter: Letter) -> str:
    """What today's code makes of a letter: its type, or what is still wrong."""
    topic = letter.source.rpartition("-")[0].rpartition("-")[0]
    if topic not in app.events:
        return f"topic {topic or '?'} is none of app {app.name}"
    try:
        event = Codec(app).decode(topic, letter.record.value or b"", letter.record.headers)
    except Undecodable as error:
        return f"still unreadable: {error}"
    if isinstance(event, Undeclared):
        return f"{event.schema}, which the app does not declare"
    return f"readable now, as {type(event).__name__}"


def own_headers(letter: Letter) -> Iterator[tuple[str, bytes | None]]:
    """The headers that its source record had."""
    ours = (SOURCE, ERROR, TIME)
    yield from (each for each in letter.record.headers if each[0] not in ours)


def _letter(record: Record, mark: str) -> Letter:
    time = _header(record, TIME)
    return Letter(
        id=_id(record),
        source=_header(record, SOURCE),
        error=_header(record, ERROR),
        time=int(time) if time.isdecimal() and len(time) < 16 else record.timestamp,
        mark=mark,
        record=record,
    )


def _id(record: Record) -> str:
    return f"{record.partition}:{record.offset}"


def _marked(record: Record) -> str:
    why = _header(record, WHY)
    told = f"{_header(record, MARK)} by {_header(record, WHO) or 'nobody'}"
    return f"{told}: {why}" if why else told


def _header(record: Record, wanted: str) -> str:
    value = next((value for name, value in record.headers if name == wanted), None)
    return (value or b"").decode(errors="replace")

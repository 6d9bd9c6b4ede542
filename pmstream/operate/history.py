"""The history of one process: its events, commands, timers, and operators' orders, in one line.

Rule: all of it is read from the topics, each no further back than asked, also those of generations
that a repartition left; what is purged, compacted or deleted is not there any more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.errors import ConfigurationError, Unreachable
from pmstream.operate import moments
from pmstream.operate.bounds import bounds
from pmstream.operate.moments import Moment, What
from pmstream.operate.reading import read_once
from pmstream.operate.repartition import lineage
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import order_reader
from pmstream.runtime.store import instance_key

SLACK_MS = 60_000
"""Commands are looked for from so long before the first event: clocks differ."""

Watch = Callable[[Iterable[Record], str], Iterable[Record]]
"""Sees all records pass that are read, and is told whose they are."""


class History(Struct, frozen=True):
    """What was found.

    Attributes:
        moments: in the order of their time.
        commands_since: from when on commands were looked for, milliseconds since the epoch; None:
            from the beginning of their topics.
    """

    moments: tuple[Moment, ...]
    commands_since: int | None


def history(
    log: Log, app: App, process_manager: str, uuid: str, since: int | None, watch: Watch
) -> History:
    """Reads what happened to a process.

    Args:
        log: the cluster.
        app: declares the topics.
        process_manager: its name.
        uuid: of the process.
        since: milliseconds since the epoch; None: from the beginning, but commands only from
            SLACK_MS before the process' first event that is still there.
        watch: for progress.

    Raises:
        ConfigurationError: there is no such process manager, or its topics are missing.
        Unreachable, Unavailable: the cluster.
    """
    reading = _Reading(log, lineage(log, app.name, process_manager), uuid, watch)
    keyed = app.manager(process_manager).keyed
    found = list(reading.events(since, keyed))
    first = min((each.time for each in found), default=None)
    commands_since = since if since is not None or first is None else first - SLACK_MS
    found += reading.instance(since)
    found += reading.orders(since)
    found += reading.replies(since)
    for topic in app.commands:
        found += reading.commands(topic, commands_since)
    ranks = list(What)
    found.sort(key=lambda each: (each.time, ranks.index(each.what)))
    return History(tuple(found), commands_since)


class _Reading:
    """Reads the topics of a process manager for one process."""

    def __init__(self, log: Log, line: Sequence[Names], uuid: str, watch: Watch) -> None:
        self._log, self._line, self._uuid, self._watch = log, line, uuid, watch
        self._key, self._topics = uuid.encode(), log.topics()
        self._process_manager = line[-1].process_manager

    def events(self, since: int | None, keyed: str | None) -> Iterator[Moment]:
        topics = [keyed] if keyed is not None else [each.inbox for each in self._line]
        self._needed(topics[-1])
        for topic in self._there(topics):
            for record in self._own(topic, since):
                if record.key == self._key:
                    yield moments.of_event(record)

    def instance(self, since: int | None) -> Iterator[Moment]:
        topics = [each.changelog for each in self._line]
        self._needed(topics[-1])
        key = instance_key(self._uuid)
        yield from moments.of_instance(
            record
            for topic in self._there(topics)
            for record in self._own(topic, since)
            if record.key == key
        )

    def orders(self, since: int | None) -> Iterator[Moment]:
        for topic in self._there([each.orders for each in self._line]):
            read = order_reader(topic.name, topic.partitions)
            yield from moments.of_orders(self._own(topic, since), read, self._uuid)

    def replies(self, since: int | None) -> Iterator[Moment]:
        for topic in self._there([each.replies for each in self._line]):  # confirm mode
            for record in self._own(topic, since):
                if record.key == self._key:
                    yield moments.of_reply(record)

    def commands(self, topic: str, since: int | None) -> Iterator[Moment]:
        everything = bounds(self._log, self._needed(topic))
        for record in self._read(topic, everything, since):
            if moments.is_command_of(record, self._process_manager, self._uuid):
                yield moments.of_command(record)

    def _there(self, topics: Iterable[str]) -> list[TopicInfo]:
        """Those that exist, each once: orders and replies may outlive a generation."""
        return [self._topics[each] for each in dict.fromkeys(topics) if each in self._topics]

    def _needed(self, topic: str) -> TopicInfo:
        info = self._topics.get(topic)
        if info is None:
            raise ConfigurationError(f"there is no topic {topic}: run `pmstream topics ensure`")
        return info

    def _own(self, topic: TopicInfo, since: int | None) -> Iterable[Record]:
        """The partition that the process belongs to."""
        number = murmur2_partition(self._key, topic.partitions)
        place = TopicPartition(topic.name, number)
        return self._read(topic.name, {place: bounds(self._log, topic)[place]}, since)

    def _read(
        self, topic: str, places: Mapping[TopicPartition, tuple[int, int]], since: int | None
    ) -> Iterable[Record]:
        if since is not None:
            places = {place: self._from(place, ends, since) for place, ends in places.items()}
        chunks = read_once(self._log, places)
        return self._watch((each for chunk in chunks for each in chunk), f"records of {topic}")

    def _from(self, place: TopicPartition, ends: tuple[int, int], since: int) -> tuple[int, int]:
        offset = self._log.offset_at(place, since)
        if offset is None:
            raise Unreachable(f"{place.topic}-{place.partition} does not answer: try again")
        return max(ends[0], offset), ends[1]

"""All that stands in the topics, read by plain readers, and whether anything is still under way."""

import time
from collections.abc import Callable, Iterable

from pmstream.chaos.bank import GROUP
from pmstream.chaos.counter import ANSWERS, COMMANDS, SOURCE
from pmstream.chaos.fleet import NAMES
from pmstream.core.instance import load_instance
from pmstream.core.lifecycle import Condition, condition
from pmstream.errors import PmstreamError
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.runtime.log import Log, Record, TopicPartition
from pmstream.runtime.log_errors import LogError
from pmstream.runtime.store import BACKLOG, INSTANCE

TOPICS = (SOURCE, COMMANDS, ANSWERS, NAMES.inbox, NAMES.changelog, NAMES.dead_letters)

_LOOK_SECONDS, _SILENT_SECONDS = 1.0, 5.0


def read_topic(log: Log, topic: str) -> dict[int, list[Record]]:
    """Partition to all its committed records up to the last stable offset. Raises Unreachable."""
    info = log.topics()[topic]
    found: dict[int, list[Record]] = {number: [] for number in range(info.partitions)}
    for records in read_once(log, bounds(log, info)):
        for each in records:
            found[each.partition].append(each)
    return found


class Quiet:
    """Tells what is still under way.

    Args:
        log: the cluster, through which nothing new comes.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._read_at = time.monotonic()
        self._instances: dict[bytes, bytes | None] = {}
        self._reader = log.reader()
        partitions = log.topics()[NAMES.changelog].partitions
        self._changelog = [TopicPartition(NAMES.changelog, number) for number in range(partitions)]
        self._reader.assign(dict.fromkeys(self._changelog, 0))

    def wait(self, seconds: float, turn: Callable[[], None]) -> list[str]:
        """Turns until nothing is open; answers what still is after so many seconds."""
        until = time.monotonic() + seconds
        look_at = 0.0
        while True:
            turn()
            self._follow()
            if time.monotonic() >= look_at:
                left = self._look()
                if not left or time.monotonic() > until:
                    return left
                look_at = time.monotonic() + _LOOK_SECONDS

    def open(self) -> list[str]:
        """What is open at this moment, one sentence each."""
        return [*self._transactions(), *self._unhandled(), *self._unread(), *self._unfinished()]

    def close(self) -> None:
        """Frees the reader."""
        self._reader.close()

    def _look(self) -> list[str]:
        try:
            return self.open()
        except (LogError, PmstreamError) as error:
            return [str(error)]

    def _follow(self) -> None:
        records = self._reader.read(5_000, 0.05)
        self._read_at = time.monotonic() if records else self._read_at
        for record in records:
            if record.key is not None and record.key[:1] in (INSTANCE, BACKLOG):
                self._instances[record.key] = record.value

    def _transactions(self) -> Iterable[str]:
        known = self._log.topics()
        for topic in TOPICS:
            for number in range(known[topic].partitions):
                place = TopicPartition(topic, number)
                stable = self._log.end(place, stable=True)
                end = self._log.end(place, stable=False)
                if stable is None or stable != end:
                    yield f"{topic}-{number}: last stable offset {stable}, end {end}"

    def _unhandled(self) -> Iterable[str]:
        known = self._log.topics()
        router, instances = NAMES.group("router"), NAMES.group("instances")
        for group, topic in (
            (router, SOURCE),
            (instances, NAMES.inbox),
            (GROUP, COMMANDS),
            (router, ANSWERS),
        ):
            bound = bounds(self._log, known[topic])
            stands = self._log.last_committed(group, list(bound))
            left = {
                place: (stands[place].position if place in stands else start, end)
                for place, (start, end) in bound.items()
            }
            count = sum(len(records) for records in read_once(self._log, left))
            if count:
                yield f"{topic}: {count} records not handled"

    def _unread(self) -> Iterable[str]:
        """What is not read yet may be unfinished; silence is the end, too.

        For a position may stand before the last marker for ever.
        """
        if time.monotonic() - self._read_at > _SILENT_SECONDS:
            return
        for each in self._changelog:
            end, read = self._log.end(each, stable=True), self._reader.position(each) or 0
            if end is None or read < end:
                yield f"{each.topic}-{each.partition}: read to {read} of {end}"

    def _unfinished(self) -> Iterable[str]:
        waiting = sum(
            key[:1] == BACKLOG and value is not None for key, value in self._instances.items()
        )
        if waiting:
            yield f"{waiting} backlog entries"
        busy = [
            f"{key[1:].decode()} {what}"
            for key, value in self._instances.items()
            if key[:1] == INSTANCE and value is not None
            for what in [condition(load_instance(value))]
            if what is not Condition.IDLE
        ]
        if busy:
            yield f"{len(busy)} instances not idle, such as {', '.join(busy[:3])}"

"""The instances as they were committed, and what each transaction may do to timers and commands.

Rule: a timer's command comes from a timer that was set and not yet gone, never before it was due,
and takes it away; a command comes again only while its reply is awaited; no reply is lost.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from pmstream.app import Names
from pmstream.core.instance import Instance, Wait, load_instance
from pmstream.core.messages import ACCEPTED, COMMAND_ID, OUTCOME, PROCESS_UUID, REJECTED
from pmstream.runtime.changelog import CommitRecord
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.memory.partition import Partition
from pmstream.runtime.murmur2 import murmur2_partition
from tests.simulation.author import COMMANDS

INSTANCE = b"i"


class Violation(BaseException):
    """Something that must never be; nothing in the runtime catches it."""


def demand(holds: object, what: Callable[[], str] | str) -> None:
    """Raises Violation unless it holds."""
    if not holds:
        raise Violation(what if isinstance(what, str) else what())


class TimerId(NamedTuple):
    """One setting of a timer: in which life of which process, its name, its number in that life."""

    process: str
    born: str
    name: str
    n: int


def timer_of(command_id: str) -> TimerId | None:
    """The timer that a command comes from; None when it comes from an event."""
    cause, _, timer = command_id.rpartition("/")[0].rpartition("/timer-")
    process, _, born = cause.partition("/")
    name, _, number = timer.rpartition("-")
    return TimerId(process, born, name, int(number)) if cause else None


class Book:
    """What is committed of every instance.

    Args:
        log: whose replies are looked up.
        names: of its topics.
        clock: that timers go by.

    Attributes:
        fired: each timer whose command is visible.
        again: commands that came again, because their reply was late.
    """

    def __init__(self, log: MemoryLog, names: Names, clock: Clock) -> None:
        self.fired: set[TimerId] = set()
        self.again = 0
        self._log, self._names, self._clock = log, names, clock
        self._latest = clock.now()
        self._instances: dict[str, Instance] = {}
        self._replies: dict[int, int] = {}
        self._ids: set[str] = set()

    def look(self) -> None:
        """Notes what time it has been; called before the clock steps back."""
        self._latest = max(self._latest, self._clock.now())

    def committed(
        self, written: Mapping[TopicPartition, list[Record]], now: Mapping[int, CommitRecord]
    ) -> None:
        """Checks a transaction of an instances worker; `now`: its commit records."""
        self.look()
        before, after = self._instances, dict(self._instances)
        for place, records in written.items():
            if place.topic == self._names.changelog:
                _fold(records, after)
        ours: set[str] = set()
        for place, records in written.items():
            if place.topic == COMMANDS:
                for record in records:
                    self._check_command(record, before, after, ours)
        for number, said in now.items():
            self._check_replies(number, said, before, after)
        self._instances = after

    def _check_command(
        self,
        record: Record,
        before: Mapping[str, Instance],
        after: Mapping[str, Instance],
        ours: set[str],
    ) -> None:
        headers = dict(record.headers)
        id = (headers["command-id"] or b"").decode()
        process = (headers[PROCESS_UUID] or b"").decode()
        was, timer = before.get(process), timer_of(id)
        if id in self._ids:
            again = id in ours or (_pending(was) == id)
            demand(again and headers.get("reply-to"), f"command {id} is visible twice")
            self.again += 1
            return
        demand(id, f"a command of {process} has no id")
        self._ids.add(id)
        ours.add(id)
        if timer is not None:
            demand(timer not in self.fired, lambda: f"{timer} fired twice")
            self.fired.add(timer)
            self._check_timer(timer, was, after.get(process))

    def _check_timer(self, timer: TimerId, was: Instance | None, now: Instance | None) -> None:
        if was is not None and was.born == timer.born and timer.n <= was.timers.count:
            found = was.timers.pending.get(timer.name)
            demand(
                found is not None and found.n == timer.n,
                lambda: f"{timer} fired, which was cancelled or replaced before: {was.timers}",
            )
            assert found is not None
            demand(
                found.due <= self._latest,
                lambda: f"{timer} fired before {found.due}: it never was later than {self._latest}",
            )
        if now is not None and now.born == timer.born:
            left = now.timers.pending.get(timer.name)
            demand(left is None or left.n != timer.n, lambda: f"{timer} fired and is still set")

    def _check_replies(
        self,
        number: int,
        said: CommitRecord,
        before: Mapping[str, Instance],
        after: Mapping[str, Instance],
    ) -> None:
        start, end = self._replies.get(number, 0), said.replies
        self._replies[number] = end
        if end == start:
            return
        part = self._log._broker.topic(self._names.replies).partitions[number]
        demand(end <= part.end, f"replies {number}: position {end} is above their end {part.end}")
        for reply in visible(part):
            if not start <= reply.offset < end:
                continue
            headers, process = dict(reply.headers), (reply.key or b"").decode(errors="replace")
            id, outcome = headers.get(COMMAND_ID), headers.get(OUTCOME)
            here = murmur2_partition(reply.key or b"", said.partitions) == number
            asked = _awaited(before.get(process)) if outcome in (ACCEPTED, REJECTED) else None
            if here and asked is not None and asked[0].encode() == id:
                lost = _awaited(after.get(process)) == asked
                demand(not lost, f"a reply is lost: {asked[0]} is still awaited")


def visible(part: Partition) -> list[Record]:
    """A partition's records, without what is open or aborted."""
    pairs = zip(part._records, part._transactions, strict=True)
    return [each for each, of in pairs if each is not None and (of is None or of.verdict)]


def _fold(records: list[Record], into: dict[str, Instance]) -> None:
    for record in records:
        key = record.key or b""
        if key[:1] != INSTANCE:
            continue
        if record.value is None:
            into.pop(key[1:].decode(), None)
        else:
            into[key[1:].decode()] = load_instance(record.value)


def _pending(instance: Instance | None) -> str | None:
    """The id of the command that may go out again."""
    work = instance.work if instance is not None else None
    return work.pending[0].id if work is not None and work.pending else None


def _awaited(instance: Instance | None) -> tuple[str, int] | None:
    """The id of the command whose reply is awaited, and until when."""
    work = instance.work if instance is not None else None
    if work is None or work.wait is not Wait.REPLY:
        return None
    return work.pending[0].id, work.due

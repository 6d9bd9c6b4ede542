"""The first half of a rebuild: events of all sources, by time, into the inbox of a new generation.

Rule: one stream, because routers side by side keep no order between topics; one transaction a
batch. What stands in the inbox tells how far it has come, so after a kill it goes on from there.
"""

from collections.abc import Callable, Mapping, Sequence

from pmstream.app import App, Names
from pmstream.core.engine import Halt
from pmstream.core.process import bind
from pmstream.errors import Stopped
from pmstream.operate.bounds import bounds
from pmstream.operate.dead_letters import ERROR, SOURCE
from pmstream.operate.reading import read_once
from pmstream.operate.rerun import History, merged
from pmstream.operate.transaction import write
from pmstream.runtime.commit import Out
from pmstream.runtime.inbox import inbox_headers, read_inbox
from pmstream.runtime.log import Log, Producer, Record, TopicPartition
from pmstream.runtime.roles import source_intake

BATCH = 2_000
"""Records in one transaction, roughly."""

Done = Callable[[int], None]
"""Told how many more records are done."""

Accept = Callable[[str], bool]
"""Told of something that fares otherwise in the rebuild than it did; go on?"""


class _Run:
    """A source partition: records in a row that could not be decoded."""

    run = 0


class Rerouting:
    """Routes history once more, by today's code.

    Args:
        log: the cluster.
        app: with the process manager.
        new: names of the generation that is made.
        apart: places of events that are passed over.
        accept: decides on events that cannot be routed any more.
    """

    def __init__(
        self, log: Log, app: App, new: Names, apart: frozenset[str], accept: Accept
    ) -> None:
        self._log, self._new, self._apart, self._accept = log, new, apart, accept
        self._intake = source_intake(app, new, bind(app.manager(new.process_manager)))
        self._runs: dict[tuple[str, int], _Run] = {}

    def run(self, history: History, producer: Producer, done: Done) -> None:
        """Writes what is not in the inbox yet.

        Raises:
            Stopped: today's code stops at an event, or cannot route one, and that is not accepted.
            Again, MustAbort, OutcomeUnknown: the same call goes on.
            Unreachable, PositionLost: the cluster; history went away meanwhile.
        """
        so_far = self._so_far()
        left = {
            place: (max(start, so_far.get(place, start)), end)
            for place, (start, end) in history.items()
        }
        done(sum(left[place][0] - start for place, (start, _) in history.items()))
        outs: list[Out] = []
        at = {place: start for place, (start, _) in left.items()}
        for record in merged(self._log, left, ""):
            outs += self._routed(record, producer.transactional_id)
            place = TopicPartition(record.topic, record.partition)
            done(record.offset + 1 - at[place])
            at[place] = record.offset + 1
            if len(outs) >= BATCH:
                write(producer, outs)
                outs = []
        if outs:
            write(producer, outs)

    def _so_far(self) -> Mapping[TopicPartition, int]:
        """Source partition to the offset behind the last one that is in the inbox.

        What stood before it in the stream is done: it is there, or concerns nobody.
        """
        found: dict[TopicPartition, int] = {}
        inbox = self._log.topics()[self._new.inbox]
        for records in read_once(self._log, bounds(self._log, inbox)):
            for record in records:
                routed = read_inbox(record)
                place = TopicPartition(routed.topic, routed.partition)
                found[place] = max(found.get(place, 0), routed.offset + 1)
        return found

    def _routed(self, record: Record, owner: str) -> Sequence[Out]:
        if f"{record.topic}-{record.partition}-{record.offset}" in self._apart:
            return ()
        run = self._runs.setdefault((record.topic, record.partition), _Run())
        found = self._intake.take(record, run, record.timestamp)
        if isinstance(found, Halt):
            raise Stopped(f"today's code stops: {found.reason}")
        if found is None or record.value is None:
            return ()
        if isinstance(found, Out):
            judge_letter(found, self._accept)
            return ()
        return [
            Out(
                self._new.inbox,
                uuid.encode(),
                record.value,
                inbox_headers(record, found.routing, index, owner, replayed=True),
            )
            for index, uuid in enumerate(found.routing.ids)
        ]


def judge_letter(letter: Out, accept: Accept) -> None:
    """An event that was routed then, and is a dead letter today.

    None is written: who gives the rebuild up would have one of an event that was handled.

    Raises:
        Stopped: that is not accepted.
    """
    told = {name: (value or b"").decode(errors="replace") for name, value in letter.headers}
    text = (
        f"{told.get(SOURCE)} was no dead letter, and would be one by the code at hand "
        f"({told.get(ERROR)}): it would not count"
    )
    if not accept(text):
        raise Stopped(text)

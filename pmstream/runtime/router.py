"""The router stage: a source record becomes one inbox record for each process it concerns."""

from collections.abc import Mapping

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.runtime.commit import Out
from pmstream.runtime.failures import Failures
from pmstream.runtime.guard import Guard
from pmstream.runtime.inbox import inbox_headers
from pmstream.runtime.intake import Accepted, Intake
from pmstream.runtime.log import Record
from pmstream.runtime.routes import Routes
from pmstream.runtime.source_stage import SourceStage, Told
from pmstream.runtime.sources import Positions, Source
from pmstream.runtime.vitals import Values


class Setup(Struct, frozen=True, kw_only=True):
    """What a router is made of.

    Attributes:
        names: topics and groups of the process manager.
        intake: judges their records.
        failures: counts them.
        guard: interrupts the author's code; None without `event_timeout`.
        topic_ids: source topic to its id.
        owner: this worker's transactional id.
        routes: makes spans of routed events; None when tracing is off.
    """

    names: Names
    intake: Intake
    failures: Failures
    guard: Guard | None
    topic_ids: Mapping[str, str]
    owner: str
    routes: Routes | None = None


class RouterStage(SourceStage):
    """Routes the source partitions that this worker owns.

    Args:
        setup: what it is made of.
        positions: finds where to read on.
        told: hears of what is worth a log line.

    Attributes:
        routed, ignored, dead_letters: records so far.
    """

    def __init__(self, setup: Setup, positions: Positions, told: Told) -> None:
        super().__init__(setup.topic_ids, setup.owner, positions, told)
        self._setup, self._intake = setup, setup.intake
        self.routed = self.ignored = self.dead_letters = 0

    def process(self, now: int, room: int) -> None:
        """Routes what is at hand, up to `room` records in this batch."""
        super().process(now, room)
        if self._setup.guard is not None:
            self._setup.guard.rest()

    def ahead(self, record: Record, now: int) -> Accepted | None:
        """Reads a record ahead of its turn; None is: its turn will tell."""
        return self._intake.ahead(record, now)

    def handle(self, source: Source, record: Record, early: Accepted | None, now: int) -> bool:
        """Stages what a record becomes; False when it stops the process manager."""
        routes = self._setup.routes
        traced = routes.begin(record) if routes is not None else None
        found = self._intake.take(record, source, now, early)
        if traced is not None:
            record = traced.end(record, found)
        if isinstance(found, engine.Halt):
            self.halt = found.told
            return False
        if found is None or record.value is None:
            self.ignored += 1
            return True
        if isinstance(found, Out):
            source.out.append(found)
            self.dead_letters += 1
            return True
        for index, uuid in enumerate(found.routing.ids):
            headers = inbox_headers(record, found.routing, index, self._owner)
            source.out.append(Out(self._setup.names.inbox, uuid.encode(), record.value, headers))
            source.size += len(record.value)
        self.routed += 1
        return True

    def counted(self) -> Values:
        """Source records by what became of them, and failures."""
        records = {
            "routed": self.routed,
            "ignored": self.ignored,
            "dead_letter": self.dead_letters,
        }
        return {
            "source_records_total": {name: float(count) for name, count in records.items()},
            "failures_total": dict(self._setup.failures.counts),
        }

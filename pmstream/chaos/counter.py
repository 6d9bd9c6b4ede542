"""A process manager that makes gaps, repeats and disorder show: each event makes one command.

The command carries the process' running counter; the state is a digest of all events in order, the
bank's answers among them.
"""

from zlib import crc32

from msgspec import Struct

from pmstream import App, FailureContext, Metadata, ProcessManager, failure, routing
from pmstream.chaos.messages import Count, Counted, Ended, Spread, Ticked
from pmstream.errors import NotStarted

SOURCE, COMMANDS, ANSWERS = "chaos.events", "chaos.counts", "chaos.counted"


class Counter(Struct, frozen=True):
    """Where one counter stands.

    Attributes:
        count: events of this life, the bank's not counted.
        digest: of all their sources, in order.
    """

    count: int = 0
    digest: int = 0


class Failing(Exception):
    """An event fails as often as it says."""


class Counting(ProcessManager[Counter]):
    """Counts events; some fail first, some reach several counters, some end one."""

    name = "counting"
    state = Counter

    def interested(self, event: object, metadata: Metadata) -> routing.Answer:
        """Which counters an event concerns."""
        match event:
            case Ticked():
                return routing.Start(event.process)
            case Spread():
                return routing.Continue(event.processes)
            case Ended():
                return routing.Stop(event.process)
            case Counted():
                return routing.ContinueExisting(event.process)
        return None

    def handle(self, state: Counter, event: object, metadata: Metadata) -> Count | None:
        """One command an event; fails as often as the event says."""
        match event:
            case Ticked():
                if metadata.attempt <= event.fails:
                    raise Failing(f"attempt {metadata.attempt} of {event.fails} that fail")
            case Spread():
                pass
            case _:
                return None
        return Count(process=metadata.process_uuid, count=state.count + 1, number=event.number)

    def apply(self, state: Counter, event: object, metadata: Metadata) -> Counter:
        """Counts, and adds the event's source to the digest."""
        place = f"{metadata.topic}-{metadata.partition}-{metadata.offset}"
        counts = not isinstance(event, Counted)
        return Counter(count=state.count + counts, digest=crc32(place.encode(), state.digest))

    def error(self, error: Exception, failed: object, context: FailureContext) -> failure.Answer:
        """Tries again after the event's own delay; an answer to a life that ended is dropped."""
        if isinstance(failed, Ticked):
            return failure.Retry(delay=failed.delay_ms / 1000)
        if isinstance(error, NotStarted):
            return failure.Skip()
        return failure.Stop(error)


app = App(
    name="chaos",
    schemas="avro",
    events={SOURCE: [Ticked, Spread, Ended], ANSWERS: [Counted]},
    commands={COMMANDS: {Count: "process"}},
    process_managers=[Counting()],
)

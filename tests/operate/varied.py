"""A process manager of which every kind of life can be asked for, by event, on a real Kafka."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pmstream import App, ProcessManager, failure, routing
from pmstream.config import Settings
from pmstream.core.timers import Set, TimerFired
from pmstream.operate import rebuild
from pmstream.operate.job import Job
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.roles import ROUTER
from tests.faults.kafka_kit import KafkaWorld
from tests.runtime import world
from tests.runtime.world import Count, Counter, Do, Happened, Oops

LATER = datetime(2100, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]

KINDS = ("go", "again", "later", "soon", "stop", "early", "park")
"""What one in a hundred processes does beside the others; see `story`."""


class Varied(Counter):
    """As Counter; and it retries, sets timers, and holds early events."""

    def interested(self, event: Happened) -> routing.Answer:
        if event.what == "early":
            return routing.ContinueExisting(event.process, hold=3_600)
        return super().interested(event)

    def handle(self, state: Count, event: Any, metadata: Any) -> Any:
        if isinstance(event, TimerFired):
            return Do(process=metadata.process_uuid, n=-1, count=state.count)
        if event.what == "again" and metadata.attempt < 3:
            raise Oops(event.what)
        command = super().handle(state, event, metadata)
        if event.what == "later":
            return [command, Set("later", at=LATER + timedelta(seconds=event.n))]
        return [command, Set("soon", after=0.2)] if event.what == "soon" else command

    def apply(self, state: Count, event: Any) -> Count:
        return state if isinstance(event, TimerFired) else super().apply(state, event)

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        if getattr(failed, "what", "") == "again":
            return failure.Retry(delay=0.1)
        return super().error(error, failed, context)


def make_app(name: str) -> App:
    """The app of such a world."""
    varied: ProcessManager[Count] = Varied()
    return App(
        name=name,
        schemas=Path(world.__file__).parent / "avro",
        events={f"{name}.events": [Happened]},
        commands={f"{name}.commands": {Do: "process"}},
        process_managers=[varied],
    )


class VariedWorld(KafkaWorld):
    """A world of it; its topics are those of any other."""

    def __init__(self, servers: str, directory: Path, partitions: int) -> None:
        super().__init__(servers, directory, partitions)
        self.app = make_app(self.app_name)

    def live_through(self, processes: int) -> int:
        """Produces the stories of so many processes; answers how many events that is."""
        writer, count = self.log.writer(), 0
        for number in range(processes):
            for n, what in enumerate(story(number)):
                event = Happened(process=f"p-{number}", what=what, n=n)
                value = self.codec.encode_event(self.source, event)
                writer.produce(self.source, value, partition=number % 2)
                count += 1
            if number % 5_000 == 4_999:
                writer.produce(self.source, b"no event", partition=number % 2)
                count += 1
        writer.flush(60)
        return count

    def work_off(self, seconds: float) -> None:
        """Turns until nothing has moved for a while."""
        until, last, moved = time.monotonic() + seconds, self._marks(), time.monotonic()
        while time.monotonic() - moved < 3:
            assert time.monotonic() < until, "not done in time"
            look = time.monotonic() + 0.5
            while time.monotonic() < look:
                self.turn()
            marks = [*self._marks(), *self._reached()]
            if marks != last:
                last, moved = marks, time.monotonic()

    def _reached(self) -> list[int | None]:
        places = [TopicPartition(self.source, number) for number in range(2)]
        known = self.log.last_committed(self.names.group(ROUTER), places)
        return [each.position for each in known.values()]

    def rebuilder(self) -> subprocess.Popen[str]:
        """Rebuilds in a process of its own."""
        given = {"servers": self.servers, "app": self.app_name, "state": str(self.directory)}
        return subprocess.Popen(
            [sys.executable, "-m", "tests.operate.varied", json.dumps(given)],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
        )


def story(number: int) -> list[str]:
    """What the events of a process say, in order."""
    kind = KINDS[number % 100] if number % 100 < len(KINDS) else "go"
    if kind == "early":
        return ["early", "go"]
    if kind == "park":
        return ["go", "park", "go"]
    if kind == "stop":
        return ["go", "go", "stop"]
    return ["go", kind]


def main(given: dict[str, str]) -> None:
    """Rebuilds; prints a line for each step, and how many offsets are done."""
    log, done = KafkaLog(given["servers"], session_timeout_ms=6_000), 0

    def told(what: str) -> None:
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()

    def more(count: int) -> None:
        nonlocal done
        done += count
        told(str(done))

    job = Job(make_app(given["app"]), "counter", None, Settings(state_dir=Path(given["state"])))
    told(str(rebuild.carry_out(log, job, SystemClock(), lambda _text: False, more, told)))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))

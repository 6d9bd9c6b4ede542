"""Whether a million timers fire once each, and how late, through a rebalance and a kill.

    python -m bench.timers --timers 1000000

The last line is JSON: timers, fired, missing, again, lateness in seconds, timers a second.
"""

import argparse
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from msgspec import Struct

from bench.stage import Stage, await_all, quantile, say, staged
from pmstream import App, ProcessManager, Topic, routing, timers
from pmstream.core.timers import TimerFired
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import TopicPartition

EACH = 10
"""Timers of one instance."""

DEADLINE_SECONDS = 900.0


class Opened(Struct, frozen=True):
    """Sets EACH timers, due from `first` on, `gap` apart, both in milliseconds."""

    __schema__: ClassVar[str] = "bench.Opened"
    id: str
    first: int
    gap: int


class Fired(Struct, frozen=True):
    """A timer fired; `due` in milliseconds since the epoch."""

    __schema__: ClassVar[str] = "bench.Fired"
    id: str
    n: int
    due: int


class Nothing(Struct, frozen=True):
    """No state."""


class Clockwork(ProcessManager[Nothing]):
    """Sets timers, and tells when they fire."""

    name = "clockwork"
    state = Nothing

    def interested(self, event: Opened) -> routing.Answer:
        """One instance for each event."""
        return routing.Start(event.id)

    def handle(self, state: Nothing, event: Any, metadata: Any) -> Any:
        """Timers, or a command for one that fired."""
        if isinstance(event, TimerFired):
            return Fired(metadata.process_uuid, int(event.name), round(event.due.timestamp() * 1e3))
        at = datetime.fromtimestamp(event.first / 1000, UTC)
        gap = timedelta(milliseconds=event.gap)
        return [timers.Set(str(n), at=at + n * gap) for n in range(EACH)]


SOURCE, COMMANDS = "bench.opened", "bench.fired"

app = App(
    name="bench",
    events={SOURCE: Topic([Opened], format="json", type_header="type")},
    commands={COMMANDS: Topic({Fired: "id"}, format="json", type_header="type")},
    process_managers=[Clockwork()],
)


def load(stage: Stage, instances: int, first: int, window: float) -> None:
    """Writes the events: the timers are due evenly over the window."""
    codec, writer = Codec(app), stage.log.writer()
    headers = codec.event_headers(SOURCE, Opened)
    gap = round(window * 1000 / EACH)
    for number in range(instances):
        event = Opened(f"i{number}", first + round(gap * number / instances), gap)
        writer.produce(SOURCE, codec.encode_event(SOURCE, event), event.id.encode(), headers)
    writer.flush(60)


class Seen:
    """What has fired, read as it becomes visible."""

    def __init__(self, stage: Stage, instances: int) -> None:
        self._codec, self._reader = Codec(app), stage.log.reader()
        known = stage.log.topics()[COMMANDS].partitions
        self._reader.assign({TopicPartition(COMMANDS, n): 0 for n in range(known)})
        self._marks = bytearray(instances * EACH)
        self.fired = self.again = 0
        self.late: list[float] = []

    def turn(self) -> None:
        """Reads on."""
        for record in self._reader.read(10_000, 0.2):
            command = self._codec.decode_command(COMMANDS, record.value or b"", record.headers)
            place = int(command.id[1:]) * EACH + command.n
            self.again += self._marks[place]
            self.fired += not self._marks[place]
            self._marks[place] = 1
            self.late.append((record.timestamp - command.due) / 1000)


def main() -> None:
    """Sets the timers, watches them fire, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timers", type=int, default=50_000)
    parser.add_argument("--rate", type=int, default=5_000, help="timers due in a second")
    parser.add_argument("--lead", type=float, default=30.0, help="seconds to set 100 000 timers in")
    given = parser.parse_args()
    instances = given.timers // EACH
    window = given.timers / given.rate
    with staged(app, "bench.timers:app") as stage:
        lead = max(10.0, given.lead * given.timers / 100_000)
        first = round((time.time() + lead) * 1000)
        load(stage, instances, first, window)
        stage.run("a")
        say(f"{instances} events written; timers are due from {lead:.0f} s on for {window:.0f} s")
        seen = Seen(stage, instances)
        began = first / 1000
        while time.time() < began:
            seen.turn()
        if min(seen.late, default=0.0) < 0:
            raise SystemExit("a timer fired before its time")
        second, killed = None, False

        def turn() -> bool:
            nonlocal second, killed
            seen.turn()
            share = seen.fired / given.timers
            if share > 0.3 and second is None:
                say(f"{seen.fired} fired; a second worker joins")
                second = stage.run("b", "--role", "instances")
            if share > 0.6 and second is not None and not killed:
                say(f"{seen.fired} fired; the second worker is killed")
                stage.kill(second)
                killed = True
            return bool(seen.fired >= given.timers)

        await_all(turn, DEADLINE_SECONDS, f"only {seen.fired} of {given.timers} fired")
        seconds = time.time() - began
        for _ in range(20):
            seen.turn()
    figures = {
        "timers": given.timers,
        "fired": seen.fired,
        "missing": given.timers - seen.fired,
        "again": seen.again,
        "rebalanced": second is not None,
        "killed": killed,
        "late_p50_s": round(quantile(seen.late, 0.5), 3),
        "late_p99_s": round(quantile(seen.late, 0.99), 3),
        "late_max_s": round(max(seen.late), 3),
        "early": sum(each < 0 for each in seen.late),
        "per_s": round(given.timers / seconds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()

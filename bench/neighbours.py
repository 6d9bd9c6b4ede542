"""How long neighbours wait while one of 10 000 instances retries, is parked or waits for a reply.

    python -m bench.neighbours --rounds 6

Rounds of calm and trouble alternate in one run; the delay is from just before an event is produced
to its command seen by a read_committed reader. The last line is JSON: for each kind of trouble p50
and p99 of the neighbours, calm and troubled, in milliseconds, and the difference.
"""

import argparse
import json
import random
import time
from typing import Any, ClassVar

from msgspec import Struct

from bench.stage import Stage, quantile, say, staged
from pmstream import App, ProcessManager, Topic, failure, replies, routing
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import TopicPartition

INSTANCES = 10_000
RETRY_SECONDS = 0.7
SETTLE_SECONDS = 3.0
RETRY, PARK, WAIT = "retry", "park", "wait"

_TICK_SECONDS = 0.002


class Happened(Struct, frozen=True):
    """An event; it fails `fails` times, or for ever; `at` is when it was produced, in ns."""

    __schema__: ClassVar[str] = "bench.Happened"
    id: str
    at: int
    fails: int = 0


class Done(Struct, frozen=True):
    """The command for an event."""

    __schema__: ClassVar[str] = "bench.Done"
    id: str
    at: int


class Count(Struct, frozen=True):
    """How many events."""

    count: int = 0


class Neighbour(ProcessManager[Count]):
    """One command an event; some fail."""

    name = "neighbour"
    state = Count

    def interested(self, event: Happened) -> routing.Answer:
        """One instance for each id."""
        return routing.Start(event.id)

    def handle(self, state: Count, event: Happened, metadata: Any) -> Done:
        """Fails as often as the event says."""
        if event.fails < 0 or metadata.attempt <= event.fails:
            raise RuntimeError(event.id)
        return Done(event.id, event.at)

    def apply(self, state: Count, event: Happened) -> Count:
        """Counts."""
        return Count(state.count + 1)

    def error(self, error: Exception, failed: Any) -> failure.Answer:
        """For ever is an operator's affair."""
        return failure.Park() if failed.fails < 0 else failure.Retry(delay=RETRY_SECONDS)


SOURCE, COMMANDS = "bench.happened", "bench.done"


def _app(**options: Any) -> App:
    return App(
        name="bench",
        events={SOURCE: Topic([Happened], format="json", type_header="type")},
        commands={COMMANDS: Topic({Done: "id"}, format="json", type_header="type")},
        process_managers=[Neighbour(**options)],
    )


app = _app()
confirming = _app(dispatch="confirm", confirm_timeout=600)


class Street:
    """Writes events, reads commands, answers them, and times the neighbours."""

    def __init__(self, stage: Stage, the_app: App, kind: str, rate: int) -> None:
        self._kind, self._rate, self._chance = kind, rate, random.Random(1)
        self._codec, self._writer = Codec(the_app), stage.log.writer()
        self._replies = stage.log.writer()
        self._headers = self._codec.event_headers(SOURCE, Happened)
        self._reader = stage.log.reader()
        known = stage.log.topics()[COMMANDS].partitions
        self._reader.assign({TopicPartition(COMMANDS, n): 0 for n in range(known)})
        self.delays: list[float] = []
        self._unanswered: list[Any] = []

    def produce(self, uuid: str, fails: int = 0) -> None:
        """One event."""
        event = Happened(uuid, time.time_ns(), fails)
        value = self._codec.encode_event(SOURCE, event)
        self._writer.produce(SOURCE, value, uuid.encode(), self._headers)

    def play(self, seconds: float, troubled: str = "") -> list[float]:
        """Load for so long, maybe with one instance in trouble; answers the neighbours' delays."""
        self.delays = []
        began, sent, bad = time.monotonic(), 0, 0
        if troubled:
            self.produce(troubled, -1 if self._kind == PARK else round(seconds / RETRY_SECONDS))
        while (now := time.monotonic() - began) < seconds:
            for _ in range(int(now * self._rate) - sent):
                self.produce(f"n{self._chance.randrange(INSTANCES)}")
                sent += 1
            if troubled and bad < now * 10:  # ten more events a second wait behind its trouble
                self.produce(troubled)
                bad += 1
            self.turn(_TICK_SECONDS)
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            self.turn(0.01)
        found = self.delays
        for record in self._unanswered:
            self._answer(record)
        self._unanswered = []
        while self._kind != PARK and troubled and time.monotonic() < until + SETTLE_SECONDS:
            self.turn(0.01)  # the backlog drains outside of what is measured
        return found

    def turn(self, seconds: float) -> None:
        """Reads and answers."""
        for record in self._reader.read(1_000, seconds):
            now = time.time_ns()
            command = self._codec.decode_command(COMMANDS, record.value or b"", record.headers)
            troubled = command.id.startswith("bad")
            if self._kind == WAIT:
                if troubled:
                    self._unanswered.append(record)
                else:
                    self._answer(record)
            if not troubled:
                self.delays.append((now - command.at) / 1e6)

    def _answer(self, record: Any) -> None:
        reply = replies.accept(record.headers)
        if reply is not None:
            self._replies.produce(
                reply.topic, reply.value, reply.key, reply.headers, reply.partition
            )


def measure(kind: str, rounds: int, seconds: float, rate: int) -> dict[str, float]:
    """One kind of trouble."""
    the_app, name = (confirming, "confirming") if kind == WAIT else (app, "app")
    calm: list[float] = []
    troubled: list[float] = []
    with staged(the_app, f"bench.neighbours:{name}") as stage:
        stage.run("a")
        street = Street(stage, the_app, kind, rate)
        say(f"{kind}: warming up")
        for number in range(INSTANCES):
            street.produce(f"n{number}")
        street.play(15)
        for number in range(rounds):
            calm += street.play(seconds)
            troubled += street.play(seconds, f"bad-{number}")
            say(f"{kind}: round {number + 1} of {rounds}")
    figures = {
        f"{what}_{label}_ms": round(quantile(values, share), 2)
        for what, values in (("calm", calm), ("troubled", troubled))
        for label, share in (("p50", 0.5), ("p99", 0.99))
    }
    figures["p99_added_ms"] = round(figures["troubled_p99_ms"] - figures["calm_p99_ms"], 2)
    figures["events"] = len(calm) + len(troubled)
    return figures


def main() -> None:
    """Measures all three, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of calm and trouble, each")
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    parser.add_argument("--rate", type=int, default=500, help="events a second")
    parser.add_argument("--kind", choices=[RETRY, PARK, WAIT], action="append")
    given = parser.parse_args()
    kinds = given.kind or [RETRY, PARK, WAIT]
    print(json.dumps({k: measure(k, given.rounds, given.seconds, given.rate) for k in kinds}))


if __name__ == "__main__":
    main()

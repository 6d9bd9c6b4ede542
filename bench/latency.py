"""How long an event takes to its command at a steady rate: p50 and p99, direct and over two hops.

    python -m bench.latency --rate 1000 --rate 5000 --hops 1 --hops 2

From just before the event is handed to a producer to its command in the hands of a read_committed
reader, both in this process and by its clock: so the appends, all polls and all commits on the way
are in it. Nothing is pinned: this process sends and looks all the time, and would leave half a core
to a broker beside it. The commands are verified as in `./dev bench`. The last line is JSON; the
exit code is 1 when a run is void, or two hops at 1 000 a second miss their gate.
"""

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from msgspec import Struct

from bench.gates import Gate, conclude, missed
from bench.job import ShipOrder, faults_of, key_sequence, make_event, process_name
from bench.rig import Rig, decoder, encoder, rigged
from bench.solo import INTERVAL_MS, Runner, Solo
from bench.stage import quantile, say
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicPartition

GATED = (1_000, 2)
"""Rate and hops whose figures have gates."""

GATES = (Gate("p50_ms", most=50.0), Gate("p99_ms", most=110.0))

_LIMIT_SECONDS = 60.0
_TICK_SECONDS = 0.001
_SHOWN_FAULTS = 5


class Load(Struct, frozen=True, kw_only=True):
    """What is sent: events a second, for so long after a warm-up that does not count."""

    rate: int
    warm_seconds: float
    seconds: float
    keys: int
    linger_ms: int = 0

    @property
    def first(self) -> int:
        """The first event that counts."""
        return round(self.rate * self.warm_seconds)

    @property
    def events(self) -> int:
        """How many in all."""
        return self.first + round(self.rate * self.seconds)


class Seen(Struct, frozen=True):
    """A command and when it was seen, in microseconds since the epoch."""

    key: bytes | None
    command: ShipOrder
    at: int


def play(rig: Rig, solo: Solo, load: Load, runners: Sequence[Runner]) -> tuple[list[Seen], float]:
    """Sends all and reads their commands; answers those, and events a second as they were sent."""
    writer = KafkaLog(rig.servers, {"linger.ms": str(load.linger_ms)}).writer()
    reader, known = rig.log.reader(), rig.log.topics()[solo.commands].partitions
    reader.assign({TopicPartition(solo.commands, number): 0 for number in range(known)})
    encode, decode = encoder(solo.source, json=False), decoder(solo.commands)
    names = [process_name(key) for key in range(load.keys)]
    chosen = key_sequence(load.events, load.keys)
    seen: list[Seen] = []
    began, sent, until = time.monotonic(), 0, 0.0
    while len(seen) < load.events:
        now = time.monotonic()
        for seq in range(sent, min(int((now - began) * load.rate), load.events)):
            process = names[chosen[seq]]
            event = make_event(seq, process, _micros())
            writer.produce(solo.source, encode(event), process.encode())
            sent = seq + 1
        if sent == load.events and not until:
            until, rate = now + _LIMIT_SECONDS, sent / (now - began)
        elif until and now > until:
            break  # those that are missing are told as faults
        records, at = reader.read(1_000, _TICK_SECONDS), _micros()
        seen += [Seen(each.key, decode(each.value or b""), at) for each in records]
        for each in runners:
            each.child.check()
    reader.close()
    return seen, rate


def _micros() -> int:
    return time.time_ns() // 1_000


def judged(load: Load, seen: Sequence[Seen]) -> dict[str, Any]:
    """The figures of what was seen, and its faults."""
    delays = [
        (each.at - each.command.occurred_at) / 1_000
        for each in seen
        if each.command.seq >= load.first
    ]
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0} if delays else {}
    faults = faults_of(load.events, ((each.key, each.command) for each in seen))
    return {
        "events": len(delays),
        **{name: round(quantile(delays, share), 1) for name, share in shares.items()},
        "faults": list(faults)[:_SHOWN_FAULTS],
    }


def measure(rig: Rig, load: Load, hops: int, interval_ms: int) -> dict[str, Any]:
    """One rate over so many hops."""
    name = f"latency{load.rate}x{hops}"
    with closing(Solo(rig, name, keyed=hops == 1, interval_ms=interval_ms)) as solo:
        roles = ("instances",) if hops == 1 else ("instances", "router")
        runners = [solo.start(role, pinned=False) for role in roles]
        runners[0].await_ready(solo.partitions, _LIMIT_SECONDS)
        seen, rate = play(rig, solo, load, runners)
        cpu = sum(each.child.used() for each in runners)
    figures = judged(load, seen)
    about = {
        "rate": load.rate,
        "hops": hops,
        "interval_ms": interval_ms,
        "linger_ms": load.linger_ms,
        "sent_rate": round(rate),
    }
    return {**about, **figures, "cpu_s": round(cpu, 1)}


def beyond(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Gates that these runs miss; a run without gates passes."""
    return [
        f"{each['hops']} hops at {each['rate']} events/s: {what}"
        for each in runs
        if (each["rate"], each["hops"]) == GATED
        for what in missed(each, GATES)
    ]


_WARM = "before them: until then a broker takes twice the CPU, because it compiles itself"


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=int, action="append", help="events a second; repeatable")
    parser.add_argument("--hops", type=int, choices=[1, 2], action="append", help="1: direct mode")
    parser.add_argument("--seconds", type=float, default=20.0, help="that count")
    parser.add_argument("--warm-seconds", type=float, default=90.0, help=_WARM)
    parser.add_argument("--keys", type=int, default=10_000, help="processes")
    parser.add_argument("--interval-ms", type=int, default=INTERVAL_MS, help="commit interval")
    parser.add_argument(
        "--linger-ms",
        type=int,
        default=0,
        help="of the load's producer, in the figures: 0 is a request for each event, which a small "
        "broker feels",
    )
    given = parser.parse_args()
    runs = []
    with rigged(pinned=False) as rig:
        for hops in given.hops or [1, 2]:
            for rate in given.rate or [1_000, 5_000]:
                load = Load(
                    rate=rate,
                    warm_seconds=given.warm_seconds,
                    seconds=given.seconds,
                    keys=given.keys,
                    linger_ms=given.linger_ms,
                )
                runs.append(measure(rig, load, hops, given.interval_ms))
                say(f"{runs[-1]}")
    faults = [f"{each['hops']} hops: {what}" for each in runs for what in each["faults"]]
    conclude({"clock": "producer's", "runs": runs}, faults, beyond(runs))


if __name__ == "__main__":
    main()

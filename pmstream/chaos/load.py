"""Who writes the events: a thread of its own, at a rate, in a known order per key.

Among them the canaries: one process for each inbox partition, whose events are timed.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator

from msgspec import Struct

from pmstream.chaos.counter import SOURCE
from pmstream.chaos.messages import Ended, Spread, Ticked
from pmstream.runtime.log import Log, Writer
from pmstream.runtime.log_errors import Again
from pmstream.runtime.murmur2 import murmur2_partition

PROCESSES = 200
CANARY_SECONDS = 0.1
"""Between two events of one canary."""

_TICK_SECONDS = 0.02
_AT_ONCE = 500
_SPREAD, _ENDED, _FAILING = 0.06, 0.04, 0.08
"""Shares of events that reach several counters, end one, or fail first."""

Encode = Callable[[str, Struct], bytes]


def canaries(partitions: int) -> list[str]:
    """One process UUID for each inbox partition, in their order."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        name = f"canary-{number}"
        found.setdefault(murmur2_partition(name.encode(), partitions), name)
        number += 1
    return [found[each] for each in range(partitions)]


def events(seed: int) -> Iterator[tuple[str, Struct]]:
    """Key and event, for ever; the same for the same seed."""
    chance = random.Random(seed)
    numbers: dict[str, int] = {}
    names = [f"process-{number:04}" for number in range(PROCESSES)]
    while True:
        name, what = chance.choice(names), chance.random()
        number = numbers[name] = numbers.get(name, -1) + 1
        if what < _SPREAD:
            several = tuple(chance.sample(names, chance.randint(2, 5)))
            yield name, Spread(processes=several, number=number)
        elif what < _SPREAD + _ENDED:
            yield name, Ended(process=name, number=number)
        else:
            fails = chance.randint(1, 3) if chance.random() < _FAILING else 0
            delay = chance.choice((0, 50, 300, 1_500)) if fails else 0
            yield name, Ticked(process=name, number=number, fails=fails, delay_ms=delay)


class Loader:
    """Writes until told to stop; then waits until all is taken.

    Args:
        log: the cluster.
        encode: writes an event.
        seed: of the events.
        rate: how many a second, canaries not counted.
        partitions: of the inbox.

    Attributes:
        sent, acknowledged: records handed over, and taken by Kafka.
        canaries_sent: (process UUID, number) to the moment it was due.
        failure: what ended it.
    """

    def __init__(self, log: Log, encode: Encode, seed: int, rate: int, partitions: int) -> None:
        self._writer: Writer = log.writer()
        self._encode, self._rate = encode, rate
        self._events, self._canaries = events(seed), canaries(partitions)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-loader", daemon=True)
        self.sent = self.acknowledged = 0
        self.canaries_sent: dict[tuple[str, int], float] = {}
        self.failure: Exception | None = None

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Writes no more."""
        self._stop.set()

    def is_through(self, seconds: float) -> bool:
        """Waits so long at most; answers whether all is taken."""
        self._thread.join(seconds)
        try:
            self._writer.flush(seconds)
        except Again:
            return False
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._write()
        except Exception as error:  # noqa: BLE001 - told by the one who looks
            self.failure = error

    def _write(self) -> None:
        began = time.monotonic()
        load = beats = 0
        while not self._stop.wait(_TICK_SECONDS):
            now = time.monotonic()
            due = min(int((now - began) * self._rate) - load, _AT_ONCE)
            for _ in range(due):
                key, event = next(self._events)
                self._produce(key, event)
                load += 1
            if now - began >= beats * CANARY_SECONDS:
                for name in self._canaries:
                    self.canaries_sent[name, beats] = now
                    self._produce(name, Ticked(process=name, number=beats))
                beats += 1

    def _produce(self, key: str, event: Struct) -> None:
        value = self._encode(SOURCE, event)
        self._writer.produce(SOURCE, value, key.encode(), delivered=self._taken)
        self.sent += 1

    def _taken(self, _offset: int) -> None:
        self.acknowledged += 1

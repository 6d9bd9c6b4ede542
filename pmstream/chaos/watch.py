"""Times the canaries: how long events take from end to end, and how long after a fault."""

import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from pmstream.chaos.counter import COMMANDS
from pmstream.chaos.load import canaries
from pmstream.chaos.messages import Count
from pmstream.runtime.log import Log, TopicPartition

Decode = Callable[[str, bytes], object]

_CHUNK = 2_000


class Fault(Struct):
    """What was done to whom.

    Attributes:
        kind: its name.
        what: for people.
        at: when it began, by the monotonic clock.
        seconds: how long it lasts by itself: a freeze, an outage.
        recovery: seconds from its begin until events that came after it have made commands in
            every partition; None until then.
        waiting: partitions for which that is still to come.
    """

    kind: str
    what: str
    at: float
    seconds: float = 0.0
    recovery: float | None = None
    waiting: set[str] = set()


class Watch:
    """A plain reader of the commands.

    Args:
        log: the cluster.
        decode: reads a command.
        partitions: of the inbox.
        sent: canaries' (process UUID, number) to when they were sent.

    Attributes:
        latencies: of all canaries seen, in seconds.
        faults: all so far.
    """

    def __init__(
        self, log: Log, decode: Decode, partitions: int, sent: Mapping[tuple[str, int], float]
    ) -> None:
        self._decode, self._sent = decode, sent
        self._names = {name.encode() for name in canaries(partitions)}
        self._last = dict.fromkeys(canaries(partitions), -1)
        self._reader = log.reader()
        count = log.topics()[COMMANDS].partitions
        self._reader.assign({TopicPartition(COMMANDS, number): 0 for number in range(count)})
        self.latencies: list[float] = []
        self.faults: list[Fault] = []
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Takes note of a fault that begins now."""
        fault.waiting = set(self._last)
        self.faults.append(fault)
        self._waiting.append(fault)

    def turn(self, seconds: float) -> list[Fault]:
        """Reads on, for up to so many seconds; answers the faults that are recovered from now."""
        for record in self._reader.read(_CHUNK, seconds):
            if record.key in self._names:
                count = self._decode(COMMANDS, record.value or b"")
                assert isinstance(count, Count)
                self._seen(count)
        done = [each for each in self._waiting if not each.waiting]
        self._waiting = [each for each in self._waiting if each.waiting]
        return done

    def _seen(self, count: Count) -> None:
        now, sent = time.monotonic(), self._sent.get((count.process, count.number))
        if sent is None or count.number <= self._last[count.process]:
            return  # a repeat is the verification's affair
        self._last[count.process] = count.number
        self.latencies.append(now - sent)
        for fault in self._waiting:
            if sent >= fault.at and count.process in fault.waiting:
                fault.waiting.discard(count.process)
                if not fault.waiting:
                    fault.recovery = now - fault.at

    @property
    def stalls(self) -> dict[str, float]:
        """Canary to the age of its oldest event that is not through, in seconds."""
        now = time.monotonic()
        found = {}
        for name, last in self._last.items():
            sent = self._sent.get((name, last + 1))
            if sent is not None:
                found[name] = now - sent
        return found

    def close(self) -> None:
        """Frees the reader."""
        self._reader.close()

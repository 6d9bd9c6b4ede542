"""The monkey: which fault strikes whom and when, by one seed; each is healed in its time."""

import heapq
import random
import signal
import time
from collections.abc import Callable, Sequence
from itertools import count

from pmstream.chaos.fleet import Fleet
from pmstream.chaos.outages import Brokers, SmallDisk
from pmstream.chaos.proxy import Proxy
from pmstream.chaos.watch import Fault
from pmstream.errors import ConfigurationError
from pmstream.runtime.child import Spec

SESSION_SECONDS, TRANSACTION_SECONDS = 6.0, 10.0
"""Of the workers under test; freezes are shorter than, or outlast, these."""

GAP_SECONDS = (3.0, 9.0)
"""Between the beginnings of two faults."""

FREEZES = {
    "freeze-short": (0.5, 4.0),
    "freeze-past-session": (SESSION_SECONDS + 1, SESSION_SECONDS + 3),
    "freeze-past-transaction": (TRANSACTION_SECONDS + 1, TRANSACTION_SECONDS + 4),
}
_AWAY = (SESSION_SECONDS + 2, SESSION_SECONDS + 8)
_NETWORK = (2.0, 8.0)
_ZOMBIE = (4.0, 9.0)


class Monkey:
    """Strikes.

    Args:
        seed: of its choices.
        fleet: workers.
        brokers: and their outages.
        proxy: in front of the brokers.
        disk: under the first instances worker.
        only: kinds of faults; none is all.

    Raises:
        ConfigurationError: a kind is unknown.
    """

    def __init__(
        self,
        seed: int,
        fleet: Fleet,
        brokers: Brokers,
        proxy: Proxy,
        disk: SmallDisk,
        only: Sequence[str] = (),
    ) -> None:
        self._chance = random.Random(seed)
        self._fleet, self._brokers, self._proxy, self._disk = fleet, brokers, proxy, disk
        self._numbers = count()
        self._heals: list[tuple[float, int, Callable[[], None]]] = []
        self._bag: list[str] = []
        self._next = time.monotonic() + GAP_SECONDS[0]
        self._troubled: set[int] = set()  # brokers whose way is not free
        self._disk_busy = False
        self._acts: dict[str, Callable[[], Fault | None]] = {
            "kill-instances": lambda: self._kill("instances"),
            "kill-router": lambda: self._kill("router"),
            "kill-bank": lambda: self._kill("bank"),
            "kill-in-commit": self._kill_in_commit,
            "kill-and-stay-away": self._kill_away,
            "terminate": self._terminate,
            "zombie": self._zombie,
            "wipe": self._wipe,
            "cut": self._cut,
            "hold": lambda: self._trouble("hold", self._proxy.hold),
            "swallow": lambda: self._trouble("swallow", self._proxy.swallow),
            "delay": lambda: self._trouble("delay", lambda n: self._proxy.delay(n, 0.2)),
            "broker-kill": lambda: self._broker(
                "broker-kill", self._brokers.kill, self._brokers.session_seconds
            ),
            "broker-stop": lambda: self._broker(
                "broker-stop", self._brokers.stop, self._brokers.session_seconds
            ),
            "broker-freeze": lambda: self._broker("broker-freeze", self._brokers.freeze),
        }
        for kind in FREEZES:
            self._acts[kind] = lambda kind=kind: self._freeze(kind)  # type: ignore[misc]
        if not disk.why_not:
            self._acts["disk-full"] = self._fill
        unknown = [each for each in only if each not in self._acts]
        if unknown:
            raise ConfigurationError(
                f"no fault of kind {', '.join(unknown)}; there are {', '.join(self.kinds)}"
            )
        self._acts = {kind: act for kind, act in self._acts.items() if not only or kind in only}

    @property
    def kinds(self) -> list[str]:
        """All that it may do."""
        return sorted(self._acts)

    def turn(self) -> Fault | None:
        """Heals what is to be healed; strikes when it is time to."""
        now = time.monotonic()
        while self._heals and self._heals[0][0] <= now:
            heapq.heappop(self._heals)[2]()
        if now < self._next:
            return None
        if not self._bag:
            self._bag = self.kinds
            self._chance.shuffle(self._bag)
        for kind in tuple(self._bag):
            fault = self._acts[kind]()
            if fault is not None:
                self._bag.remove(kind)
                self._next = now + self._chance.uniform(*GAP_SECONDS)
                return fault
        return None  # nothing is possible at this moment

    def heal(self) -> None:
        """Heals everything at once; returns when all brokers run."""
        for _, _, heal in sorted(self._heals, key=lambda each: each[:2]):
            heal()
        self._heals = []
        self._brokers.wait()

    def _later(self, seconds: float, heal: Callable[[], None]) -> None:
        heapq.heappush(self._heals, (time.monotonic() + seconds, next(self._numbers), heal))

    def _fault(self, kind: str, what: str, seconds: float = 0.0) -> Fault:
        return Fault(kind, what, time.monotonic(), seconds)

    # Workers

    def _victim(self, role: str = "") -> Spec | None:
        running = [each for each in self._fleet.running() if each.role == role or not role]
        return self._chance.choice(running) if running else None

    def _kill(self, role: str) -> Fault | None:
        victim = self._victim(role)
        if victim is None:
            return None
        fault = self._fault(f"kill-{role}", victim.name)
        self._fleet.kill(victim)
        return fault

    def _kill_in_commit(self) -> Fault | None:
        victim = self._victim()
        if victim is None:
            return None
        fault = self._fault("kill-in-commit", victim.name)
        self._fleet.kill_in_commit(victim)
        return fault

    def _kill_away(self) -> Fault | None:
        victim = self._victim()
        if victim is None:
            return None
        seconds = self._chance.uniform(*_AWAY)
        fault = self._fault("kill-and-stay-away", victim.name, seconds)
        self._fleet.kill(victim, seconds)
        return fault

    def _terminate(self) -> Fault | None:
        victim = self._victim()
        if victim is None:
            return None
        fault = self._fault("terminate", victim.name)
        self._fleet.signal(victim, signal.SIGTERM)
        return fault

    def _freeze(self, kind: str) -> Fault | None:
        victim = self._victim()
        if victim is None:
            return None
        seconds = self._chance.uniform(*FREEZES[kind])
        fault = self._fault(kind, victim.name, seconds)
        pid = self._fleet.freeze(victim)
        self._later(seconds, lambda: self._fleet.thaw(pid))
        return fault

    def _zombie(self) -> Fault | None:
        victim = self._victim()
        if victim is None:
            return None
        seconds = self._chance.uniform(*_ZOMBIE)
        fault = self._fault("zombie", victim.name, seconds)
        zombie = self._fleet.raise_zombie(victim)
        self._later(seconds, lambda: self._fleet.end_zombie(zombie))
        return fault

    def _wipe(self) -> Fault | None:
        victim = self._victim("instances")
        if victim is None or self._disk_busy:
            return None
        fault = self._fault("wipe", victim.name)
        self._fleet.wipe(victim)
        return fault

    def _fill(self) -> Fault | None:
        victim = next(each for each in self._fleet.specs if each.role == "instances")
        if self._disk_busy or victim not in self._fleet.running():
            return None
        seconds = self._chance.uniform(*_NETWORK)
        fault = self._fault("disk-full", victim.name, seconds)
        self._disk_busy = True
        self._disk.fill()
        self._fleet.kill(victim)

        def free() -> None:
            self._disk.free()
            self._disk_busy = False

        self._later(seconds, free)
        return fault

    # Connections and brokers

    def _cut(self) -> Fault | None:
        fault = self._fault("cut", "all connections")
        for number in range(1, self._brokers.size + 1):
            self._proxy.cut(number)
        return fault

    def _trouble(self, kind: str, act: Callable[[int], None]) -> Fault | None:
        free = [n for n in range(1, self._brokers.size + 1) if n not in self._troubled]
        if not free:
            return None
        number, seconds = self._chance.choice(free), self._chance.uniform(*_NETWORK)
        fault = self._fault(kind, f"connections of broker {number}", seconds)
        act(number)
        self._troubled.add(number)

        def heal() -> None:
            self._proxy.heal(number)
            self._troubled.discard(number)

        self._later(seconds, heal)
        return fault

    def _broker(
        self, kind: str, act: Callable[[int, float], None], at_least: float = 0.0
    ) -> Fault | None:
        if self._brokers.busy:
            return None
        number = self._chance.randint(1, self._brokers.size)
        seconds = at_least + self._chance.uniform(*_NETWORK)
        fault = self._fault(kind, f"broker {number}", seconds)
        act(number, seconds)
        return fault

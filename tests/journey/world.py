"""The demo in one thread: memory log, real stores, router, instances workers, bank, loader."""

from collections.abc import Callable
from pathlib import Path

from pmstream.cli.demo_cast import PLAIN, Cast
from pmstream.cli.demo_check import Verdict, check, unhandled
from pmstream.cli.demo_load import TRANSFERS, Loader, transfers
from pmstream.cli.demo_topics import PARTITIONS, make_topics
from pmstream.config import Settings
from pmstream.examples.bank import COMMANDS, EVENTS, GROUP, Bank
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from pmstream.runtime.worker import Worker

Told = Callable[[str], None]


class Crash(BaseException):
    """The process dies here: nobody may catch it."""


class World:
    """Everything the demo runs, turned round-robin.

    Args:
        directory: for the stores.
        count: of transfers.
        cast: who plays.
    """

    def __init__(self, directory: Path, count: int, cast: Cast = PLAIN) -> None:
        self.cast = cast
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        self.codec = Codec(cast.app)
        self.settings = Settings.load(
            state_dir=directory, inbox_partitions=PARTITIONS, max_batch_records=50
        )
        self.transfers = transfers(count, seed=7, refused=cast.confirms)
        make_topics(self.log, self.clock, self.settings, cast)
        self.bank = self.new_bank()
        self.loader = Loader(self.log, self.codec.encode_event, self.clock, self.transfers)
        self.crashed: list[str] = []
        self._probes: dict[str, Told] = {}
        self._workers = {
            name: self._new_worker(role, name)
            for role, name in (
                (ROUTER, "router-0"),
                (INSTANCES, "instances-0"),
                (INSTANCES, "instances-1"),
            )
        }

    def new_bank(self) -> Bank:
        return Bank(self.log, self.clock, self.codec.decode, self.codec.encode_event)

    def _new_worker(self, role: str, name: str) -> Worker:
        def probe(step: str) -> None:
            if name in self._probes:
                self._probes[name](step)

        app, manager = self.cast.app, self.cast.names.process_manager
        return make_worker(
            app, manager, role, name, self.log, self.settings, self.clock, probe=probe
        )

    def crash_at(self, name: str, step: str, commits: int) -> None:
        """Lets the worker of that name die at a step of its n-th commit."""
        seen = 0

        def probe(at: str) -> None:
            nonlocal seen
            seen += at == step
            if at == step and seen == commits:
                del self._probes[name]
                raise Crash(name)

        self._probes[name] = probe

    def turn(self) -> None:
        """One turn of each; who crashed is started again."""
        self.loader.turn()
        self.bank.turn()
        for name, worker in self._workers.items():
            try:
                worker.turn()
            except Crash:
                self.crashed.append(name)
                worker.stage.close()  # a dead process holds no locks
                role = ROUTER if name.startswith(ROUTER) else INSTANCES
                self._workers[name] = self._new_worker(role, name)

    def run(self, most_turns: int = 5_000) -> Verdict:
        """Turns until nothing is left to do, ends all, and checks."""
        for number in range(most_turns):
            self.turn()
            if number % 20 == 0 and self.is_quiet():
                break
        for worker in self._workers.values():
            worker.close()
        self.bank.close()
        return check(self.log, self.clock, self.codec.decode, self.cast, self.transfers)

    def is_quiet(self) -> bool:
        """Whether every group has handled all records."""
        names = self.cast.names
        todo = {
            names.group(ROUTER): [TRANSFERS, EVENTS],
            names.group(INSTANCES): [names.inbox],
            GROUP: [COMMANDS],
        }
        return self.loader.sent == len(self.transfers) and not any(
            unhandled(self.log, self.clock, group, topics) for group, topics in todo.items()
        )

"""A bank on a real Kafka whose workers are processes, each on a host of its own, all traced.

The bank's accounts and who asks for transfers live in the test's process: so a test can hold an
answer back. All of them send their spans over OTLP to the same receiver.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pmstream.app import Names
from pmstream.cli.demo_bank import SERVICE
from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.core.orders import Verb
from pmstream.examples.bank import BALANCES, COMMANDS, EVENTS, OUTCOMES, Bank
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.operate import orders, starts, topics
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.runtime.child import Spec
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import Record, TopicSpec
from pmstream.runtime.produced import traced_headers
from pmstream.runtime.received import Received
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.supervisor import Policy, Supervisor
from pmstream.runtime.vitals import Condition
from tests.runtime.tracing.hesitant import PM, app
from tests.runtime.tracing.otlp import Receiver
from tests.runtime.tracing.told import Spans

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0
TRANSFERS, SHOP = "bank.transfers", "shop"
NAMES = Names(app.name, PM)
PARTITIONS = 3


class Hosts:
    """The bank, and hosts with one worker each.

    Args:
        servers: where Kafka is; the names are fixed, so it must have no bank yet.
        receiver: takes the spans.
        folder: for stores and logs.

    Attributes:
        alive: supervisors by their worker's name.
        bank_is_open: whether the bank answers.
    """

    def __init__(self, servers: str, receiver: Receiver, folder: Path) -> None:
        self._stack, self._folder = ExitStack(), folder
        self._receiver, self._spans = receiver, (-1, Spans(receiver))
        self.log, self._clock, self._codec = KafkaLog(servers), SystemClock(), Codec(app)
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "PMSTREAM_BOOTSTRAP_SERVERS": servers,
            "PMSTREAM_STATE_DIR": str(folder / "state"),
            "PMSTREAM_SESSION_TIMEOUT_MS": "6000",
            "PMSTREAM_TRACING": "on",
            "PMSTREAM_TRACING_ENDPOINT": receiver.endpoint,
        }
        self._settings = Settings(
            tracing=True, tracing_endpoint=receiver.endpoint, inbox_partitions=PARTITIONS
        )
        self._make_topics()
        self._shop = self._trail(SHOP)
        self._writer = self.log.writer()
        codec, received = self._codec, Received(self._trail(SERVICE))
        self._bank = Bank(self.log, self._clock, codec.decode, codec.encode_event, received)
        self._stack.callback(self._bank.close)
        self.bank_is_open = True
        self.alive: dict[str, Supervisor] = {}
        self.start(ROUTER, "router-0")
        for name in ("i-1", "i-2"):
            self.start(INSTANCES, name)
        self.until(self._is_shared)

    def _trail(self, service: str) -> Any:
        trail = self._stack.enter_context(tracing(self._settings, service, print))
        assert trail is not None
        return trail

    def _make_topics(self) -> None:
        plan = topics.plan(app, self.log, self._settings, create_missing=True)
        topics.carry_out(plan, self.log)
        compacted = {"cleanup.policy": "compact"}
        self.log.create_topics([TopicSpec(each, 3, compacted) for each in (BALANCES, OUTCOMES)])
        starts.set_starts(app, self.log, starts.find_starts(app, self.log))

    # Workers

    def _is_shared(self) -> bool:
        """Whether each of the two has its share of the inbox; from then on none moves."""
        told = [self.alive[name].views()[0].vitals for name in ("i-1", "i-2")]
        shares = [
            sum(part.condition is Condition.RUNNING for part in each.parts)
            for each in told
            if each is not None
        ]
        return all(shares) and len(shares) == 2 and sum(shares) == PARTITIONS

    def start(self, role: str, name: str) -> None:
        """A host with one worker, which dies at its next commit once it has got SIGUSR2."""
        worker = f"tests.runtime.tracing.hesitant:app {PM} {role} {name} commit".split()
        command = [sys.executable, "-m", "pmstream.cli.chaos_worker", *worker]
        supervisor = Supervisor(
            [Spec(PM, role, name)],
            lambda _spec: command,
            Policy(),
            print,
            environment=self._environment,
            log_dir=self._folder,
        )
        self.alive[name] = supervisor

    def end(self, name: str) -> None:
        """Ends a host politely."""
        self.alive.pop(name).end()

    def light(self, name: str) -> None:
        """It dies by SIGKILL at its next commit, and nobody starts it again."""
        (pid,) = self.alive[name].pids().values()
        os.kill(pid, signal.SIGUSR2)

    def is_dead(self, name: str) -> bool:
        """Whether that host's worker is gone; then the host is, too, before it starts another."""
        if self.alive[name].pids():
            return False
        self.end(name)
        return True

    # What happens

    def transfer(self, *uuids: str, amount: int = 100) -> None:
        """The shop asks for transfers."""
        for uuid in uuids:
            value = self._codec.encode_event(
                TRANSFERS, MoneyTransferRequested(uuid, f"from {uuid}", f"to {uuid}", amount)
            )
            headers = traced_headers(self._shop, TRANSFERS)
            self._writer.produce(TRANSFERS, value, uuid.encode(), headers)
        self._writer.flush(PATIENCE)

    def order(self, verb: Verb, uuid: str, **arguments: Any) -> None:
        """An operator orders; it is obeyed some time later."""
        made = orders.make(verb, [uuid], arguments, "ops", "a test", self._clock.now())
        orders.give(self.log, NAMES, made)

    def deliver_again(self) -> None:
        """As `pmstream replay --from origin`, while no router runs."""
        found, _ = starts.moved(app, self.log, PM, "origin")
        assert not found.faults
        starts.set_starts(app, self.log, found)

    def until(self, is_done: Callable[[], object]) -> None:
        """Lets all work until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not is_done():
            assert time.monotonic() < deadline, self.last_words()
            for each in list(self.alive.values()):
                each.turn()
            if self.bank_is_open:
                self._bank.turn()
            else:
                time.sleep(0.05)

    @property
    def spans(self) -> Spans:
        """What has arrived."""
        count = len(self._receiver.requests)
        if self._spans[0] != count:
            self._spans = count, Spans(self._receiver)
        return self._spans[1]

    def visible(self, *names: str) -> Sequence[Record]:
        """The committed records of topics."""
        known = self.log.topics()
        return [
            record
            for name in names
            for records in read_once(self.log, bounds(self.log, known[name]))
            for record in records
        ]

    def last_words(self) -> str:
        """Ends of the workers' logs."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{each.name}: {each.read_text()[-1_500:]}" for each in logs)

    def close(self) -> None:
        """Ends all."""
        for each in self.alive.values():
            for pid in each.pids().values():
                os.kill(pid, signal.SIGTERM)
        for name in list(self.alive):
            self.end(name)
        self._stack.close()


def sent_to() -> Iterator[str]:
    """Topics whose records carry the context of a span that sent them."""
    yield from (NAMES.inbox, COMMANDS, EVENTS)

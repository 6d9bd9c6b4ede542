"""One transfer is one trace, from who asked for it to the bank's last answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from pmstream import App
from pmstream.core.messages import Headers
from pmstream.examples import careful_transfer, transfer
from pmstream.examples.bank import BALANCES, EVENTS, OUTCOMES, Bank
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.log_errors import MustAbort, OutcomeUnknown
from pmstream.runtime.received import Received
from pmstream.runtime.roles import ROLES, make_worker
from pmstream.runtime.spans import Attribute
from pmstream.testing.running import Running
from tests.runtime.tracing.kit import (
    PRODUCER,
    SAMPLED,
    TRACE,
    UNSAMPLED,
    Collector,
    carried_by,
    id_of,
    parent_of,
    told,
    trace_of,
)

BANK = "process bank.account-commands"


class TracedRun(Running):
    """A run whose workers trace."""

    collector: Collector

    def _start(self, manager: str) -> None:
        for role in ROLES:
            self._workers[manager, role] = make_worker(
                self._app,
                manager,
                role,
                role,
                self.log,
                self._settings,
                self._clock,
                trail=self.collector.trail(),
            )


class Town:
    """An app that traces, and the bank beside it that does, too."""

    def __init__(self, app: App, folder: Path) -> None:
        self.collector, codec = Collector(), Codec(app)

        class Run(TracedRun):
            collector = self.collector

        self.app = Run(app, folder)
        log, compacted = self.app.log, {"cleanup.policy": "compact"}
        log.create_topics([TopicSpec(each, 3, compacted) for each in (BALANCES, OUTCOMES)])
        received = Received(self.collector.trail())
        self.bank = Bank(log, VirtualClock(), codec.decode, codec.encode_event, received)

    def transfer(self, headers: Headers) -> None:
        """Somebody asks for a transfer; all work until nothing moves."""
        self.app.produce(MoneyTransferRequested("t-1", "alice", "bob", 100), headers=headers)
        quiet = 0
        while quiet < 3:
            self.app.settle()
            moved = sum(self.bank.turn() for _ in range(5))
            quiet = 0 if moved else quiet + 1

    def events(self) -> list[Headers]:
        """Headers of the bank's answers."""
        reader = self.app.log.reader()
        reader.assign({TopicPartition(EVENTS, number): 0 for number in range(3)})
        found = reader.read(100, 0)
        reader.close()
        return [each.headers for each in found]


Make = Callable[[App], Town]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Make]:
    made: list[Town] = []

    def make(app: App) -> Town:
        made.append(Town(app, tmp_path))
        return made[0]

    yield make
    made[0].app.close()
    made[0].bank.close()
    made[0].collector.close()


def way(spans: list[ReadableSpan], span: ReadableSpan) -> list[str]:
    """Names from the first span of a trace to this one."""
    by_id = {id_of(each): each for each in spans}
    names = [span.name]
    while parent_of(span) != PRODUCER:
        span = by_id[parent_of(span)]
        names.insert(0, span.name)
    return names


def test_a_transfer_has_all_its_hops_under_one_trace_id(town: Make) -> None:
    made = town(transfer.app)

    made.transfer(SAMPLED)

    spans = [each for each in made.collector.spans if each.name != "commit"]
    assert {trace_of(each) for each in spans} == {TRACE}
    last = made.collector.named("process bank.accounts")[-1]
    assert told(last, Attribute.OUTCOME) == "ended"
    assert way(spans, last) == [
        "route bank.transfers",
        "process bank.transfers",
        "send bank.account-commands",
        BANK,
        "route bank.accounts",
        "process bank.accounts",
        "send bank.account-commands",
        BANK,
        "route bank.accounts",
        "process bank.accounts",
    ]
    of_the_process = [each for each in spans if told(each, Attribute.PROCESS_UUID) == "t-1"]
    assert len(of_the_process) == 5  # what Jaeger finds by the tag
    answered = {carried_by(each) for each in made.events()}
    assert answered == {(TRACE, id_of(each)) for each in made.collector.named(BANK)}


def test_a_confirmed_transfer_has_its_replies_in_the_same_trace(town: Make) -> None:
    made = town(careful_transfer.app)

    made.transfer(SAMPLED)

    replies = made.collector.named("process bank.careful-transfer.replies")
    sent = made.collector.named("send bank.account-commands")
    assert [parent_of(each) for each in replies] == [id_of(each) for each in sent]
    assert {trace_of(each) for each in replies} == {TRACE}


def test_an_unsampled_transfer_keeps_its_context_and_makes_no_span(town: Make) -> None:
    made = town(transfer.app)

    made.transfer(UNSAMPLED)

    assert {carried_by(each) for each in made.events()} == {(TRACE, PRODUCER)}
    assert not made.collector.spans


@pytest.mark.parametrize(
    ("error", "transaction"),
    [(MustAbort("refused"), "aborted"), (OutcomeUnknown("no answer"), "unknown")],
)
def test_what_the_bank_does_again_is_told_twice(
    town: Make, error: Exception, transaction: str
) -> None:
    made = town(transfer.app)
    made.app.log.inject("commit", error, who="bank.accounts-service.bank-0")

    made.transfer(SAMPLED)

    spans = made.collector.named(BANK)
    assert [told(each, Attribute.TRANSACTION) for each in spans] == [
        transaction,
        "committed",
        "committed",
    ]
    commits = [each for each in made.collector.named("commit") if told(each, Attribute.REASON)]
    assert [told(each, Attribute.REASON) for each in commits] == [str(error)]

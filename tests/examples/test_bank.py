"""The bank conserves money, whatever its transactions meet."""

from collections import Counter

import pytest

from pmstream.cli.demo_check import read_all
from pmstream.examples.accounts import OPENING_BALANCE
from pmstream.examples.bank import (
    BALANCES,
    COMMANDS,
    EVENTS,
    MEMBER,
    OUTCOMES,
    TRANSACTIONAL_ID,
    Bank,
    read_balances,
)
from pmstream.examples.messages import DepositMoney, MoneyDeposited, MoneyWithdrawn, WithdrawMoney
from pmstream.examples.transfer import app
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import Record, TopicSpec
from pmstream.runtime.log_errors import Again, Fenced, LogError, MustAbort, OutcomeUnknown
from pmstream.runtime.memory import MemoryLog

ACCOUNTS = ("alice", "bob", "carol")
ROUNDS = 20


class Crash(BaseException):
    """The process dies here."""


class World:
    """A bank, and commands that move 1 from each account to the next, again and again."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        self.codec = Codec(app)
        self.log.create_topics([TopicSpec(each, 3) for each in (COMMANDS, EVENTS)])
        compacted = {"cleanup.policy": "compact"}
        self.log.create_topics([TopicSpec(each, 3, compacted) for each in (BALANCES, OUTCOMES)])
        self.bank = self.new_bank()
        self.done = 0

    def new_bank(self) -> Bank:
        return Bank(self.log, self.clock, self.codec.decode, self.codec.encode_event)

    def send(self) -> None:
        """One round: each account gives, and gets more than it gave."""
        writer = self.log.writer()
        for account in ACCOUNTS:
            for command in (WithdrawMoney(account, "t", 1), DepositMoney(account, "t", 3)):
                self.done += 1
                encoded = self.codec.encode_command(command)
                id = f"t/{self.done}".encode()
                headers = (("command-id", id), ("correlation-id", b"c"), ("pm-x", b""))
                writer.produce(encoded.topic, encoded.value, encoded.key, headers)
        writer.flush(1)

    def run(self) -> None:
        """Rounds of commands and turns; a bank that died is started again."""
        for _ in range(ROUNDS + 20):
            if self.done < ROUNDS * 2 * len(ACCOUNTS):
                self.send()
            try:
                self.bank.turn()
            except Crash:
                self.bank = self.new_bank()

    def events(self) -> list[Record]:
        return read_all(self.log, self.clock, EVENTS)


def assert_exactly_once(world: World) -> None:
    events = world.events()
    ids = Counter(dict(each.headers)["event-id"] for each in events)
    expected = {f"t/{number}/done".encode() for number in range(1, world.done + 1)}
    assert ids.keys() == expected
    assert set(ids.values()) == {1}
    kinds = Counter(type(world.codec.decode(EVENTS, each.value or b"")) for each in events)
    assert kinds == {MoneyWithdrawn: world.done // 2, MoneyDeposited: world.done // 2}
    balance = OPENING_BALANCE + 2 * ROUNDS
    assert read_balances(world.log, world.clock) == dict.fromkeys(ACCOUNTS, balance)


def test_each_command_counts_once() -> None:
    world = World()

    world.run()

    assert_exactly_once(world)


FAILURES: list[tuple[str, LogError, bool]] = [
    ("produce", MustAbort("queue full"), False),
    ("flush", Again("still on the way"), False),
    ("flush", MustAbort("refused"), False),
    ("send_offsets", Again("coordinator away"), False),
    ("send_offsets", MustAbort("rebalanced"), False),
    ("send_offsets", Fenced("timed out"), False),
    ("commit", Again("answer lost"), True),
    ("commit", MustAbort("refused"), False),
    ("commit", OutcomeUnknown("not decided"), False),
    ("commit", OutcomeUnknown("decided, not heard"), True),
    ("abort", Again("coordinator away"), False),
    ("seek", Again("no leader"), False),
    ("committed", Again("pending"), False),
]


@pytest.mark.parametrize(("call", "error", "late"), FAILURES)
def test_each_command_counts_once_although_a_call_fails(
    call: str, error: LogError, late: bool
) -> None:
    world = World()
    world.send()
    world.bank.turn()
    if call in ("abort", "seek", "committed"):  # they come after another failure only
        world.log.inject("flush", MustAbort("refused"), who=TRANSACTIONAL_ID)
    who = MEMBER if call in ("seek", "committed") else TRANSACTIONAL_ID
    plan = world.log.inject(call, error, after=late, who=who)

    world.run()

    assert plan.hits == 1
    assert_exactly_once(world)


def test_each_command_counts_once_although_a_commit_is_refused_after_it_went_unanswered() -> None:
    world = World()
    world.send()
    world.bank.turn()
    plans = [
        world.log.inject("commit", error, after=late, who=TRANSACTIONAL_ID)
        for error, late in ((Again("answer lost"), True), (MustAbort("refused"), False))
    ]

    world.run()

    assert [plan.hits for plan in plans] == [1, 1]
    assert_exactly_once(world)


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["begin", "produce", "flush", "send_offsets", "commit"])
def test_each_command_counts_once_although_the_bank_dies(call: str, late: bool) -> None:
    world = World()
    plan = world.log.inject(call, Crash(), after=late, who=TRANSACTIONAL_ID)

    world.run()

    assert plan.hits == 1
    assert_exactly_once(world)


def test_a_second_bank_fences_the_first() -> None:
    world = World()
    world.send()
    world.bank.turn()

    second = world.new_bank()
    world.run()
    for _ in range(20):
        second.turn()

    assert_exactly_once(world)


def test_an_event_tells_what_caused_it() -> None:
    world = World()
    world.run()

    headers = dict(world.events()[0].headers)

    assert headers["event-id"] == (headers["causation-id"] or b"") + b"/done"
    assert headers["correlation-id"] == b"c"
    assert "pm-x" not in headers

"""CarefulTransfer with a bank that refuses: every path, and the money at its end."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pmstream.app import Names
from pmstream.core.lifecycle import Condition
from pmstream.examples.accounts import OPENING_BALANCE, account_of, decide
from pmstream.examples.bank import (
    BALANCES,
    OUTCOMES,
    TRANSACTIONAL_ID,
    Bank,
    read_balances,
)
from pmstream.examples.careful_transfer import CarefulTransfer, app
from pmstream.examples.messages import (
    DepositMoney,
    FailTransfer,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    TransferFailed,
    WithdrawMoney,
)
from pmstream.operate import instances
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import STEPS
from pmstream.runtime.log import TopicSpec
from pmstream.testing import Running, accepted, rejected, scenario

UUID, PM = "t-1", "careful-transfer"
REQUESTED = MoneyTransferRequested(UUID, "alice", "bob", 100)
WITHDRAW, DEPOSIT = WithdrawMoney("alice", UUID, 100), DepositMoney("bob", UUID, 100)
REFUND = DepositMoney("alice", UUID, 100)
WITHDRAWN = MoneyWithdrawn(UUID, "alice", 100)


def test_a_transfer_that_nobody_refuses_is_as_ever() -> None:
    story = scenario(CarefulTransfer)
    story.when(REQUESTED).then(WITHDRAW)
    story.when(WITHDRAWN).then_nothing()  # told before the reply: it waits
    story.when(accepted(WITHDRAW)).then(DEPOSIT)
    story.when(accepted(DEPOSIT)).then_nothing()
    story.when(MoneyDeposited(UUID, "bob", 100)).then_nothing().then_state(None)


def test_a_refused_withdrawal_fails_the_transfer() -> None:
    story = scenario(CarefulTransfer).given(REQUESTED)
    story.when(rejected(WITHDRAW, "too poor")).then(FailTransfer(UUID, "too poor"))
    story.when(accepted(FailTransfer(UUID, "too poor"))).then_nothing()
    story.when(TransferFailed(UUID, "too poor")).then_state(None)


def test_a_refused_deposit_sends_the_money_back_first() -> None:
    story = scenario(CarefulTransfer).given(REQUESTED).when(accepted(WITHDRAW))
    story.when(WITHDRAWN).then(DEPOSIT)
    story.when(rejected(DEPOSIT, "closed")).then(REFUND)
    story.when(accepted(REFUND)).then(FailTransfer(UUID, "closed"))
    story.when(MoneyDeposited(UUID, "alice", 100)).then_nothing()
    story.when(accepted(FailTransfer(UUID, "closed"))).then_state(None)
    story.when(TransferFailed(UUID, "closed")).then_nothing().then_state(None)


def test_a_refused_refund_waits_for_a_person() -> None:
    story = scenario(CarefulTransfer).given(REQUESTED).when(accepted(WITHDRAW))
    story.when(WITHDRAWN).when(rejected(DEPOSIT, "closed")).then(REFUND)
    story.when(rejected(REFUND, "closed, too")).then_nothing()
    story.advance(timedelta(days=10)).then_nothing()


def test_a_silent_bank_is_asked_again() -> None:
    story = scenario(CarefulTransfer).given(REQUESTED)
    story.advance(timedelta(seconds=34)).then_nothing()
    story.advance(timedelta(seconds=2)).then(WITHDRAW)


@pytest.mark.parametrize(
    ("command", "asked", "refusal"),
    [
        (WithdrawMoney("a", "t", 5), True, ""),
        (WithdrawMoney("a", "t", 11), True, "a has 10, not 11"),
        (WithdrawMoney("a", "t", 11), False, ""),
        (DepositMoney("closed-1", "t", 1), True, "closed-1 is closed"),
        (DepositMoney("closed-1", "t", 1), False, ""),
        (WithdrawMoney("closed-1", "t", 1), True, ""),
    ],
)
def test_the_bank_refuses_overdrafts_and_deposits_to_closed_accounts_if_asked(
    command: Any, asked: bool, refusal: str
) -> None:
    done = decide(command, 10, asked=asked)

    assert done.refusal == refusal
    assert (done.event is None) == bool(refusal)
    assert done.account == ("" if refusal else account_of(command))


class Town:
    """The app, and the real bank beside it."""

    def __init__(self, running: Running) -> None:
        self.app, self._codec, self._clock = running, Codec(app), VirtualClock()
        compacted = {"cleanup.policy": "compact"}
        running.log.create_topics([TopicSpec(each, 3, compacted) for each in (BALANCES, OUTCOMES)])
        self.bank = self._open()

    def _open(self) -> Bank:
        return Bank(self.app.log, self._clock, self._codec.decode, self._codec.encode_event)

    def settle(self) -> None:
        """App and bank in turn, until nothing moves."""
        quiet = 0
        while quiet < 3:
            self.app.settle()
            moved = sum(self.bank.turn() for _ in range(5))
            quiet = 0 if moved else quiet + 1

    def reopen(self) -> None:
        """The bank dies and comes back."""
        self.bank.close()
        self.bank = self._open()

    def money(self) -> dict[str, int]:
        """What each account has more than at its opening."""
        found = read_balances(self.app.log, self._clock)
        return {account: balance - OPENING_BALANCE for account, balance in found.items()}


@pytest.fixture
def town(pm_run: Callable[..., Running]) -> Iterator[Town]:
    town = Town(pm_run(app))
    yield town
    town.bank.close()


def transfer(number: int, debit: str, credit: str, amount: int) -> MoneyTransferRequested:
    return MoneyTransferRequested(f"t-{number}", debit, credit, amount)


@pytest.mark.parametrize("step", [None, *STEPS])
def test_no_money_is_lost_or_made_whoever_refuses_and_dies(town: Town, step: str | None) -> None:
    if step is not None:
        town.app.kill_at(step)
    town.app.produce(transfer(1, "alice", "bob", 100))
    town.settle()
    town.app.produce(
        transfer(2, "alice", "bob", OPENING_BALANCE),  # alice has 100 less by now
        transfer(3, "carol", "closed-7", 30),
    )
    town.settle()
    town.reopen()
    town.app.read_again()
    town.settle()

    assert town.money() == {"alice": -100, "bob": 100, "carol": 0}
    assert [type(each) for each in town.app.commands_of("t-1")] == [WithdrawMoney, DepositMoney]
    assert [type(each) for each in town.app.commands_of("t-2")] == [WithdrawMoney, FailTransfer]
    assert [type(each) for each in town.app.commands_of("t-3")] == [
        WithdrawMoney,
        DepositMoney,
        DepositMoney,
        FailTransfer,
    ]
    assert all(town.app.state(PM, f"t-{number}") is None for number in (1, 2, 3))


class Crash(BaseException):
    """The bank dies here."""


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["begin", "produce", "flush", "send_offsets", "commit"])
def test_replies_and_money_count_together_although_the_bank_dies(
    town: Town, call: str, late: bool
) -> None:
    town.app.produce(transfer(1, "alice", "bob", 100), transfer(2, "carol", "closed-7", 30))
    plan = town.app.log.inject(call, Crash(), after=late, who=TRANSACTIONAL_ID)
    with pytest.raises(Crash):
        town.settle()

    town.reopen()
    town.settle()

    assert plan.hits == 1
    assert town.money() == {"alice": -100, "bob": 100, "carol": 0}
    assert [type(each) for each in town.app.commands_of("t-1")] == [WithdrawMoney, DepositMoney]
    assert len(town.app.commands_of("t-2")) == 4
    assert all(town.app.state(PM, f"t-{number}") is None for number in (1, 2))


def test_a_refund_that_is_refused_is_parked(town: Town) -> None:
    town.app.produce(transfer(1, "closed-1", "closed-2", 30))
    town.settle()

    [parked] = instances.find(town.app.log, Names("bank", PM), [Condition.PARKED])
    assert parked.reason == "the refund was refused: closed-1 is closed"


def test_a_command_that_comes_again_is_answered_again_but_not_done_again(town: Town) -> None:
    town.app.produce(transfer(1, "alice", "bob", 100))
    town.app.advance(timedelta(seconds=36))  # nobody answered in 30 s, so it was sent again
    assert len(town.app.commands(WithdrawMoney)) == 2

    town.reopen()
    town.settle()

    assert town.money() == {"alice": -100, "bob": 100}
    assert town.app.state(PM, "t-1") is None

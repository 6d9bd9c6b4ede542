"""The scenario tells what a process manager does, and what is wrong when it does not."""

import random
import time
from datetime import timedelta
from typing import Any

import pytest
from msgspec import Struct

from pmstream import ProcessManager, failure, routing, timers
from pmstream.errors import CommandRejected, NotStarted
from pmstream.examples.messages import (
    DepositMoney,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    WithdrawMoney,
)
from pmstream.examples.transfer import Transfer, TransferMoney
from pmstream.testing import accepted, rejected, scenario

REQUESTED = MoneyTransferRequested(
    transfer_uuid="t-1", debit_account="alice", credit_account="bob", amount=100
)
WITHDRAWN = MoneyWithdrawn(transfer_uuid="t-1", account_number="alice", amount=100)


class Count(Struct, frozen=True):
    n: int = 0


class Asked(Struct, frozen=True):
    uuid: str
    what: str = ""


class Ask(Struct, frozen=True):
    what: str


class Asking(ProcessManager[Count]):
    """Does what its events say."""

    name = "asking"
    state = Count

    def interested(self, event: Asked) -> routing.Answer:
        if event.what == "early":
            return routing.ContinueExisting(event.uuid)
        return routing.Start(event.uuid.split("+"))

    def handle(self, state: Count, event: Any) -> Any:
        if isinstance(event, timers.TimerFired):
            return Ask(event.name)
        if event.what == "random":
            return Ask(str(random.random()))
        if event.what == "clock":
            return Ask(str(time.perf_counter_ns()))
        if event.what == "timer":
            return timers.Set("remind", after=timedelta(hours=1))
        return [Ask("one"), Ask("two")]

    def apply(self, state: Count, event: Any) -> Count:
        return Count(state.n + 1)

    def error(self, error: Exception, failed: Any) -> failure.Answer:
        if isinstance(error, CommandRejected):
            return failure.SkipDiscardPending()
        return failure.Skip() if isinstance(error, NotStarted) else failure.Stop(error)


def test_a_transfer_is_told_in_a_few_lines() -> None:
    (
        scenario(TransferMoney)
        .when(REQUESTED)
        .then(WithdrawMoney("alice", "t-1", 100))
        .when(WITHDRAWN)
        .then(DepositMoney("bob", "t-1", 100))
        .then_state(Transfer("alice", "bob", 100, "deposit"))
        .when(MoneyDeposited(transfer_uuid="t-1", account_number="bob", amount=100))
        .then_nothing()
        .then_state(None)
    )


def test_what_was_given_calls_for_nothing_that_is_looked_at() -> None:
    scenario(TransferMoney).given(REQUESTED).then_nothing().when(WITHDRAWN).then(
        DepositMoney("bob", "t-1", 100)
    )


def test_other_commands_than_expected_are_shown_side_by_side() -> None:
    with pytest.raises(AssertionError) as told:
        scenario(TransferMoney).when(REQUESTED).then(WithdrawMoney("alice", "t-1", 99))

    lines = str(told.value).splitlines()
    assert any(line.startswith("- Withdraw") and "amount=99" in line for line in lines)
    assert any(line.startswith("+ Withdraw") and "amount=100" in line for line in lines)


def test_another_state_than_expected_is_shown() -> None:
    with pytest.raises(AssertionError, match=r"- Count\(n=2\)"):
        scenario(Asking).when(Asked("a")).then_state(Count(2))


@pytest.mark.parametrize("what", ["random", "clock"])
def test_a_random_number_or_a_clock_in_a_callback_is_found_and_shown(what: str) -> None:
    with pytest.raises(AssertionError, match="answered differently to the same input") as told:
        scenario(Asking).when(Asked("a", what))

    lines = str(told.value).splitlines()
    assert any(line.startswith("- Ask(") for line in lines)
    assert any(line.startswith("+ Ask(") for line in lines)


def test_time_passes_only_when_told_and_timers_fire() -> None:
    (
        scenario(Asking)
        .when(Asked("a", "timer"))
        .advance(timedelta(minutes=59))
        .then_nothing()
        .advance(timedelta(minutes=1))
        .then(Ask("remind"))
        .then_state(Count(2))
        .advance(timedelta(days=1))
        .then_nothing()
    )


def test_replies_go_to_the_command_that_they_name() -> None:
    story = scenario(Asking(dispatch="confirm")).when(Asked("a")).then(Ask("one"))

    story.when(accepted(Ask("one"))).then(Ask("two"))
    story.when(rejected(Ask("two"), "no")).then_nothing().then_raises(CommandRejected)

    with pytest.raises(AssertionError, match="was not sent"):
        story.when(accepted(Ask("never")))


def test_what_error_was_asked_about_can_be_told() -> None:
    story = scenario(Asking).when(Asked("a", "early")).then_raises(NotStarted).then_state(None)

    with pytest.raises(AssertionError, match="was asked about: NotStarted"):
        story.then_raises(CommandRejected)


def test_a_process_manager_that_stops_says_so() -> None:
    class Failing(Asking):
        def handle(self, state: Count, event: Any) -> Any:
            raise RuntimeError("broken")

    story = scenario(Failing).when(Asked("a")).then_stopped()

    with pytest.raises(AssertionError, match=r"the process manager stopped: .* broken"):
        story.then_nothing()
    with pytest.raises(AssertionError, match="did not stop"):
        scenario(Asking).when(Asked("a")).then_stopped()


def test_of_several_processes_the_one_that_is_meant_is_named() -> None:
    story = scenario(Asking).when(Asked("a+b"))

    story.then_state(Count(1), "a").then_state(Count(1), "b").then_state(None, "c")
    with pytest.raises(AssertionError, match="say which process"):
        story.then_state(Count(1))

"""run(app): a whole app in memory, as authors' tests drive it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct, structs

from pmstream import App, ProcessManager, Topic, failure, routing, timers
from pmstream.errors import CommandRejected, ConfigurationError, Stopped
from pmstream.examples.messages import (
    DepositMoney,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    WithdrawMoney,
)
from pmstream.examples.transfer import Transfer, TransferMoney, app
from pmstream.runtime.commit import STEPS
from pmstream.testing import SILENT, Rejected, Running, run

REQUESTED = MoneyTransferRequested("t-1", "alice", "bob", 100)
WITHDRAW, DEPOSIT = WithdrawMoney("alice", "t-1", 100), DepositMoney("bob", "t-1", 100)
PM = "transfer-money"


def accounts(command: Any) -> Any:
    if isinstance(command, WithdrawMoney):
        return MoneyWithdrawn(command.transfer_uuid, command.account_number, command.amount)
    return [MoneyDeposited(command.transfer_uuid, command.account_number, command.amount)]


def only_withdrawals(command: Any) -> Any:
    return accounts(command) if isinstance(command, WithdrawMoney) else SILENT


@pytest.fixture
def bank() -> Iterator[Running]:
    with run(app, accounts) as running:
        yield running


def test_an_app_runs_from_its_first_event_to_its_last_command(bank: Running) -> None:
    bank.produce(REQUESTED)
    bank.settle()

    assert bank.commands() == [WITHDRAW, DEPOSIT]
    assert bank.commands(DepositMoney) == [DEPOSIT]
    assert bank.commands_of("t-1") == [WITHDRAW, DEPOSIT]
    assert bank.state(PM, "t-1") is None, "it has ended"
    assert bank.dead_letters(PM) == []


def test_a_state_is_seen_while_a_service_is_silent() -> None:
    with run(app, only_withdrawals) as bank:
        bank.produce(REQUESTED)
        bank.settle()

        assert bank.state(PM, "t-1") == Transfer("alice", "bob", 100, "deposit")
        assert bank.state(PM, "another") is None


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_step_of_a_commit_changes_nothing(bank: Running, step: str) -> None:
    bank.kill_at(step)
    bank.produce(REQUESTED)
    bank.settle()

    assert bank.commands() == [WITHDRAW, DEPOSIT]


@pytest.mark.parametrize("kill", [False, True])
def test_a_restart_goes_on_where_it_was(kill: bool) -> None:
    with run(app) as bank:
        bank.produce(REQUESTED)
        bank.settle()
        bank.restart(kill=kill)
        bank.produce(MoneyWithdrawn("t-1", "alice", 100))
        bank.settle()

        assert bank.commands() == [WITHDRAW, DEPOSIT]


def test_events_that_are_read_again_do_not_count_twice(bank: Running) -> None:
    bank.produce(REQUESTED)
    bank.settle()
    bank.read_again()
    bank.settle()

    assert bank.commands() == [WITHDRAW, DEPOSIT]


class Asked(Struct, frozen=True):
    __schema__: ClassVar[str] = "kit.Asked"
    id: str


class Remind(Struct, frozen=True):
    __schema__: ClassVar[str] = "kit.Remind"
    id: str
    why: str


class Story(Struct, frozen=True):
    reminders: int = 0


class Reminder(ProcessManager[Story]):
    """Reminds every hour, three times; a rejected reminder is sent once more in other words."""

    name = "reminder"
    state = Story

    def interested(self, event: Any) -> routing.Answer:
        return routing.Start(event.id)

    def handle(self, state: Story, event: Any, metadata: Any) -> Any:
        if isinstance(event, Asked):
            return timers.Set("hour", after=3600)
        again = [timers.Set("hour", after=3600)] if state.reminders < 2 else []
        return [Remind(metadata.process_uuid, "time"), *again]

    def apply(self, state: Story, event: Any) -> Story:
        fired = isinstance(event, timers.TimerFired)
        return structs.replace(state, reminders=state.reminders + fired)

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        if isinstance(error, CommandRejected) and failed.why == "time":
            return failure.ContinueWith([Remind(failed.id, str(error.reason))])
        return failure.Stop(error)


def reminders(**options: Any) -> App:
    return App(
        name="kit",
        events={"kit.asked": Topic([Asked], format="json", type_header="type")},
        commands={"kit.remind": Topic({Remind: "id"}, format="json", type_header="type")},
        process_managers=[Reminder(**options)],
    )


def test_timers_fire_when_time_passes_each_at_its_time_and_not_before() -> None:
    with run(reminders()) as kit:
        kit.produce(Asked("a"))
        kit.advance(timedelta(minutes=59))
        before = kit.commands()
        began = kit.now
        kit.advance(timedelta(hours=1))
        one = kit.commands()
        kit.advance(timedelta(days=1))

        assert (before, one) == ([], [Remind("a", "time")])
        assert kit.commands() == [Remind("a", "time")] * 3
        assert kit.now - began == 25 * 3_600_000, "time passes only as told"


def test_a_service_confirms_and_rejects() -> None:
    def service(command: Remind) -> Any:
        return Rejected("asleep") if command.why == "time" else None

    with run(reminders(dispatch="confirm"), service) as kit:
        kit.produce(Asked("a"))
        kit.advance(timedelta(hours=1))

        assert kit.commands() == [Remind("a", "time"), Remind("a", "asleep")]


def test_a_reply_can_be_given_by_hand() -> None:
    with run(reminders(dispatch="confirm")) as kit:
        kit.produce(Asked("a"))
        kit.advance(timedelta(hours=1))
        kit.reply(Remind("a", "time"), accepted=False, reason="away")
        kit.settle()

        assert kit.commands() == [Remind("a", "time"), Remind("a", "away")]


def test_a_process_manager_that_stops_says_so() -> None:
    with run(reminders(dispatch="confirm"), lambda _command: Rejected("no")) as kit:
        kit.produce(Asked("a"))
        with pytest.raises(Stopped, match=r"reminder stops at process a.*CommandRejected"):
            kit.advance(timedelta(hours=1))


def test_what_is_given_wrongly_is_told(bank: Running) -> None:
    with pytest.raises(AssertionError, match="Asked stands in none of the app's topics"):
        bank.produce(Asked("a"))
    with pytest.raises(AssertionError, match="was not sent; sent so far: \\[\\]"):
        bank.reply(WITHDRAW)


def test_what_cannot_be_decoded_is_a_dead_letter(bank: Running) -> None:
    writer = bank.log.writer()
    writer.produce("bank.transfers", b"?", partition=0)
    writer.flush(1)
    bank.settle()

    [letter] = bank.dead_letters(PM)
    assert dict(letter.headers)["pm-source"] == b"bank.transfers-0-0"


def test_an_app_whose_process_managers_ask_each_other_for_ever_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pmstream.testing.running.MOST_TURNS", 100)

    def again(_command: Any) -> Any:
        return MoneyWithdrawn("t-1", "alice", 100)

    with run(app, again) as bank:
        bank.produce(REQUESTED)
        with pytest.raises(AssertionError, match="it does not settle in 100 turns"):
            bank.settle()


def test_the_plugin_gives_a_factory_that_closes(pm_run: Any, tmp_path: Path) -> None:
    first, second = pm_run(app, accounts), pm_run(app)
    for each in (first, second):
        each.produce(REQUESTED)
        each.settle()

    assert len(first.commands()) == 2
    assert len(second.commands()) == 1
    assert {each.name for each in tmp_path.iterdir()} == {"pm-0", "pm-1"}


def test_an_app_in_direct_mode_is_refused_with_the_way_out(tmp_path: Path) -> None:
    keyed = App(
        name="direct",
        schemas=app.schemas,
        events={"bank.transfers": app.events["bank.transfers"]},
        commands=app.commands,
        process_managers=[TransferMoney(keyed="bank.transfers")],
    )
    with pytest.raises(ConfigurationError, match="give them the app without the option keyed"):
        Running(keyed, tmp_path)

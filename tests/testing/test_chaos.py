"""scenario(...).chaos(): a good process manager passes, a bad one is found and told."""

from datetime import timedelta
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from pmstream import App, ProcessManager, routing, timers
from pmstream.app import Topic
from pmstream.examples.messages import (
    DepositMoney,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
)
from pmstream.examples.transfer import TransferMoney
from pmstream.testing import scenario


class Opened(Struct, frozen=True):
    __schema__: ClassVar[str] = "kit.Opened"
    id: str


class Filled(Struct, frozen=True):
    __schema__: ClassVar[str] = "kit.Filled"
    id: str
    n: int


class Tell(Struct, frozen=True):
    __schema__: ClassVar[str] = "kit.Tell"
    id: str
    total: int


class Sum(Struct, frozen=True):
    total: int = 0


class Adding(ProcessManager[Sum]):
    """Adds up; `hold` lets what comes early wait."""

    name = "adding"
    state = Sum
    hold: int | None = 60

    def interested(self, event: Any) -> routing.Answer:
        if isinstance(event, Opened):
            return routing.Start(event.id)
        return (
            routing.ContinueExisting(event.id, hold=self.hold)
            if self.hold
            else routing.Start(event.id)
        )

    def handle(self, state: Sum, event: Any) -> Any:
        if isinstance(event, Opened):
            return [Tell(event.id, -1), timers.Set("end", after=60)]
        if isinstance(event, timers.TimerFired):
            return Tell("end", state.total)
        return Tell(event.id, state.total + event.n)

    def apply(self, state: Sum, event: Any) -> Sum:
        return Sum(state.total + event.n) if isinstance(event, Filled) else state


class Careless(Adding):
    """Takes what comes first for the beginning."""

    hold = None


class Remembering(Adding):
    """Keeps state beside its state: what a crash forgets, and a second run counts again."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[int] = set()

    def handle(self, state: Sum, event: Any) -> Any:
        if isinstance(event, Filled) and event.n == 2:
            if len(self.seen) > 1:
                return None
            self.seen.add(len(self.seen))
        return super().handle(state, event)


STORY = (Opened("a"), Filled("a", 1), Filled("a", 2), Opened("b"), Filled("b", 5))


@pytest.mark.parametrize("seed", [1, 2])
def test_a_transfer_passes(seed: int) -> None:
    told = scenario(TransferMoney).given(MoneyTransferRequested("t", "alice", "bob", 5))

    told.when(MoneyWithdrawn("t", "alice", 5)).then(DepositMoney("bob", "t", 5))
    told.when(MoneyDeposited("t", "bob", 5)).then_nothing().chaos(seed)


def test_timers_are_part_of_the_story() -> None:
    scenario(Adding).given(*STORY).advance(timedelta(minutes=2)).then(
        Tell("end", 3), Tell("end", 5)
    ).chaos()


def test_who_holds_early_events_bears_another_order() -> None:
    scenario(Adding).given(*STORY).chaos(1, reorder=True)


def test_events_of_one_topic_keep_their_order() -> None:
    """Who bears no other order passes, as long as nothing may overtake."""
    topic = Topic([Opened, Filled], format="json", type_header="type")
    tell = Topic({Tell: "id"}, format="json", type_header="type")
    app = App(
        name="one", events={"all": topic}, commands={"told": tell}, process_managers=[Careless()]
    )
    for seed in range(3):
        scenario(Careless).given(*STORY).chaos(seed, reorder=True, app=app)


def test_who_does_not_is_told_the_order_and_the_remedy() -> None:
    with pytest.raises(AssertionError) as found:
        scenario(Careless).given(*STORY).chaos(1, reorder=True)

    text = str(found.value)
    assert text.startswith("chaos (seed 1, killed at '")
    assert "process a has other commands (- expected, + found):" in text
    assert "the events came in this order: " in text
    assert "ContinueExisting(..., hold=...)" in text
    assert "\n- Tell(" in text
    assert "\n+ Tell(" in text


def test_who_keeps_state_beside_the_state_is_found() -> None:
    with pytest.raises(AssertionError, match=r"chaos \(seed 1, killed at '\w+'\): process a"):
        scenario(Remembering).given(*STORY).chaos(1)


def test_a_story_that_stopped_is_not_told_again() -> None:
    class Stopping(Adding):
        def handle(self, state: Sum, event: Any) -> Any:
            raise ZeroDivisionError

    with pytest.raises(AssertionError, match="the process manager stopped"):
        scenario(Stopping).given(*STORY).chaos()


@pytest.mark.parametrize("seed", range(6))
def test_a_story_of_one_event_is_killed_at_every_step(seed: int) -> None:
    """It says so itself when nobody was."""
    scenario(Adding).given(Opened("a")).chaos(seed)


class Quiet(Adding):
    """Its state depends on the order, its commands do not."""

    hold = None

    def handle(self, state: Sum, event: Any) -> Any:
        return None

    def apply(self, state: Sum, event: Any) -> Sum:
        return Sum(state.total * 10 + (event.n if isinstance(event, Filled) else 7))


def test_another_state_is_found_although_the_commands_agree() -> None:
    with pytest.raises(AssertionError, match=r"process a has other state \(- expected"):
        scenario(Quiet).given(*STORY).chaos(1, reorder=True)


class Strict(Adding):
    """What comes before its start stops it."""

    def interested(self, event: Any) -> Any:
        strict = isinstance(event, Filled)
        return routing.ContinueExisting(event.id) if strict else routing.Start(event.id)


def test_one_that_stops_in_another_order_names_seed_and_step() -> None:
    with pytest.raises(
        AssertionError, match=r"chaos \(seed 1, killed at '\w+'\): it stopped: .*Not"
    ):
        scenario(Strict).given(*STORY).chaos(1, reorder=True)

"""Timers: set, replaced, cancelled, fired once, queued behind unfinished work, and their ids."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pmstream.core import failure, timers
from pmstream.core.engine import Due, Outcome
from pmstream.core.instance import Timer
from pmstream.core.lifecycle import Condition, DueKind
from pmstream.core.messages import Metadata
from pmstream.core.routing import Route
from pmstream.core.timers import Cancel, Set, TimerFired
from tests.core.kit import START, UUID, Do, Happened, Scripted, Seen, answers
from tests.core.shell import Shell


class Alarmed(Scripted):
    """Asks for what `asked` says when an event comes; a fired timer sends a command."""

    asked: Any = ()

    def handle(self, state: Seen, event: Any, metadata: Metadata) -> Any:
        if not isinstance(event, TimerFired):
            return [*super().handle(state, event, metadata), *self.asked]
        self.metadata.append(metadata)
        if self.broken and event.name == "breaks":
            raise RuntimeError("a timer's handler")
        return [Do(f"{event.name} at {event.due.timestamp():.0f}")]

    def apply(self, state: Seen, event: Any, *args: Any) -> Seen:
        return Seen((*state.names, event.name))


def alarmed(*asked: Any, error: Any = None, **options: Any) -> Shell:
    manager = Alarmed(error, **options)
    manager.asked = asked
    shell = Shell(manager)
    shell.arrive(Happened("first"))
    manager.asked = ()
    return shell


def pending(shell: Shell) -> dict[str, Timer]:
    assert shell.instance is not None
    return shell.instance.timers.pending


def test_a_timer_fires_once_when_it_is_due_and_not_before() -> None:
    shell = alarmed(Set("remind", after=timedelta(seconds=5)))

    assert shell.advance(4_999) == []
    assert shell.advance(1) == [Outcome.HANDLED]

    assert shell.emitted == [f"remind at {START // 1000 + 5}"]
    assert shell.state == Seen(("first", "remind"))
    assert not pending(shell)
    assert shell.advance(100_000) == []


def test_a_fired_timers_command_has_an_id_of_its_own_and_a_timers_metadata() -> None:
    shell = alarmed(Set("remind", after=5))

    shell.advance(5_000)

    command, metadata = shell.commands[0], shell.manager.metadata[-1]
    assert command.id == f"{UUID}/orders-2-0/timer-remind-1/0"
    assert metadata.event_id == f"{UUID}/orders-2-0/timer-remind-1"
    assert metadata.correlation_id == "orders-2-0"
    assert (metadata.topic, metadata.partition, metadata.offset) == ("orders", 2, 0)
    assert metadata.timestamp == START + 5_000


def test_set_replaces_the_timer_of_the_same_name_and_counts_on() -> None:
    shell = alarmed(Set("remind", after=5), Set("remind", after=9))

    assert shell.advance(5_000) == []
    shell.step(Due(DueKind.TIMER, UUID, "remind"))
    assert shell.advance(4_000) == [Outcome.HANDLED]

    assert shell.commands[0].id.endswith("/timer-remind-2/0")
    assert len(shell.commands) == 1


def test_cancel_forgets_a_timer_and_may_name_one_that_is_not_set() -> None:
    shell = alarmed(Set("remind", after=5), Cancel("remind"), Cancel("never"))

    assert not pending(shell)
    assert shell.advance(9_000) == []


def test_stop_cancels_all_timers() -> None:
    shell = alarmed(Set("one", after=5), Set("two", after=6))

    shell.arrive(Happened("end"), Route.STOP)

    assert shell.step(Due(DueKind.TIMER, UUID, "one")).outcome is Outcome.IGNORED
    assert not shell.emitted


def test_a_due_timer_waits_behind_unfinished_work_and_stays_listed() -> None:
    shell = alarmed(Set("remind", after=5), error=answers(failure.Park()))
    shell.arrive(Happened("failing", (), "handle"))

    assert shell.advance(5_000) == [Outcome.QUEUED]

    assert shell.waiting == ["remind"]
    assert pending(shell)["remind"].queued
    assert shell.advance(5_000) == []  # it does not come due again while it waits


def test_a_queued_timer_that_was_replaced_meanwhile_is_dropped_at_its_turn() -> None:
    shell = alarmed(Set("remind", after=5), error=answers(failure.Retry(delay=10)))
    assert isinstance(shell.manager, Alarmed)
    shell.arrive(Happened("failing", (), "handle"))
    shell.advance(5_000)
    shell.manager.asked = [Set("remind", after=60)]
    shell.manager.broken = False

    shell.advance(5_000)

    assert shell.outcomes[-2:] == [Outcome.HANDLED, Outcome.IGNORED]
    assert not pending(shell)["remind"].queued
    assert not shell.emitted


def test_a_timer_whose_handler_fails_stays_until_it_is_worked_on() -> None:
    shell = alarmed(Set("breaks", after=5), error=answers(failure.Retry(delay=1)))

    assert shell.advance(5_000) == [Outcome.RETRYING]
    assert shell.condition is Condition.RETRYING
    assert pending(shell)["breaks"].queued
    shell.manager.broken = False
    assert shell.advance(1_000) == [Outcome.HANDLED]

    assert not pending(shell)
    assert [each.id for each in shell.commands] == [f"{UUID}/orders-2-0/timer-breaks-1/0"]


def test_a_timer_that_is_skipped_is_gone() -> None:
    shell = alarmed(Set("breaks", after=5), error=answers(failure.Skip()))

    assert shell.advance(5_000) == [Outcome.SKIPPED]

    assert not pending(shell)
    assert shell.state == Seen(("first",))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Set("x"), "give either after or at"),
        (Set("x", after=1, at=datetime.now(UTC)), "give either after or at"),
        (Set("x", after=-1), "after is -1"),
        (Set("x", after="soon"), "neither a timedelta nor seconds"),  # type: ignore[arg-type]
        (Set("x", at=datetime(2030, 1, 1)), "no time zone"),  # noqa: DTZ001 - the fault
        (Set("x", at=datetime(9999, 1, 1, tzinfo=UTC)), "out of range"),
        (Set("", after=1), "printable characters"),
        (Set("a\nb", after=1), "printable characters"),
        (Set(7, after=1), "a timer's name is text"),  # type: ignore[arg-type]
    ],
)
def test_an_illegal_timer_fails_the_event(asked: Set, words: str) -> None:
    shell = alarmed(asked, error=answers(failure.Skip()))

    assert words in str(shell.manager.failures[0][0])
    assert shell.record is None


def test_too_many_timers_fail_the_event() -> None:
    asked = [Set(str(n), after=1) for n in range(3)]

    shell = alarmed(*asked, error=answers(failure.Skip()), timers_limit=2)

    assert "timers_limit is 2" in str(shell.manager.failures[0][0])


def test_a_time_that_has_passed_is_due_at_once() -> None:
    shell = alarmed(timers.Set("late", at=datetime(2001, 1, 1, tzinfo=UTC)))

    assert shell.advance(0) == [Outcome.HANDLED]

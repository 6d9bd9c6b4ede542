"""5. Time: timers, timeouts, early and late events."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pmstream import failure, routing
from pmstream.core.timers import Cancel, Set, TimerFired
from pmstream.errors import AlreadyCompleted, EventTimeout, NotStarted
from tests.conformance.kit import Changed, Closed, Do, Memo, Opened, Play, Scripted, both

HOUR = timedelta(hours=1)


def timed(*given: Any, **options: Any) -> Scripted:
    """Its first event sets these timers; each one that fires is a command, numbered by its name."""

    def handle(_state: Any, event: Any, metadata: Any) -> Any:
        if isinstance(event, TimerFired):
            return Do(metadata.process_uuid, int(event.name))
        return given if isinstance(event, Opened) else None

    return Scripted(handle=handle, **options)


def test_a_timer_fires_when_it_is_due_and_once(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR)))
    run.produce(Opened("a"))
    run.advance(HOUR - timedelta(seconds=1))
    before = run.commands()
    run.advance(timedelta(days=1))
    assert (before, run.commands()) == ([], [Do("a", 1)])


@both
def test_a_timer_survives_a_restart(play: Play) -> None:
    run = play(timed(Set("1", after=3.0)))
    run.produce(Opened("a"))
    run.settle()
    run.restart()
    run.advance(timedelta(seconds=4))
    assert run.commands() == [Do("a", 1)]


def test_timers_fire_in_the_order_of_their_times(play: Play) -> None:
    run = play(timed(Set("3", after=3 * HOUR), Set("1", after=HOUR), Set("2", after=2 * HOUR)))
    run.produce(Opened("a"))
    run.advance(timedelta(days=1))
    assert [each.n for each in run.commands()] == [1, 2, 3]


def test_a_timer_may_be_set_at_a_time_of_day(play: Play) -> None:
    at = datetime.fromtimestamp(1_700_000_000, UTC) + HOUR
    run = play(timed(Set("1", at=at)))
    run.produce(Opened("a"))
    run.advance(2 * HOUR)
    assert run.commands() == [Do("a", 1)]


def test_a_timer_in_the_past_fires_at_once(play: Play) -> None:
    run = play(timed(Set("1", at=datetime(2020, 1, 1, tzinfo=UTC))))
    run.produce(Opened("a"))
    run.advance(timedelta(seconds=1))
    assert run.commands() == [Do("a", 1)]


def test_set_replaces_the_timer_of_the_same_name(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR), Set("1", after=3 * HOUR)))
    run.produce(Opened("a"))
    run.advance(2 * HOUR)
    before = run.commands()
    run.advance(2 * HOUR)
    assert (before, run.commands()) == ([], [Do("a", 1)])


def test_cancel_forgets_a_timer(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR), Cancel("1"), Cancel("never set")))
    run.produce(Opened("a"))
    run.advance(timedelta(days=1))
    assert run.commands() == []


def test_the_end_of_a_process_cancels_its_timers(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR)))
    run.produce(Opened("a"), Closed("a"))
    run.advance(timedelta(days=1))
    assert run.commands() == []


def test_a_timer_of_an_earlier_life_does_not_fire_in_the_next(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR)))
    run.produce(Opened("a"))
    run.advance(HOUR / 2)
    run.produce(Closed("a"), Opened("a"))
    run.advance(HOUR * 3 / 4)
    before = run.commands()
    run.advance(HOUR)
    assert (before, run.commands()) == ([], [Do("a", 1)])


def test_a_timer_that_fires_is_handled_and_applied_like_an_event(play: Play) -> None:
    run = play(timed(Set("1", after=HOUR)))
    run.produce(Opened("a", 4))
    run.advance(2 * HOUR)
    assert run.state("pm", "a") == Memo(2, -1)


def test_more_timers_than_the_limit_are_a_failure_of_the_event(play: Play) -> None:
    errors: list[str] = []

    def error(raised: Any) -> Any:
        errors.append(str(raised))
        return failure.Skip()

    run = play(timed(Set("1", after=1), Set("2", after=1), timers_limit=1, error=error))
    run.produce(Opened("a"))
    run.settle()
    assert errors == ["2 timers in one process; timers_limit is 1"]


@pytest.mark.parametrize("slow", ["handle", "apply"])
def test_a_callback_that_exceeds_event_timeout_is_interrupted(play: Play, slow: str) -> None:
    errors: list[Any] = []

    def sleeping() -> None:
        time.sleep(30)

    def error(raised: Any) -> Any:
        errors.append(raised)
        return failure.Skip()

    given: dict[str, Any] = {slow: sleeping}
    run = play(Scripted(**given, error=error, event_timeout=0.1))
    run.produce(Opened("a"))
    run.settle()
    assert [type(each) for each in errors] == [EventTimeout]


def test_an_idle_process_leaves_memory_and_comes_back_from_the_store(play: Play) -> None:
    run = play(Scripted(idle_timeout=60))
    stage: Any = run._workers["pm", "instances"].stage

    def in_memory() -> int:
        return sum(part._batch.instances.cached for part in stage.partitions)

    run.produce(Opened("a", 1))
    run.settle()
    assert in_memory() == 1
    run.advance(timedelta(hours=1))
    assert in_memory() == 0
    run.produce(Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(2, 2)


def holding(event: Any) -> Any:
    match event:
        case Opened():
            return routing.Start(event.id)
        case Changed():
            return routing.ContinueExisting(event.id, hold=60)
        case Closed():
            return routing.Stop(event.id, hold=60)


@both
def test_an_early_event_waits_for_its_start(play: Play) -> None:
    run = play(Scripted(route=holding))
    run.produce(Changed("a", 2))
    run.settle()
    before = run.commands()
    run.produce(Opened("a", 1))
    run.settle()
    assert (before, run.commands()) == ([], [Do("a", 1), Do("a", 2)])


def test_early_events_keep_their_order(play: Play) -> None:
    run = play(Scripted(route=holding))
    run.produce(Changed("a", 2), Changed("a", 3), Changed("a", 4))
    run.settle()
    run.produce(Opened("a", 1))
    run.settle()
    assert [each.n for each in run.commands()] == [1, 2, 3, 4]


def test_an_early_event_whose_time_is_up_is_not_started(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(type(raised))
        return failure.Skip()

    run = play(Scripted(route=holding, error=error))
    run.produce(Changed("a", 2))
    run.advance(timedelta(seconds=61))
    assert errors == [NotStarted]


def test_an_early_stop_waits_and_ends_the_process_once_it_starts(play: Play) -> None:
    run = play(Scripted(route=holding))
    run.produce(Closed("a"))
    run.settle()
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [Do("a", 1)]
    assert run.state("pm", "a") is None


def test_an_early_stop_whose_time_is_up_is_dropped(play: Play) -> None:
    run = play(Scripted(route=holding))
    run.produce(Closed("a"))
    run.advance(timedelta(seconds=61))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 1)


def test_a_late_event_does_not_begin_a_completed_process_anew(play: Play) -> None:
    run = play(Scripted(completed_for=HOUR))
    run.produce(Opened("a", 1), Closed("a"))
    run.settle()
    run.produce(Changed("a", 2))
    run.settle()
    assert run.commands() == [Do("a", 1)]


def test_once_the_marker_expires_it_does(play: Play) -> None:
    run = play(Scripted(completed_for=HOUR))
    run.produce(Opened("a", 1), Closed("a"))
    run.advance(2 * HOUR)
    run.produce(Changed("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 2)


def test_a_strict_start_of_a_completed_process_is_already_completed(play: Play) -> None:
    errors: list[Any] = []

    def route(event: Any) -> Any:
        return routing.StartNew(event.id) if isinstance(event, Opened) else routing.Stop(event.id)

    def error(raised: Any) -> Any:
        errors.append(type(raised))
        return failure.Skip()

    run = play(Scripted(route=route, error=error, completed_for=HOUR))
    run.produce(Opened("a", 1), Closed("a"), Opened("a", 2))
    run.settle()
    assert errors == [AlreadyCompleted]


def test_no_deadline_fires_whose_answer_came_while_everything_was_down(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(raised)
        return failure.Skip()

    run = play(Scripted(error=error, dispatch="confirm"))
    run.produce(Opened("a", 1))
    run.settle()
    run.reply(Do("a", 1))
    run._clock.step(86_400)  # down for a day
    run.restart()
    run.settle()
    assert errors == []

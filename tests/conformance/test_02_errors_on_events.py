"""2. Errors on events: what `error` may answer when interested, handle or apply fails."""

from datetime import timedelta
from typing import Any

import pytest

from pmstream import failure
from pmstream.errors import Stopped
from tests.conformance.kit import Changed, Do, Memo, Oops, Opened, Play, Scripted, both


class Failing:
    """A handle that fails so many times; what `error` hears, and its answers in turn."""

    def __init__(self, *answers: Any, times: int = 1, where: str = "handle") -> None:
        self.answers, self.left, self.where = list(answers), times, where
        self.heard: list[tuple[Exception, Any, Any]] = []

    def handle(self, state: Memo, event: Any, metadata: Any) -> Any:
        self._fail("handle", event)
        return Do(metadata.process_uuid, event.n)

    def apply(self, state: Memo, event: Any) -> Memo:
        self._fail("apply", event)
        return Memo(state.count + 1, event.n)

    def error(self, error: Exception, failed: Any, context: Any) -> Any:
        self.heard.append((error, failed, context))
        answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
        return answer(error, context) if callable(answer) else answer

    def _fail(self, where: str, event: Any) -> None:
        if where == self.where and event.n == 7 and self.left:
            self.left -= 1
            raise Oops(where)

    @property
    def manager(self) -> Scripted:
        return Scripted(handle=self.handle, apply=self.apply, error=self.error)


BAD, GOOD = Opened("a", 7), Opened("a", 8)


def test_without_an_answer_of_its_own_a_failure_stops_the_process_manager(play: Play) -> None:
    def handle() -> None:
        raise Oops("no")

    run = play(Scripted(handle=handle))
    run.produce(BAD)
    with pytest.raises(Stopped, match="Oops: no"):
        run.settle()


def test_the_default_failure_is_a_switch(play: Play) -> None:
    def handle() -> None:
        raise Oops("no")

    run = play(Scripted(handle=handle, default_failure=failure.Skip()))
    run.produce(BAD)
    run.settle()
    assert run.state("pm", "a") is None


@pytest.mark.parametrize("where", ["handle", "apply"])
def test_retry_handles_the_event_again(play: Play, where: str) -> None:
    story = Failing(failure.Retry(), times=2, where=where)
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    assert run.commands() == [Do("a", 7)]
    assert run.state("pm", "a") == Memo(1, 7)


@pytest.mark.parametrize("where", ["handle", "apply"])
def test_skip_drops_the_event_with_its_commands_and_its_state(play: Play, where: str) -> None:
    run = play(Failing(failure.Skip(), where=where).manager)
    run.produce(BAD, GOOD)
    run.settle()
    assert run.commands() == [Do("a", 8)]
    assert run.state("pm", "a") == Memo(1, 8)


@both
def test_retry_with_a_delay_waits_and_then_handles_it(play: Play) -> None:
    story = Failing(failure.Retry(delay=0.5))
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    run.advance(timedelta(seconds=2))
    [(_, command, record)] = run._services.sent
    failed_at = story.heard[0][2].first_failed_at
    assert command == Do("a", 7)
    assert record.timestamp >= failed_at + 500, "by the log's time, however slow the machine is"


@both
def test_stop_stops_the_process_manager_with_its_reason(play: Play) -> None:
    run = play(Failing(failure.Stop("enough")).manager)
    run.produce(BAD)
    with pytest.raises(Stopped, match="enough"):
        run.settle()


def test_stop_does_not_count_the_event(play: Play) -> None:
    run = play(Failing(failure.Stop("enough"), times=99).manager)
    run.produce(Opened("a", 1))
    run.settle()
    run.produce(BAD)
    with pytest.raises(Stopped):
        run.settle()
    assert run.state("pm", "a") == Memo(1, 1)


def test_stop_may_be_answered_with_another_error(play: Play) -> None:
    run = play(Failing(failure.Stop(ValueError("other"))).manager)
    run.produce(BAD)
    with pytest.raises(Stopped, match=r"ValueError: other \(after Oops: handle\)"):
        run.settle()


def test_park_puts_the_event_and_what_follows_aside(play: Play) -> None:
    run = play(Failing(failure.Park("look")).manager)
    run.produce(BAD, GOOD, Opened("b", 1))
    run.settle()
    run.advance(timedelta(days=30))
    assert run.commands() == [Do("b", 1)]


@pytest.mark.parametrize(
    "answer",
    [
        failure.SkipContinuePending(),
        failure.SkipDiscardPending(),
        failure.ContinueWith([]),
        "retry",
        None,
    ],
    ids=["SkipContinuePending", "SkipDiscardPending", "ContinueWith", "text", "None"],
)
def test_an_answer_for_commands_or_none_at_all_stops_and_names_it(play: Play, answer: Any) -> None:
    run = play(Failing(answer).manager)
    run.produce(BAD)
    with pytest.raises(Stopped, match=f"Oops.*{type(answer).__name__}"):
        run.settle()


def test_an_error_callback_that_raises_stops_with_both_errors(play: Play) -> None:
    def error(_error: Any, _context: Any) -> Any:
        raise ZeroDivisionError("in error")

    run = play(Failing(error).manager)
    run.produce(BAD)
    with pytest.raises(Stopped, match=r"Oops: handle.*ZeroDivisionError: in error"):
        run.settle()


def test_error_hears_the_event_the_state_and_the_stage(play: Play) -> None:
    story = Failing(failure.Skip(), where="apply")
    run = play(story.manager)
    run.produce(GOOD, BAD)
    run.settle()
    [(error, failed, context)] = story.heard
    assert isinstance(error, Oops)
    assert failed == BAD
    assert (context.state, context.stage, context.last_event) == (Memo(1, 8), "apply", BAD)
    assert context.metadata.process_uuid == "a"


def test_error_hears_a_stack_trace_of_what_was_raised(play: Play) -> None:
    story = Failing(failure.Skip())
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    assert "in _fail" in story.heard[0][2].stacktrace


def test_attempts_are_counted(play: Play) -> None:
    story = Failing(failure.Retry(), times=3)
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    assert [context.attempts for _, _, context in story.heard] == [1, 2, 3]


def test_the_context_of_a_retry_comes_back(play: Play) -> None:
    story = Failing(lambda _e, c: failure.Retry({"tries": c.context.get("tries", 0) + 1}), times=3)
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    assert [context.context for _, _, context in story.heard] == [{}, {"tries": 1}, {"tries": 2}]


def test_a_whole_failure_context_may_be_handed_back(play: Play) -> None:
    story = Failing(
        failure.Retry({"a": 1}), lambda _error, context: failure.Retry(context), times=3
    )
    run = play(story.manager)
    run.produce(BAD)
    run.settle()
    assert [context.context for _, _, context in story.heard] == [{}, {"a": 1}, {"a": 1}]


def test_the_next_event_begins_with_an_empty_context(play: Play) -> None:
    story = Failing(failure.Retry({"a": 1}), failure.Skip(), failure.Skip(), times=3)
    run = play(story.manager)
    run.produce(BAD, Opened("a", 7))
    run.settle()
    contexts = [(context.context, context.attempts) for _, _, context in story.heard]
    assert contexts == [({}, 1), ({"a": 1}, 2), ({}, 1)]


def test_a_context_that_cannot_be_stored_stops_and_says_so(play: Play) -> None:
    run = play(Failing(failure.Retry({"a": object()})).manager)
    run.produce(BAD)
    with pytest.raises(Stopped, match="illegal Retry"):
        run.settle()


def test_immediate_retries_are_limited_and_go_on_when_due(play: Play) -> None:
    story = Failing(failure.Retry(), times=25)
    manager = story.manager
    manager.max_attempts_per_batch = 10
    run = play(manager)
    run.produce(BAD)
    run.advance(timedelta(seconds=5))
    assert len(story.heard) == 25
    assert run.commands() == [Do("a", 7)]


@pytest.mark.parametrize("answer", [failure.Skip(), failure.Park("letter")], ids=["Skip", "Park"])
def test_a_failing_interested_drops_the_event_or_makes_a_dead_letter(
    play: Play, answer: Any
) -> None:
    def route(event: Any) -> Any:
        raise Oops("route")

    run = play(Scripted(route=route, error=lambda _error: answer))
    run.produce(Opened("a", 1))
    run.settle()
    assert len(run.dead_letters("pm")) == isinstance(answer, failure.Park)


@pytest.mark.parametrize("answer", [failure.Stop("no"), failure.Retry()], ids=["Stop", "Retry"])
def test_a_failing_interested_can_stop_and_cannot_wait(play: Play, answer: Any) -> None:
    def route(event: Any) -> Any:
        raise Oops("route")

    run = play(Scripted(route=route, error=lambda _error: answer))
    run.produce(Opened("a", 1))
    with pytest.raises(Stopped, match="Oops: route"):
        run.settle()


@pytest.mark.parametrize("answer", ["memo", None, Opened("a")], ids=["text", "None", "other type"])
def test_an_apply_that_answers_no_state_is_a_failure_of_the_event(play: Play, answer: Any) -> None:
    errors: list[str] = []

    def error(raised: Any) -> Any:
        errors.append(type(raised).__name__)
        return failure.Skip()

    run = play(Scripted(apply=lambda _state: answer, error=error))
    run.produce(Opened("a", 1))
    run.settle()
    assert errors == ["StateInvalid"]
    assert run.commands() == []


@pytest.mark.parametrize("answer", ["text", 7, {"a": 1}], ids=["text", "number", "mapping"])
def test_a_handle_that_answers_no_commands_is_a_failure_of_the_event(
    play: Play, answer: Any
) -> None:
    story = Failing(failure.Skip())
    run = play(Scripted(handle=lambda: answer, error=story.error))
    run.produce(Opened("a", 1))
    run.settle()
    assert [type(error) for error, _, _ in story.heard] == [TypeError]


def test_callbacks_may_leave_their_last_parameter_out(play: Play) -> None:
    class Short(Scripted):
        def interested(self, event: Any) -> Any:  # type: ignore[override]
            return super().interested(event, None)

        def handle(self, state: Memo, event: Any) -> Any:  # type: ignore[override]
            raise Oops

        def error(self, error: Exception, failed: Any) -> Any:  # type: ignore[override]
            return failure.Skip()

    run = play(Short())
    run.produce(Opened("a", 1), Changed("a", 2))
    run.settle()
    assert run.commands() == []

"""3. Errors on commands: what `error` may answer when a service refuses or is silent."""

from datetime import timedelta
from typing import Any

import pytest

from pmstream import failure
from pmstream.errors import CommandInvalid, CommandRejected, CommandTimeout, Stopped
from pmstream.testing import SILENT, Rejected, Running
from tests.conformance.kit import Do, Memo, Opened, Play, Scripted, Undo, both

FIRST, SECOND, THIRD = Do("a", 1), Do("a", 2), Do("a", 3)


class Refusing:
    """Refuses a command so many times; what `error` hears, and its answers in turn."""

    def __init__(self, *answers: Any, refused: Any = SECOND, times: int = 1) -> None:
        self.answers, self.refused, self.left = list(answers), refused, times
        self.heard: list[tuple[Exception, Any, Any]] = []

    def handle(self) -> list[Do]:
        return [FIRST, SECOND, THIRD]

    def error(self, error: Exception, failed: Any, context: Any) -> Any:
        self.heard.append((error, failed, context))
        answer = self.answers[min(len(self.heard), len(self.answers)) - 1]
        return answer(context) if callable(answer) else answer

    def service(self, command: Any) -> Any:
        if command == self.refused and self.left:
            self.left -= 1
            return Rejected({"code": 7})
        return None

    def run(self, play: Play, **options: Any) -> Running:
        manager = Scripted(handle=self.handle, error=self.error, dispatch="confirm", **options)
        running = play(manager, service=self.service)
        running.produce(Opened("a", 1))
        return running


@both
def test_commands_go_out_one_at_a_time_each_after_the_reply_to_the_last(play: Play) -> None:
    run = play(Scripted(handle=lambda: [FIRST, SECOND], dispatch="confirm"))
    run.produce(Opened("a"))
    run.settle()
    before = run.commands()
    run.reply(FIRST)
    run.settle()
    assert (before, run.commands()) == ([FIRST], [FIRST, SECOND])


@both
def test_retry_sends_the_command_again_and_then_those_behind_it(play: Play) -> None:
    run = Refusing(failure.Retry()).run(play)
    run.settle()
    assert run.commands() == [FIRST, SECOND, SECOND, THIRD]


def test_retry_of_a_command_can_wait(play: Play) -> None:
    run = Refusing(failure.Retry(delay=60)).run(play)
    run.settle()
    before = run.commands()
    run.advance(timedelta(seconds=61))
    assert (before, run.commands()) == ([FIRST, SECOND], [FIRST, SECOND, SECOND, THIRD])


@pytest.mark.parametrize(
    "answer", [failure.Skip(), failure.SkipContinuePending()], ids=["Skip", "SkipContinuePending"]
)
def test_skipping_a_command_goes_on_with_those_behind_it(play: Play, answer: Any) -> None:
    run = Refusing(answer).run(play)
    run.settle()
    assert run.commands() == [FIRST, SECOND, THIRD]
    assert run.state("pm", "a") == Memo(1, 1), "the event counts"


def test_skip_discard_pending_drops_those_behind_it(play: Play) -> None:
    run = Refusing(failure.SkipDiscardPending()).run(play)
    run.settle()
    assert run.commands() == [FIRST, SECOND]
    assert run.state("pm", "a") == Memo(1, 1), "the event counts"


@both
def test_continue_with_other_commands_replaces_the_refused_and_the_pending_ones(
    play: Play,
) -> None:
    run = Refusing(failure.ContinueWith([Undo("a", 1), Undo("a", 2)])).run(play)
    run.settle()
    assert run.commands() == [FIRST, SECOND, Undo("a", 1), Undo("a", 2)]


def test_continue_with_nothing_drops_the_refused_and_the_pending_ones(play: Play) -> None:
    run = Refusing(failure.ContinueWith([])).run(play)
    run.settle()
    assert run.commands() == [FIRST, SECOND]


def test_the_commands_that_replace_may_fail_and_be_replaced_in_turn(play: Play) -> None:
    story = Refusing(failure.ContinueWith([Undo("a", 1)]), failure.ContinueWith([Undo("a", 2)]))
    manager = Scripted(handle=story.handle, error=story.error, dispatch="confirm")
    run = play(
        manager, service=lambda command: Rejected() if command in (SECOND, Undo("a", 1)) else None
    )
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [FIRST, SECOND, Undo("a", 1), Undo("a", 2)]


def test_park_leaves_the_rest_to_an_operator(play: Play) -> None:
    run = Refusing(failure.Park("look")).run(play)
    run.settle()
    run.advance(timedelta(days=30))
    assert run.commands() == [FIRST, SECOND]


def test_stop_stops_the_process_manager(play: Play) -> None:
    run = Refusing(failure.Stop("no way")).run(play)
    with pytest.raises(Stopped, match="no way"):
        run.settle()


def test_an_illegal_answer_stops_with_the_original_error(play: Play) -> None:
    run = Refusing("retry").run(play)
    with pytest.raises(Stopped, match=r"CommandRejected.*answered str"):
        run.settle()


def test_error_hears_the_command_the_reason_and_the_pending_ones(play: Play) -> None:
    story = Refusing(failure.Skip())
    story.run(play).settle()
    [(error, failed, context)] = story.heard
    assert isinstance(error, CommandRejected)
    assert error.reason == {"code": 7}
    assert (failed, context.pending_commands) == (SECOND, (THIRD,))
    assert (context.stage, context.last_event) == ("dispatch", Opened("a", 1))


def test_error_hears_the_state_as_if_nothing_had_failed(play: Play) -> None:
    story = Refusing(failure.Skip())
    story.run(play).settle()
    assert story.heard[0][2].state == Memo(1, 1)


def test_the_context_survives_from_a_failure_of_a_command_to_its_retry(play: Play) -> None:
    story = Refusing(lambda c: failure.Retry({"n": c.context.get("n", 0) + 1}), times=3)
    story.run(play).settle()
    assert [context.context for _, _, context in story.heard] == [{}, {"n": 1}, {"n": 2}]
    assert [context.attempts for _, _, context in story.heard] == [1, 2, 3]


def test_the_context_is_empty_for_the_next_command(play: Play) -> None:
    story = Refusing(failure.Retry({"n": 1}), failure.Skip(), failure.Skip(), times=2)
    manager = Scripted(handle=story.handle, error=story.error, dispatch="confirm")
    run = play(manager, service=lambda command: Rejected() if command != FIRST else None)
    run.produce(Opened("a", 1))
    run.settle()
    assert [(failed, context.context) for _, failed, context in story.heard] == [
        (SECOND, {}),
        (SECOND, {"n": 1}),
        (THIRD, {}),
    ]


def test_a_silent_service_is_a_timeout(play: Play) -> None:
    story = Refusing(failure.Skip())
    manager = Scripted(
        handle=lambda: FIRST, error=story.error, dispatch="confirm", confirm_timeout=30
    )
    run = play(manager, service=lambda _command: SILENT)
    run.produce(Opened("a", 1))
    run.advance(timedelta(seconds=29))
    before = len(story.heard)
    run.advance(timedelta(seconds=2))
    assert before == 0
    assert [type(error) for error, _, _ in story.heard] == [CommandTimeout]


def ids(run: Running) -> list[str]:
    records = [record for _, _, record in run._services.sent]
    return [
        (dict(each.headers)["command-id"] or b"").decode().rpartition("/")[2] for each in records
    ]


def test_a_retry_after_a_timeout_keeps_the_command_id(play: Play) -> None:
    story = Refusing(failure.Retry())
    run = play(Scripted(handle=lambda: FIRST, error=story.error, dispatch="confirm"))
    run.produce(Opened("a", 1))
    run.advance(timedelta(seconds=31))
    assert ids(run) == ["0", "0"]


def test_a_retry_after_a_rejection_is_a_new_question_with_an_id_of_its_own(play: Play) -> None:
    run = Refusing(failure.Retry(), times=2).run(play)
    run.settle()
    assert ids(run) == ["0", "1", "1~1", "1~2", "2"]


def test_a_late_and_a_second_reply_change_nothing(play: Play) -> None:
    run = play(Scripted(handle=lambda: [FIRST, SECOND], dispatch="confirm"))
    run.produce(Opened("a"))
    run.settle()
    for _ in range(3):
        run.reply(FIRST)
    run.settle()
    run.reply(SECOND)
    run.reply(FIRST, accepted=False)
    run.settle()
    assert run.commands() == [FIRST, SECOND]


@both
def test_an_awaited_reply_survives_a_restart(play: Play) -> None:
    run = play(Scripted(handle=lambda: [FIRST, SECOND], dispatch="confirm"))
    run.produce(Opened("a"))
    run.settle()
    run.restart()
    run.reply(FIRST)
    run.settle()
    assert run.commands() == [FIRST, SECOND]


def test_events_behind_an_awaited_reply_wait_in_order(play: Play) -> None:
    run = play(Scripted(dispatch="confirm"))
    run.produce(Opened("a", 1), Opened("a", 2), Opened("a", 3))
    run.settle()
    before = run.commands()
    for number in (1, 2, 3):
        run.reply(Do("a", number))
        run.settle()
    assert (before, run.commands()) == ([FIRST], [FIRST, SECOND, THIRD])


@pytest.mark.parametrize("dispatch", ["send", "confirm"])
def test_a_command_that_is_not_declared_fails_before_anything_is_written(
    play: Play, dispatch: str
) -> None:
    story = Refusing(failure.SkipDiscardPending())
    manager = Scripted(handle=lambda: [Opened("a"), SECOND], error=story.error, dispatch=dispatch)
    run = play(manager, service=story.service)
    run.produce(Opened("a", 1))
    run.settle()
    assert [type(error) for error, _, _ in story.heard] == [CommandInvalid]
    assert run.commands() == []


def test_sent_commands_of_one_event_keep_their_order(play: Play) -> None:
    run = play(Scripted(handle=lambda: iter([FIRST, SECOND, THIRD])))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [FIRST, SECOND, THIRD]

"""4. after_command: told of what is really out; may end the process."""

from typing import Any

import pytest

from pmstream import AfterCommand, failure
from pmstream.errors import Stopped
from pmstream.testing import Rejected
from tests.conformance.kit import Closed, Do, Memo, Oops, Opened, Play, Scripted, Undo, both

FIRST, SECOND = Do("a", 1), Do("a", 2)


def test_it_is_told_of_each_command_in_order_with_the_new_state(play: Play) -> None:
    told: list[Any] = []

    def after(state: Memo, command: Any) -> None:
        told.append((state, command))

    run = play(Scripted(handle=lambda: [FIRST, SECOND], after=after))
    run.produce(Opened("a", 5))
    run.settle()
    assert told == [(Memo(1, 5), FIRST), (Memo(1, 5), SECOND)]


def test_it_may_take_the_metadata_too(play: Play) -> None:
    told: list[str] = []

    def after(_state: Memo, _command: Any, metadata: Any) -> None:
        told.append(metadata.process_uuid)

    run = play(Scripted(after=after))
    run.produce(Opened("a", 5))
    run.settle()
    assert told == ["a"]


@both
def test_stop_ends_the_process(play: Play) -> None:
    run = play(Scripted(after=lambda _state, _command: AfterCommand.STOP))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [FIRST]
    assert run.state("pm", "a") is None


@pytest.mark.parametrize("answer", [None, AfterCommand.CONTINUE], ids=["None", "CONTINUE"])
def test_without_stop_the_process_goes_on(play: Play, answer: Any) -> None:
    run = play(Scripted(after=lambda _state, _command: answer))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 1)


def test_an_event_after_its_stop_begins_the_process_anew(play: Play) -> None:
    run = play(Scripted(after=lambda _s, command: AfterCommand.STOP if command.n == 1 else None))
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 2)


def test_it_is_told_of_replacements_and_not_of_what_was_skipped(play: Play) -> None:
    told: list[Any] = []
    manager = Scripted(
        handle=lambda: [FIRST, SECOND],
        error=failure.ContinueWith([Undo("a", 1)]),
        after=lambda _state, command: told.append(command),
        dispatch="confirm",
    )
    run = play(manager, service=lambda command: Rejected() if command == SECOND else None)
    run.produce(Opened("a", 1))
    run.settle()
    assert told == [FIRST, Undo("a", 1)]


def test_in_confirm_mode_it_is_told_once_all_are_confirmed(play: Play) -> None:
    told: list[Any] = []
    manager = Scripted(
        handle=lambda: [FIRST, SECOND],
        after=lambda _state, command: told.append(command),
        dispatch="confirm",
    )
    run = play(manager)
    run.produce(Opened("a", 1))
    run.settle()
    run.reply(FIRST)
    run.settle()
    before = list(told)
    run.reply(SECOND)
    run.settle()
    assert (before, told) == ([], [FIRST, SECOND])


class Failing:
    """An after_command that fails so many times."""

    def __init__(self, answer: Any, times: int = 1) -> None:
        self.answer, self.left, self.stages = answer, times, list[str]()

    def after(self, _state: Memo, _command: Any) -> None:
        if self.left:
            self.left -= 1
            raise Oops("after")

    def error(self, _error: Any, _failed: Any, context: Any) -> Any:
        self.stages.append(context.stage)
        return self.answer


@pytest.mark.parametrize("answer", [failure.Retry(), failure.Skip()], ids=["Retry", "Skip"])
def test_when_it_fails_it_alone_is_repeated_or_skipped(play: Play, answer: Any) -> None:
    story = Failing(answer)
    run = play(Scripted(after=story.after, error=story.error))
    run.produce(Opened("a", 1))
    run.settle()
    assert story.stages == ["after-command"]
    assert run.commands() == [FIRST]
    assert run.state("pm", "a") == Memo(1, 1)


def test_when_it_fails_and_is_stopped_the_process_manager_stops(play: Play) -> None:
    story = Failing(failure.Stop("no"), times=9)
    run = play(Scripted(after=story.after, error=story.error))
    run.produce(Opened("a", 1))
    with pytest.raises(Stopped):
        run.settle()


def test_it_is_not_called_for_an_event_that_ends_the_process(play: Play) -> None:
    manager = Scripted()
    run = play(manager)
    run.produce(Opened("a", 1), Closed("a"))
    run.settle()
    assert manager.calls.count("after_command") == 1

"""1. Routing: which process an event reaches, and what that means to it."""

from typing import Any

import pytest

from pmstream import failure, routing
from pmstream.errors import AlreadyStarted, NotStarted, Stopped
from tests.conformance.kit import Changed, Closed, Do, Memo, Noise, Opened, Play, Scripted, both


def strict(event: Any) -> Any:
    match event:
        case Opened():
            return routing.StartNew(event.id)
        case Changed():
            return routing.ContinueExisting(event.id)
        case Closed():
            return routing.Stop(event.id)


@both
def test_start_creates_the_process(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [Do("a", 1)]
    assert run.state("pm", "a") == Memo(1, 1)


def test_start_goes_on_with_a_process_that_exists(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(2, 2)


@both
def test_continue_goes_on_with_a_process_that_exists(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    run.produce(Changed("a", 2))
    run.settle()
    assert run.commands() == [Do("a", 1), Do("a", 2)]


def test_continue_creates_a_process_that_does_not(play: Play) -> None:
    run = play(Scripted())
    run.produce(Changed("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 2)


@both
def test_stop_ends_the_process_and_forgets_its_state(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Closed("a", 2))
    run.settle()
    assert run.state("pm", "a") is None
    assert run.commands() == [Do("a", 1)], "the event that ends it is not handled"


def test_stop_of_a_process_that_does_not_exist_is_nothing(play: Play) -> None:
    manager = Scripted()
    run = play(manager)
    run.produce(Closed("a"))
    run.settle()
    assert manager.calls == []


def test_a_process_that_has_ended_begins_anew_with_an_empty_state(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Closed("a", 2), Opened("a", 3))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 3)


def test_processes_do_not_share_state(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Opened("b", 2), Opened("a", 3))
    run.settle()
    assert (run.state("pm", "a").count, run.state("pm", "b").count) == (2, 1)


@pytest.mark.parametrize("answer", [None, False], ids=["None", "False"])
def test_an_event_of_no_interest_reaches_nobody(play: Play, answer: Any) -> None:
    manager = Scripted(route=lambda _event: answer)
    run = play(manager)
    run.produce(Opened("a"))
    run.settle()
    assert manager.calls == []


def test_an_event_of_a_type_without_a_clause_is_of_no_interest(play: Play) -> None:
    run = play(Scripted())
    run.produce(Noise("a"))
    run.settle()
    assert run.commands() == []


def test_strict_start_creates_the_process(play: Play) -> None:
    run = play(Scripted(route=strict))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 1)


def test_strict_start_of_a_process_that_exists_is_already_started(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(raised)
        return failure.Skip()

    run = play(Scripted(route=strict, error=error))
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    assert [type(each) for each in errors] == [AlreadyStarted]
    assert run.state("pm", "a") == Memo(1, 1)


def test_strict_start_after_the_end_is_a_new_process(play: Play) -> None:
    run = play(Scripted(route=strict))
    run.produce(Opened("a", 1), Closed("a"), Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 2)


def test_strict_continue_goes_on_with_a_process_that_exists(play: Play) -> None:
    run = play(Scripted(route=strict))
    run.produce(Opened("a", 1))
    run.settle()
    run.produce(Changed("a", 2))
    run.settle()
    assert run.state("pm", "a") == Memo(2, 2)


@both
def test_strict_continue_of_a_process_that_does_not_exist_is_not_started(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(raised)
        return failure.Skip()

    run = play(Scripted(route=strict, error=error))
    run.produce(Changed("a", 2))
    run.settle()
    assert [type(each) for each in errors] == [NotStarted]
    assert run.state("pm", "a") is None


@pytest.mark.parametrize("event", [Changed("a"), Opened("a", 2)], ids=["not started", "started"])
def test_a_strict_route_that_fails_stops_the_process_manager_by_default(
    play: Play, event: Any
) -> None:
    run = play(Scripted(route=strict))
    if isinstance(event, Opened):
        run.produce(Opened("a", 1))
        run.settle()
    run.produce(event)
    with pytest.raises(Stopped, match=r"NotStarted|AlreadyStarted"):
        run.settle()


@both
def test_one_event_reaches_several_processes(play: Play) -> None:
    run = play(Scripted(route=lambda event: routing.Start(event.id.split("+"))))
    run.produce(Opened("a+b+c", 1))
    run.settle()
    assert sorted(each.id for each in run.commands()) == ["a", "b", "c"]


def test_a_process_named_twice_gets_the_event_once(play: Play) -> None:
    run = play(Scripted(route=lambda event: routing.Start([event.id, event.id])))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.state("pm", "a") == Memo(1, 1)


def test_an_empty_list_of_processes_is_of_no_interest(play: Play) -> None:
    run = play(Scripted(route=lambda _event: routing.Start([])))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == []


def test_several_processes_are_stopped_by_one_event(play: Play) -> None:
    def route(event: Any) -> Any:
        ids = event.id.split("+")
        return routing.Stop(ids) if isinstance(event, Closed) else routing.Start(ids)

    run = play(Scripted(route=route))
    run.produce(Opened("a+b+c", 1), Closed("a+c"))
    run.settle()
    assert [run.state("pm", each) for each in "abc"] == [None, Memo(1, 1), None]


def test_of_several_processes_only_the_strict_ones_that_are_missing_fail(play: Play) -> None:
    def route(event: Any) -> Any:
        if isinstance(event, Opened):
            return routing.Start(event.id)
        return routing.ContinueExisting(event.id.split("+"))

    run = play(Scripted(route=route, error=failure.Skip()))
    run.produce(Opened("a", 1))
    run.settle()
    run.produce(Changed("a+b", 2))
    run.settle()
    assert (run.state("pm", "a"), run.state("pm", "b")) == (Memo(2, 2), None)


def test_an_illegal_answer_of_interested_is_an_error_of_its_own(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(type(raised).__name__)
        return failure.Skip()

    run = play(Scripted(route=lambda _event: "a", error=error))
    run.produce(Opened("a"))
    run.settle()
    assert errors == ["InvalidRoute"]


def test_more_processes_than_the_fan_out_limit_are_an_error(play: Play) -> None:
    errors: list[Any] = []

    def error(raised: Any) -> Any:
        errors.append(str(raised))
        return failure.Skip()

    run = play(
        Scripted(route=lambda _event: routing.Start(["a", "b", "c"]), error=error, fan_out_limit=2)
    )
    run.produce(Opened("a"))
    run.settle()
    assert len(errors) == 1
    assert "2" in errors[0]

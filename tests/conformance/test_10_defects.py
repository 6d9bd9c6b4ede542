"""10. Defects of Commanded that must not exist here."""

from datetime import timedelta
from typing import Any

import pytest

from pmstream import AfterCommand, failure, routing
from pmstream.app import Names
from pmstream.operate.changelog import fold
from pmstream.runtime.commit import STEPS
from pmstream.testing import Rejected
from tests.conformance.kit import Changed, Closed, Do, Memo, Oops, Opened, Play, Scripted, both


@both
def test_b1_stop_of_a_process_that_is_not_in_memory_deletes_its_state(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    run.restart()
    run.produce(Closed("a"))
    run.settle()
    assert run.state("pm", "a") is None


def test_b2_a_stop_by_after_command_while_an_event_comes_does_not_hang(play: Play) -> None:
    run = play(Scripted(after=lambda _s, c: AfterCommand.STOP if c.n == 1 else None))
    run.produce(*(Opened("a", n) for n in (1, 2, 3)))
    run.settle()
    assert [each.n for each in run.commands()] == [1, 2, 3]
    assert run.state("pm", "a") == Memo(2, 3)


@pytest.mark.parametrize("step", STEPS)
def test_b3_no_command_is_sent_again_after_a_crash(play: Play, step: str) -> None:
    run = play(Scripted())
    run.kill_at(step)
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    assert run.commands() == [Do("a", 1), Do("a", 2)]


def test_b4_no_command_is_sent_again_after_a_failing_apply(play: Play) -> None:
    left = [2]

    def apply(state: Memo, event: Any) -> Memo:
        if left[0]:
            left[0] -= 1
            raise Oops
        return Memo(state.count + 1, event.n)

    run = play(Scripted(apply=apply, error=failure.Retry()))
    run.produce(Opened("a", 1))
    run.settle()
    assert run.commands() == [Do("a", 1)]


def test_b5_state_does_not_diverge_when_a_failing_apply_is_skipped(play: Play) -> None:
    def apply(state: Memo, event: Any) -> Memo:
        if event.n == 1:
            raise Oops
        return Memo(state.count + 1, event.n)

    run = play(Scripted(apply=apply, error=failure.Skip()))
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    assert run.commands() == [Do("a", 2)], "neither state nor commands of what was skipped"
    assert run.state("pm", "a") == Memo(1, 2)


def test_b6_after_command_is_not_told_of_commands_that_were_not_sent(play: Play) -> None:
    told: list[Any] = []
    manager = Scripted(
        handle=lambda: [Do("a", 1), Do("a", 2)],
        error=failure.SkipDiscardPending(),
        after=lambda _state, command: told.append(command.n),
        dispatch="confirm",
    )
    run = play(manager, service=lambda _command: Rejected())
    run.produce(Opened("a", 1))
    run.settle()
    assert told == []


@both
def test_b7_a_delayed_retry_does_not_block_its_neighbours(play: Play) -> None:
    def handle(_state: Any, event: Any, metadata: Any) -> Do:
        if metadata.process_uuid == "bad" and metadata.attempt < 2:
            raise Oops
        return Do(metadata.process_uuid, event.n)

    run = play(Scripted(handle=handle, error=failure.Retry(delay=3)))
    run.produce(Opened("bad", 0), *(Opened(f"good-{n}", n) for n in range(5)))
    run.settle()
    run.advance(timedelta(seconds=5))
    sent = {uuid: record.timestamp for uuid, _, record in run._services.sent}
    retried = sent.pop("bad")
    assert sent.keys() == {f"good-{n}" for n in range(5)}
    assert all(when < retried for when in sent.values()), "none waited for the retry"


@pytest.mark.parametrize("kill", [False, True], ids=["restart", "kill"])
def test_b8_the_context_and_the_attempts_of_a_retry_survive(play: Play, kill: bool) -> None:
    heard: list[Any] = []

    def handle() -> None:
        raise Oops

    def error(_error: Any, _failed: Any, context: Any) -> Any:
        heard.append((context.attempts, context.context))
        return failure.Retry({"n": context.attempts}, delay=60)

    run = play(Scripted(handle=handle, error=error))
    run.produce(Opened("a", 1))
    run.settle()
    run.restart(kill=kill)
    run.advance(timedelta(seconds=61))
    assert heard == [(1, {}), (2, {"n": 1})]


def test_b9_a_routing_error_can_wait(play: Play) -> None:
    def route(event: Any) -> Any:
        strict = isinstance(event, Changed)
        return routing.ContinueExisting(event.id) if strict else routing.Start(event.id)

    run = play(Scripted(route=route, error=failure.Retry(delay=10)))
    run.produce(Changed("a", 2))
    run.settle()
    run.produce(Opened("a", 1))
    run.advance(timedelta(seconds=11))
    assert [each.n for each in run.commands()] == [1, 2]


def test_b10_a_strict_route_that_fails_leaves_nothing_behind(play: Play) -> None:
    manager = Scripted(route=lambda event: routing.ContinueExisting(event.id), error=failure.Skip())
    run = play(manager)
    run.produce(Changed("a", 1))
    run.settle()
    assert fold(run.log, Names("conformance", "pm")) == {}


@both
def test_b11_a_poisoned_process_that_is_parked_does_not_stop_the_others(play: Play) -> None:
    def handle(_state: Any, event: Any, metadata: Any) -> Do:
        if metadata.process_uuid == "bad":
            raise Oops
        return Do(metadata.process_uuid, event.n)

    run = play(Scripted(handle=handle, default_failure=failure.Park()))
    run.produce(Opened("bad", 0), Opened("good", 1), Opened("bad", 2), Opened("good", 3))
    run.settle()
    assert run.commands() == [Do("good", 1), Do("good", 3)]


@pytest.mark.parametrize("step", STEPS)
def test_b14_a_crash_before_a_deletion_leaves_no_zombie(play: Play, step: str) -> None:
    run = play(Scripted(after=lambda _s, c: AfterCommand.STOP if c.n == 2 else None))
    run.produce(Opened("a", 1))
    run.settle()
    run.kill_at(step)
    run.produce(Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") is None
    assert [each.n for each in run.commands()] == [1, 2]

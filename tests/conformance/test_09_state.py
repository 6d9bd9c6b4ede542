"""9. State over time: versions, upcasters, and what is in the topics."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pmstream import failure
from pmstream.errors import ConfigurationError
from pmstream.operate.check import check
from tests.conformance.kit import Do, Memo, Opened, Play, Scripted, app_of, both


class NewMemo(Struct, frozen=True):
    """The second version: the count has another name, and `last` is gone."""

    total: int = 0


class Newer(Scripted):
    """The next release of Scripted."""

    state = NewMemo  # type: ignore[assignment]

    def __init__(self, **options: Any) -> None:
        def upcast(fields: dict[str, Any]) -> dict[str, Any]:
            return {"total": fields["count"]}

        given = {"state_version": 2, "upcasters": {1: upcast}, **options}
        super().__init__(apply=lambda state: NewMemo(state.total + 1), **given)


def release(run: Any, manager: Scripted) -> None:
    """The app's workers are restarted with another release of it."""
    run._end("pm", kill=False)
    run._app.process_managers["pm"] = manager
    run._start("pm")


@both
def test_an_older_state_is_read_through_the_upcasters(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Opened("a", 2))
    run.settle()
    release(run, Newer())
    run.produce(Opened("a", 3))
    run.settle()
    assert run.state("pm", "a") == NewMemo(3)


def test_an_older_state_is_rewritten_only_when_it_changes(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Opened("b", 2))
    run.settle()
    release(run, Newer())
    run.produce(Opened("a", 3))
    run.settle()
    found = check(run.log, app_of(Newer()), "pm")
    assert found.versions == {1: 1, 2: 1}


def test_a_newer_state_is_left_alone_by_older_code_until_it_is_replaced(play: Play) -> None:
    run = play(Newer())
    run.produce(Opened("a", 1))
    run.settle()
    release(run, Scripted())
    run.produce(Opened("a", 2))
    run.settle()
    before = [each.n for each in run.commands()]
    release(run, Newer())
    run.settle()
    assert (before, [each.n for each in run.commands()]) == ([1], [1, 2])


def test_several_upcasters_run_one_after_the_other(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    steps = {
        1: lambda fields: {"sum": fields["count"]},
        2: lambda fields: {"total": fields["sum"] * 10},
    }
    release(run, Newer(state_version=3, upcasters=steps))
    run.produce(Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == NewMemo(11)


def test_an_upcaster_that_raises_is_a_failure_of_the_event(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    bad = {1: lambda fields: {"total": fields["gone"]}}
    release(run, Newer(upcasters=bad, default_failure=failure.Park()))
    run.produce(Opened("a", 2))
    run.settle()
    assert [each.n for each in run.commands()] == [1]


def test_a_new_field_with_a_default_needs_no_version(play: Play) -> None:
    class Wider(Struct, frozen=True):
        count: int = 0
        last: int = -1
        note: str = "new"

    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    wider = Scripted(apply=lambda state: msgspec.structs.replace(state, count=state.count + 1))
    wider.state = Wider  # type: ignore[assignment,misc]
    release(run, wider)
    run.produce(Opened("a", 2))
    run.settle()
    assert run.state("pm", "a") == Wider(2, 1, "new")


def test_a_state_that_is_not_frozen_is_a_fault_of_the_app() -> None:
    class Loose(Struct):
        count: int = 0

    manager = Scripted()
    manager.state = Loose  # type: ignore[assignment,misc]
    with pytest.raises(ConfigurationError, match="frozen"):
        app_of(manager)


def test_a_state_without_defaults_is_a_fault_of_the_app() -> None:
    class Bare(Struct, frozen=True):
        count: int

    manager = Scripted()
    manager.state = Bare  # type: ignore[assignment,misc]
    with pytest.raises(ConfigurationError, match="default"):
        app_of(manager)


def test_a_record_that_cannot_be_decoded_is_a_dead_letter_and_the_rest_goes_on(play: Play) -> None:
    run = play(Scripted())
    writer = run.log.writer()
    writer.produce("conformance.orders", b"{", None, (("type", b"conformance.Opened"),), 0)
    writer.flush(1)
    run.produce(Opened("a", 1))
    run.settle()
    assert len(run.dead_letters("pm")) == 1
    assert run.commands() == [Do("a", 1)]


def test_a_state_survives_as_it_was_written(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    run.restart(kill=True)
    assert run.state("pm", "a") == Memo(1, 1)

"""What an operator may order of an instance, and what each order does."""

from typing import Any

import pytest

from pmstream.core import failure, timers
from pmstream.core.engine import Outcome
from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.core.process import AfterCommand
from pmstream.core.routing import Route
from tests.core.kit import Do, Happened, Scripted, Seen, WithAfterCommand, answers
from tests.core.shell import Shell

PARK, LATER = failure.Park("look at it"), failure.Retry({"n": 1}, delay=60)


def stuck(answer: object = PARK, *behind: str) -> Shell:
    """An instance whose second event failed; others wait behind it."""
    shell = Shell(Scripted(answers(answer)))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("bad", ("a",), "handle"))
    for each in behind:
        shell.arrive(Happened(each, (each,)))
    return shell


@pytest.mark.parametrize(
    "verb", [verb for verb in Verb if verb not in ("pause", "resume", "deliver")]
)
def test_an_order_to_nobody_is_refused(verb: Verb) -> None:
    shell = Shell(Scripted()).order(verb)

    assert shell.outcomes == [Outcome.REFUSED]
    assert shell.refused == "there is no such instance: it never began, or has ended"


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME])
def test_what_concerns_a_partition_is_refused_by_an_instance(verb: Verb) -> None:
    assert "whole partitions" in stuck().order(verb).refused


@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.RELEASE, Verb.SKIP, Verb.PARK])
def test_who_works_on_nothing_has_nothing_to_order(verb: Verb) -> None:
    shell = Shell(Scripted())
    shell.arrive(Happened("first"))

    assert "it works on nothing" in shell.order(verb).refused


@pytest.mark.parametrize(("verb", "attempt"), [(Verb.RELEASE, 1), (Verb.RETRY, 2)])
def test_what_is_parked_is_tried_again_and_what_waits_behind_follows(
    verb: Verb, attempt: int
) -> None:
    shell = stuck(PARK, "next", "last")
    shell.manager.broken = False

    shell.order(verb)

    assert shell.refused == ""
    assert shell.emitted == ["a", "next", "last"]
    assert shell.state == Seen(("first", "bad", "next", "last"))
    assert shell.manager.metadata[2].attempt == attempt
    assert shell.condition is Condition.IDLE


def test_what_is_released_and_fails_again_is_parked_again() -> None:
    shell = stuck(PARK, "next").order(Verb.RELEASE)

    assert shell.condition is Condition.PARKED
    assert shell.work.attempts == 1
    assert shell.waiting == ["next"]


def test_a_retry_that_waits_for_its_time_is_tried_now_with_its_context() -> None:
    shell = stuck(LATER).order(Verb.RETRY)

    assert [each.context for each in shell.manager.contexts] == [{}, {"n": 1}]
    assert shell.work.attempts == 2
    assert shell.condition is Condition.RETRYING


def test_what_is_not_parked_cannot_be_released() -> None:
    assert "it is not parked: it waits for its retry" in stuck(LATER).order(Verb.RELEASE).refused


@pytest.mark.parametrize("answer", [PARK, LATER])
def test_a_skipped_event_leaves_no_trace_and_the_next_one_is_worked_on(answer: object) -> None:
    shell = stuck(answer, "next").order(Verb.SKIP)

    assert shell.emitted == ["next"]
    assert shell.state == Seen(("first", "next"))


def test_an_event_that_waits_for_its_start_can_be_skipped() -> None:
    shell = Shell(Scripted())
    shell.arrive(Happened("early"), Route.CONTINUE_EXISTING, hold=60_000)

    assert shell.order(Verb.SKIP).instance is None


@pytest.mark.parametrize("answer", [LATER])
def test_what_is_tried_again_by_itself_can_be_parked(answer: object) -> None:
    shell = stuck(answer, "next").order(Verb.PARK)

    assert shell.condition is Condition.PARKED
    assert shell.work.reason == "a test"
    assert shell.advance(600_000) == []
    assert "parked already" in shell.order(Verb.PARK).refused


def test_a_command_without_an_answer_can_be_parked_and_is_sent_again_when_released() -> None:
    shell = Shell(Scripted(dispatch="confirm"))
    shell.arrive(Happened("asks", ("a", "b")))

    shell.order(Verb.PARK)
    shell.reply(shell.commands[0], accepted=True)
    assert shell.condition is Condition.PARKED
    shell.order(Verb.RELEASE)

    assert shell.emitted == ["a", "a"]
    assert shell.commands[0].id == shell.commands[1].id


def test_a_skipped_command_is_given_up_and_the_next_one_goes_out() -> None:
    shell = Shell(Scripted(dispatch="confirm"))
    shell.arrive(Happened("asks", ("a", "b")))

    shell.order(Verb.SKIP)
    assert shell.emitted == ["a", "b"]
    shell.order(Verb.SKIP)

    assert shell.condition is Condition.IDLE
    assert shell.state == Seen(("asks",))


def test_after_the_last_skipped_command_after_command_is_called_for_those_before() -> None:
    called: list[str] = []

    def after(_state: Seen, command: Do, _metadata: Any) -> AfterCommand | None:
        called.append(command.what)
        return None

    shell = Shell(WithAfterCommand(after, dispatch="confirm"))
    shell.arrive(Happened("asks", ("a", "b")))
    shell.reply(shell.commands[0], accepted=True)

    shell.order(Verb.SKIP)

    assert called == ["a"]
    assert shell.condition is Condition.IDLE


def test_a_failing_after_command_can_be_skipped() -> None:
    def after(_state: Seen, command: Do, _metadata: Any) -> AfterCommand | None:
        raise ValueError(command.what)

    shell = Shell(WithAfterCommand(after, answers(PARK)))
    shell.arrive(Happened("asks", ("a", "b")))

    assert shell.order(Verb.SKIP).condition is Condition.PARKED
    assert shell.work.error_text == "b"
    assert shell.order(Verb.SKIP).condition is Condition.IDLE


def test_a_stopped_instance_is_gone_and_what_waits_behind_begins_anew() -> None:
    shell = stuck(PARK, "next").order(Verb.STOP)

    assert shell.state == Seen(("next",))
    assert shell.outcomes[-2:] == [Outcome.ENDED, Outcome.HANDLED]


def test_a_stopped_instance_leaves_its_marker() -> None:
    shell = Shell(Scripted(completed_for=60))
    shell.arrive(Happened("first"))

    assert shell.order(Verb.STOP).condition is Condition.COMPLETED
    assert "ended already" in shell.order(Verb.STOP).refused


def test_a_state_is_edited_whatever_the_instance_waits_for() -> None:
    shell = stuck(PARK, "next")

    shell.order(Verb.EDIT, set={"names": ["mended"]}, expect={"names": ["first"]})

    assert shell.refused == ""
    assert shell.state == Seen(("mended",))
    assert shell.condition is Condition.PARKED
    assert shell.waiting == ["next"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "edit needs `set`"),
        ({"set": "names"}, "edit needs `set`"),
        ({"set": {}}, "edit needs `set`"),
        ({"set": {"name": 1}}, "Seen has no field 'name'; it has names"),
        ({"set": {"names": 7}}, "field names of Seen: Expected `array`, got `int`"),
        ({"set": {"names": []}, "expect": {"names": ["other"]}}, "field names is not ('other',)"),
        ({"set": {"names": ["x" * 2_000]}}, "the limit is 1000"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(arguments: dict[str, Any], why: str) -> None:
    shell = stuck().order(Verb.EDIT, **arguments)

    assert why in shell.refused
    assert shell.state == Seen(("first",))


def test_what_has_no_state_cannot_be_edited() -> None:
    shell = Shell(Scripted())
    shell.arrive(Happened("early"), Route.CONTINUE_EXISTING, hold=60_000)

    assert "it is absent" in shell.order(Verb.EDIT, set={"names": []}).refused


class Alarmed(Scripted):
    """Its first event sets a timer."""

    def handle(self, state: Seen, event: Any, metadata: Any) -> Any:
        asked = [timers.Set("alarm", after=60)] if event.name == "first" else []
        return [*super().handle(state, _plain(event), metadata), *asked]

    def apply(self, state: Seen, event: Any, *args: Any) -> Seen:
        return super().apply(state, _plain(event))


def _plain(event: Any) -> Happened:
    return event if isinstance(event, Happened) else Happened(event.name, ("fired",))


def alarmed(*behind: Happened) -> Shell:
    shell = Shell(Alarmed(answers(PARK)))
    for each in (Happened("first"), *behind):
        shell.arrive(each)
    return shell


def test_a_timer_is_fired_early_and_once() -> None:
    shell = alarmed().order(Verb.FIRE, name="alarm")

    assert shell.emitted == ["fired"]
    shell.advance(60_000)
    assert shell.emitted == ["fired"]


def test_a_timer_that_is_fired_waits_behind_what_is_parked() -> None:
    shell = alarmed(Happened("bad", (), "handle"))

    shell.order(Verb.FIRE, name="alarm")
    assert shell.waiting == ["alarm"]
    assert "waits in the backlog" in shell.order(Verb.FIRE, name="alarm").refused
    shell.order(Verb.SKIP)

    assert shell.emitted == ["fired"]


def test_a_cancelled_timer_never_fires() -> None:
    shell = alarmed().order(Verb.CANCEL, name="alarm")

    shell.advance(60_000)

    assert shell.outcomes[-1] is Outcome.ORDERED
    assert shell.emitted == []


@pytest.mark.parametrize("verb", [Verb.FIRE, Verb.CANCEL])
@pytest.mark.parametrize("name", ["other", None, 7])
def test_a_timer_that_is_not_set_is_told_with_those_that_are(verb: Verb, name: object) -> None:
    assert f"no timer {name!r}; it has alarm" in alarmed().order(verb, name=name).refused


def test_who_awaits_a_reply_or_a_start_is_not_retried_by_order() -> None:
    asks = Shell(Scripted(dispatch="confirm"))
    asks.arrive(Happened("asks", ("a",)))
    early = Shell(Scripted())
    early.arrive(Happened("early"), Route.CONTINUE_EXISTING, hold=60_000)

    assert asks.order(Verb.RETRY).refused.startswith("it waits for a reply, not for a retry")
    assert early.order(Verb.RETRY).refused.startswith("it waits for its start, not for a retry")

"""Retries: at once or later, what they carry, and what of that survives being stored."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from pmstream.core import failure
from pmstream.core.engine import Due, Outcome, step
from pmstream.core.failure import FailureContext, Stage
from pmstream.core.instance import (
    Wait,
)
from pmstream.core.lifecycle import (
    Condition,
    DueKind,
)
from pmstream.core.routing import Route
from tests.core.kit import (
    MAX_STATE_BYTES,
    START,
    UUID,
    Boom,
    Do,
    Happened,
    Scripted,
    Seen,
    answers,
    counting,
)
from tests.core.scenes import after_command_fails, command_fails, event_fails, route_fails
from tests.core.shell import Shell


@pytest.mark.parametrize("scene", [route_fails, event_fails, command_fails, after_command_fails])
def test_the_context_of_a_failure_is_stored_and_comes_back(scene: Any) -> None:
    shell, _ = scene(counting(delay=1))

    shell.advance(1_000)
    shell.advance(1_000)

    seen = [(each.context, each.attempts, each.first_failed_at) for each in shell.manager.contexts]
    assert seen == [({}, 1, START), ({"n": 1}, 2, START), ({"n": 2}, 3, START)]
    assert shell.work.context == {"n": 3}
    assert shell.work.due == START + 3_000


def test_the_callbacks_are_told_which_attempt_it_is() -> None:
    shell, _ = event_fails(answers(failure.Retry(), failure.Retry(delay=1), failure.Skip()))
    shell.advance(1_000)

    assert [each.attempt for each in shell.manager.metadata] == [1, 1, 2, 3]
    assert [each.metadata.attempt for each in shell.manager.contexts] == [1, 2, 3]


def test_a_retry_that_succeeds_forgets_its_failures() -> None:
    shell, _ = event_fails(counting(delay=1))
    shell.manager.broken = False

    assert shell.advance(1_000) == [Outcome.HANDLED]

    assert shell.state == Seen(("first", "it"))
    assert shell.emitted == ["a", "b"]
    shell.manager.broken = True
    shell.arrive(Happened("next", (), "apply"))
    assert shell.manager.contexts[-1].context == {}
    assert shell.manager.contexts[-1].attempts == 1


def test_immediate_retries_are_capped_then_due_at_once() -> None:
    shell = Shell(Scripted(counting(delay=0), max_attempts_per_batch=4))

    done = shell.arrive(Happened("failing", (), "handle"))

    assert done.outcome is Outcome.RETRYING
    assert len(shell.manager.metadata) == 4
    work = shell.work
    assert (work.wait, work.due, work.attempts) == (Wait.RETRY, START, 4)
    assert shell.advance(0) == [Outcome.RETRYING]
    assert len(shell.manager.metadata) == 8
    assert shell.work.context == {"n": 8}


def test_replacements_that_fail_for_ever_are_capped_too() -> None:
    shell, done = command_fails(answers(failure.ContinueWith([Do("bad again")])))

    assert done.outcome is Outcome.RETRYING
    assert len(shell.manager.failures) == 10
    assert not shell.emitted


def test_an_immediate_retry_of_an_event_handles_it_anew() -> None:
    shell = Shell(Scripted())

    def mend(_error: Exception, _failed: Any, _context: FailureContext) -> failure.Answer:
        shell.manager.broken = False
        return failure.Retry()

    shell.manager.answer = mend
    assert shell.arrive(Happened("it", ("a",), "apply")).outcome is Outcome.HANDLED
    assert shell.emitted == ["a"]


def test_an_immediate_retry_of_a_command_encodes_only_it_and_the_pending_ones() -> None:
    shell = Shell(Scripted())

    def mend(_error: Exception, _failed: Any, _context: FailureContext) -> failure.Answer:
        shell.coder.bad = ""
        return failure.Retry()

    shell.manager.answer = mend
    shell.arrive(Happened("it", ("a", "bad", "c")))

    assert shell.emitted == ["a", "bad", "c"]
    assert len(shell.manager.metadata) == 1


def test_a_delayed_retry_of_a_command_runs_the_event_again() -> None:
    shell, _ = command_fails(counting(delay=1))
    work = shell.work
    assert (work.stage, work.command, work.error_type) == (Stage.DISPATCH, 1, "CommandInvalid")
    shell.coder.bad = ""

    assert shell.advance(1_000) == [Outcome.HANDLED]

    assert shell.emitted == ["a", "bad", "c", "d"]
    assert shell.state == Seen(("first", "it"))
    assert [each.attempt for each in shell.manager.metadata] == [1, 1, 2]


def test_the_context_of_a_command_is_not_for_the_next_one() -> None:
    given = (failure.Retry({"n": 1}), failure.Skip(), failure.Skip())
    shell = Shell(Scripted(answers(*given)))

    shell.arrive(Happened("it", ("bad 1", "bad 2")))

    assert [each.context for each in shell.manager.contexts] == [{}, {"n": 1}, {}]
    assert [each.attempts for each in shell.manager.contexts] == [1, 2, 1]


def test_the_stored_context_of_a_command_is_not_for_another_one() -> None:
    shell = Shell(Scripted(answers(failure.Retry({"n": 1}, 1), failure.Skip())))
    shell.coder.bad = "bad 2"
    shell.arrive(Happened("it", ("bad 1", "bad 2")))
    shell.coder.bad = "bad"

    shell.advance(1_000)

    assert [each.context for each in shell.manager.contexts] == [{}, {}, {}]
    assert [each.attempts for each in shell.manager.contexts] == [1, 1, 1]


def test_the_context_of_an_event_passes_from_its_route_to_its_handler() -> None:
    shell = Shell(Scripted(answers(failure.Retry({"n": 1}, 60), failure.Skip())))
    shell.arrive(Happened("early", (), "handle"), Route.CONTINUE_EXISTING)
    shell.arrive(Happened("start"))

    assert shell.advance(0) == [Outcome.SKIPPED]

    stages = [(each.stage, each.context, each.attempts) for each in shell.manager.contexts]
    assert stages == [(Stage.ROUTING, {}, 1), (Stage.HANDLE, {"n": 1}, 2)]


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [
        (2, 2_000),
        (0.25, 250),
        (1e-9, 1),
        (timedelta(minutes=1), 60_000),
        (timedelta(microseconds=1), 1),
        (timedelta(days=36_500), 36_500 * 86_400_000),
    ],
)
def test_a_delay_is_seconds_or_a_timedelta(delay: Any, milliseconds: int) -> None:
    shell, done = event_fails(answers(failure.Retry(delay=delay)))

    assert done.outcome is Outcome.RETRYING
    assert shell.work.due == START + milliseconds
    assert shell.condition is Condition.RETRYING


@pytest.mark.parametrize(
    "delay",
    [
        *(-1, -0.001, timedelta(seconds=-1), math.nan, math.inf, -math.inf, 1e300),
        *("1", None, True, 1j, [], timedelta.max),
    ],
)
def test_an_illegal_delay_stops_with_the_original_error(delay: Any) -> None:
    shell, done = event_fails(answers(failure.Retry(delay=delay)))

    assert done.outcome is Outcome.HALTED
    told = shell.halted or ""
    assert "Boom: in handle; error() answered an illegal Retry: " in told
    assert "delay is" in told


class Moody(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise Boom("no value")

    def __iter__(self) -> Iterator[str]:
        return iter("a")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "context",
    [
        {"f": print},
        {"f": object()},
        {7: "x"},
        {"n": 2**70},
        {"text": "\ud800"},
        {"big": "x" * MAX_STATE_BYTES},
        *(None, [], "abc", 7, Moody()),
    ],
)
@pytest.mark.parametrize("answer", ["Retry", "ContinueWith"])
def test_a_context_that_cannot_be_stored_stops(answer: str, context: Any) -> None:
    given = {
        "Retry": failure.Retry(context),
        "ContinueWith": failure.ContinueWith([], context),
    }
    shell, done = command_fails(answers(given[answer]))

    assert done.outcome is Outcome.HALTED
    assert f"error() answered an illegal {answer}: " in (shell.halted or "")


def test_a_context_may_be_any_plain_mapping() -> None:
    context = MappingProxyType(
        {"n": 1, "list": [1.5, None, True], "when": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    shell, _ = event_fails(answers(failure.Retry(context, 1), failure.Skip()))

    shell.advance(1_000)

    assert shell.manager.contexts[-1].context == dict(context)


def test_a_whole_failure_context_stands_for_its_context() -> None:
    def error(_error: Exception, _failed: Any, context: FailureContext) -> failure.Answer:
        whole = msgspec.structs.replace(context, context={**context.context, "again": True})
        return failure.Retry(whole, 1)

    shell, _ = event_fails(error)

    assert shell.work.context == {"again": True}


def test_an_immediate_retry_sees_the_context_as_it_would_be_stored() -> None:
    given = (failure.Retry({"pair": (1, 2)}), failure.Skip())
    shell, _ = event_fails(answers(*given))

    assert shell.manager.contexts[-1].context == {"pair": [1, 2]}


def test_an_author_cannot_change_a_stored_context_in_place() -> None:
    def error(_error: Exception, _failed: Any, context: FailureContext) -> failure.Answer:
        kept = context.context.get("list", [])
        kept.append(context.attempts)
        return failure.Stop() if context.attempts == 2 else failure.Retry({"list": kept}, 1)

    shell, _ = event_fails(error)
    instance = shell.instance
    now = START + 1_000
    step(shell.callbacks, instance, Due(DueKind.RETRY, UUID), now, shell.coder, MAX_STATE_BYTES)

    assert instance == shell.instance

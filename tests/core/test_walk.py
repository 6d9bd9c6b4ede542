"""What holds of step() for any manager and any history (Hypothesis)."""

from collections.abc import Callable
from typing import Any

from hypothesis import event as seen_by_hypothesis
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.engine import Arrived, Due, Input, Outcome, Step, Waiting, step
from pmstream.core.failure import FailureContext
from pmstream.core.instance import Work, load_work
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Metadata, Routed
from pmstream.core.process import AfterCommand
from pmstream.core.routing import Route
from tests.core.kit import (
    MAX_STATE_BYTES,
    UUID,
    Boom,
    Do,
    Scripted,
    Seen,
    WithAfterCommand,
)
from tests.core.shell import Shell


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Plan(Struct, frozen=True):
    """An event that says what goes wrong at which attempt, and what error() answers then."""

    fails: tuple[str, ...] = ("",)
    answers: tuple[str, ...] = ("skip",)
    commands: tuple[str, ...] = ()


FAULTS: dict[str, Callable[[], object]] = {
    "junk": lambda: 7,
    "generator": lambda: (1 / 0 for _ in range(1)),
    "unencodable": lambda: [7, None],
}

ANSWERS: dict[str, Callable[[FailureContext], object]] = {
    "retry": lambda context: failure.Retry({**context.context, "n": context.attempts}),
    "later": lambda context: failure.Retry(context, delay=1),
    "skip": lambda _: failure.Skip(),
    "skip-discard": lambda _: failure.SkipDiscardPending(),
    "continue": lambda _: failure.ContinueWith([Do("a"), Do("bad")]),
    "park": lambda _: failure.Park(),
    "stop": lambda _: failure.Stop(Mute()),
    "nonsense": lambda _: object(),
    "bad context": lambda _: failure.Retry({"f": print}),
    "bad delay": lambda _: failure.Retry(delay=-1),
    "raises": lambda _: 1 / 0,
}


def at(attempt: int, choices: tuple[str, ...]) -> str:
    return choices[min(attempt, len(choices)) - 1]


def carry_out(plan: Plan, metadata: Metadata) -> Any:
    fault = at(metadata.attempt, plan.fails)
    if fault == "mute":
        raise Mute
    if fault in FAULTS:
        return FAULTS[fault]()
    return [Do(each) for each in plan.commands]


class Random(Scripted):
    event = Plan

    def handle(self, state: Seen, event: Plan, metadata: Metadata) -> Any:
        return carry_out(event, metadata)

    def apply(self, state: Seen, event: Plan, *args: Any) -> Any:
        (metadata,) = args
        fault = at(metadata.attempt, event.fails)
        if fault == "apply":
            raise Boom("\ud800 is no text")
        return 7 if fault == "state" else Seen((*state.names, str(metadata.offset)))

    def error(self, error: Exception, failed: Any, context: FailureContext) -> Any:
        return ANSWERS[at(context.attempts, context.last_event.answers)](context)


class RandomWithAfterCommand(Random, WithAfterCommand):
    def __init__(self) -> None:
        WithAfterCommand.__init__(self, self.follow)

    def follow(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        if command.what == "raise" and metadata.attempt < 3:
            raise Boom("in after_command")
        return AfterCommand.STOP if command.what == "stop" else None


class Walk(Shell):
    """A shell that checks at every step what must hold of all of them."""

    def __init__(self, manager: Scripted) -> None:
        super().__init__(manager)

    def held(self) -> list[int]:
        """Offsets of the events that wait in the instance or behind it."""
        instance = self.instance
        work = instance.work if instance is not None else None
        waiting = [offset_in(load_work(each)) for each in self.backlog.values()]
        return waiting if work is None else [*waiting, offset_in(work)]

    def step(self, input: Input) -> Step:
        before, held = self.instance, self.held()
        twice = [
            step(self.callbacks, before, input, self.now, self.coder, MAX_STATE_BYTES)
            for _ in range(2)
        ]
        assert twice[0] == twice[1]
        done = super().step(input)
        assert done == twice[0]
        offset = offset_of(input, before.work if before is not None else None)
        self.check_held(done, held, offset if isinstance(input, Arrived) else None)
        if done.commands:
            self.check_counted(done, offset)
        if done.outcome is Outcome.QUEUED:
            assert isinstance(input, Arrived)
        return done

    def check_held(self, done: Step, before: list[int], arrived: int | None) -> None:
        after = self.held()
        assert len(set(after)) == len(after)
        assert set(after) <= {*before, arrived}
        gone = {*before, arrived} - set(after) - {None}
        assert len(gone) <= 1  # one input at most ends in a step
        if done.outcome in (Outcome.QUEUED, Outcome.RETRYING, Outcome.PARKED):
            assert not gone

    def check_counted(self, done: Step, offset: int) -> None:
        if done.outcome is Outcome.ENDED:
            return
        assert self.state.names[-1] == str(offset)
        if done.outcome is not Outcome.HANDLED:
            assert done.instance is not None
            assert done.instance.work is not None
            assert done.instance.work.sent


def offset_in(work: Work) -> int:
    assert isinstance(work.input, Routed)
    return work.input.offset


def offset_of(input: Input, work: Any) -> int:
    if isinstance(input, Arrived):
        return input.routed.offset
    if isinstance(input, Waiting):
        return offset_in(input.entry.work)
    return offset_in(work) if work is not None else -1


FAILS = st.sampled_from(["", "", "", "apply", "state", "mute", *FAULTS])
plans = st.builds(
    Plan,
    fails=st.lists(FAILS, min_size=1, max_size=3).map(tuple),
    answers=st.lists(st.sampled_from([*ANSWERS, "later", "park"]), min_size=1, max_size=3).map(
        tuple
    ),
    commands=st.lists(st.sampled_from(["a", "a", "bad", "raise", "stop"]), max_size=3).map(tuple),
)
Action = Callable[[Walk], object]
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        lambda plan, route, drain: lambda walk: walk.arrive(plan, route, drain=drain),
        plans,
        st.sampled_from(Route),
        st.sampled_from([True, True, False]),
    ),
    st.sampled_from([0, 1_000, 60_000]).map(lambda ms: lambda walk: walk.advance(ms)),
    st.sampled_from(DueKind).map(lambda kind: lambda walk: walk.drain(walk.step(Due(kind, UUID)))),
    st.just(lambda walk: setattr(walk.coder, "can_read", not walk.coder.can_read)),
)


@given(st.sampled_from([Random, RandomWithAfterCommand]), st.lists(actions, max_size=25))
def test_any_history_keeps_the_rules(manager: type[Random], history: list[Action]) -> None:
    walk = Walk(manager())

    for action in history:
        action(walk)

    ids = [each.id for each in walk.commands]
    assert len(set(ids)) == len(ids)
    for outcome in {*walk.outcomes}:
        seen_by_hypothesis(outcome)
    for edge in walk.edges:
        seen_by_hypothesis(f"{edge[0]} to {edge[1]}")

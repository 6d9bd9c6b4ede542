"""What holds of step() for any manager and any history (Hypothesis)."""

from collections.abc import Callable
from typing import Any

from hypothesis import event as seen_by_hypothesis
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.engine import Arrived, Due, Input, Outcome, Reply, Step, Waiting, step
from pmstream.core.instance import Instance, load_work
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Cause, Emitted, Timed
from pmstream.core.routing import HOLDABLE, Route
from tests.core.kit import (
    MAX_STATE_BYTES,
    UUID,
    Scripted,
)
from tests.core.plans import ANSWERS, FAULTS, TIMERS, Plan, Random, RandomWithAfterCommand
from tests.core.shell import Shell

HOLD_MS = 30_000
OPTIONS: list[dict[str, Any]] = [
    {},
    {"completed_for": 60},
    {"dispatch": "confirm", "confirm_timeout": 30},
    {"dispatch": "confirm", "confirm_timeout": 30, "completed_for": 60},
]


class Walk(Shell):
    """A shell that checks at every step what must hold of all of them."""

    def __init__(self, manager: Scripted) -> None:
        super().__init__(manager)
        self.ids: set[str] = set()

    def held(self) -> list[str]:
        """The inputs that wait in the instance or behind it."""
        instance = self.instance
        work = instance.work if instance is not None else None
        waiting = [mark_of(load_work(each).input) for each in self.backlog.values()]
        return waiting if work is None else [*waiting, mark_of(work.input)]

    def step(self, input: Input) -> Step:
        before, held = self.instance, self.held()
        twice = [
            step(self.callbacks, before, input, self.now, self.coder, MAX_STATE_BYTES)
            for _ in range(2)
        ]
        assert twice[0] == twice[1]
        done = super().step(input)
        assert done == twice[0]
        self.check_held(done, held, new_in(input, before))
        if done.commands:
            self.check_counted(done, label_of(input, before))
            self.check_ids(done.commands, before)
        if done.outcome is Outcome.QUEUED:
            assert isinstance(input, Arrived | Due)
        if isinstance(input, Reply) and not awaits(before, input.command_id):
            assert (done.outcome, done.instance) == (Outcome.IGNORED, before)
        return done

    def check_held(self, done: Step, before: list[str], new: str | None) -> None:
        after = self.held()
        assert len(set(after)) == len(after)
        assert set(after) <= {*before, new}
        gone = {*before, new} - set(after) - {None}
        assert len(gone) <= 1  # one input at most ends in a step
        if done.outcome in UNFINISHED:
            assert not gone

    def check_counted(self, done: Step, label: str) -> None:
        if done.outcome is Outcome.ENDED:
            return
        assert self.state.names[-1] == label
        if done.outcome is not Outcome.HANDLED:
            assert done.instance is not None
            work = done.instance.work
            assert work is not None
            waits = done.outcome is Outcome.AWAITING
            assert (work.pending[0] == done.commands[-1]) if waits else work.sent

    def check_ids(self, commands: tuple[Emitted, ...], before: Instance | None) -> None:
        """A command comes again only while it is the one that waits for its reply."""
        for each in commands:
            work = before.work if before is not None else None
            again = work is not None and work.pending and work.pending[0].id == each.id
            assert each.id not in self.ids or again
            self.ids.add(each.id)

    def answer(self, *, accepted: bool) -> None:
        """The reply to the command at hand."""
        instance = self.instance
        work = instance.work if instance is not None else None
        if work is not None and work.pending:
            self.reply(work.pending[0], accepted=accepted, reason="no")

    def answer_old(self) -> None:
        """Replies that nobody waits for, but perhaps the last one."""
        self.step(Reply("unheard of", accepted=True))
        for each in self.commands[-3:]:
            self.drain(self.step(Reply(each.id, accepted=True)))


UNFINISHED = {
    Outcome.QUEUED,
    Outcome.RETRYING,
    Outcome.PARKED,
    Outcome.AWAITING,
    Outcome.HELD,
}


def awaits(instance: Instance | None, command_id: str) -> bool:
    work = instance.work if instance is not None else None
    return work is not None and bool(work.pending) and work.pending[0].id == command_id


def mark_of(cause: Cause) -> str:
    return cause.cause if isinstance(cause, Timed) else str(cause.offset)


def new_in(input: Input, instance: Instance | None) -> str | None:
    """What an input brings in that was not there before."""
    if isinstance(input, Arrived):
        return mark_of(input.routed)
    if isinstance(input, Due) and input.kind is DueKind.TIMER and instance is not None:
        timer = instance.timers.pending.get(input.name)
        if timer is not None and not timer.queued:
            cause = Timed(UUID, input.name, timer.due, timer.n, instance.born, "")
            return cause.cause
    return None


def label_of(input: Input, instance: Instance | None) -> str:
    """What `apply` notes of the event that an input is about."""
    cause: Cause | None = None
    if isinstance(input, Arrived):
        cause = input.routed
    elif isinstance(input, Waiting):
        cause = input.entry.work.input
    elif isinstance(input, Due) and input.kind is DueKind.TIMER:
        return input.name
    elif instance is not None and instance.work is not None:
        cause = instance.work.input
    assert cause is not None
    return cause.name if isinstance(cause, Timed) else str(cause.offset)


FAILS = st.sampled_from(["", "", "", "apply", "state", "mute", *FAULTS])
plans = st.builds(
    Plan,
    fails=st.lists(FAILS, min_size=1, max_size=3).map(tuple),
    answers=st.lists(st.sampled_from([*ANSWERS, "later", "park"]), min_size=1, max_size=3).map(
        tuple
    ),
    commands=st.lists(st.sampled_from(["a", "a", "bad", "raise", "stop"]), max_size=3).map(tuple),
    timers=st.lists(st.sampled_from([*TIMERS]), max_size=2).map(tuple),
)
Action = Callable[[Walk], object]
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(
        lambda plan, route, hold, drain: (
            lambda walk: walk.arrive(
                plan, route, hold=hold if route in HOLDABLE else 0, drain=drain
            )
        ),
        plans,
        st.sampled_from(Route),
        st.sampled_from([0, HOLD_MS]),
        st.sampled_from([True, True, False]),
    ),
    st.sampled_from([0, 1_000, 60_000]).map(lambda ms: lambda walk: walk.advance(ms)),
    st.builds(
        lambda kind, name: lambda walk: walk.drain(walk.step(Due(kind, UUID, name))),
        st.sampled_from(DueKind),
        st.sampled_from(["", "a", "boom"]),
    ),
    st.booleans().map(lambda accepted: lambda walk: walk.answer(accepted=accepted)),
    st.just(lambda walk: walk.answer_old()),
    st.just(lambda walk: setattr(walk.coder, "can_read", not walk.coder.can_read)),
)


@given(
    st.sampled_from([Random, RandomWithAfterCommand]),
    st.sampled_from(OPTIONS),
    st.lists(actions, max_size=25),
)
def test_any_history_keeps_the_rules(
    manager: type[Random], options: dict[str, Any], history: list[Action]
) -> None:
    walk = Walk(manager(**options))

    for action in history:
        action(walk)

    ids = [each.id for each in walk.commands]
    assert len(set(ids)) == len(ids) or "dispatch" in options
    for outcome in {*walk.outcomes}:
        seen_by_hypothesis(outcome)
    for edge in walk.edges:
        seen_by_hypothesis(f"{edge[0]} to {edge[1]}")

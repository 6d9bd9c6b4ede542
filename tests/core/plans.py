"""Process managers whose events say what goes wrong at which attempt, and what is answered then."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from pmstream.core import failure
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.process import AfterCommand
from pmstream.core.timers import Cancel, Set, TimerFired
from tests.core.kit import Boom, Do, Scripted, Seen, WithAfterCommand


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Plan(Struct, frozen=True):
    """An event that says what goes wrong at which attempt, and what error() answers then."""

    fails: tuple[str, ...] = ("",)
    answers: tuple[str, ...] = ("skip",)
    commands: tuple[str, ...] = ()
    timers: tuple[str, ...] = ()


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


TIMERS: dict[str, Set | Cancel] = {
    "soon": Set("a", after=1),
    "later": Set("a", after=60),
    "failing": Set("boom", after=1),
    "cancel": Cancel("a"),
    "cancel failing": Cancel("boom"),
}


def carry_out(plan: Plan | TimerFired, metadata: Metadata) -> Any:
    if isinstance(plan, TimerFired):
        if plan.name == "boom" and metadata.attempt == 1:
            raise Boom("in a timer")
        return Do("a")
    fault = at(metadata.attempt, plan.fails)
    if fault == "mute":
        raise Mute
    if fault in FAULTS:
        return FAULTS[fault]()
    return [Do(each) for each in plan.commands] + [TIMERS[each] for each in plan.timers]


class Random(Scripted):
    event = Plan

    def handle(self, state: Seen, event: Any, metadata: Metadata) -> Any:
        return carry_out(event, metadata)

    def apply(self, state: Seen, event: Any, *args: Any) -> Any:
        (metadata,) = args
        if isinstance(event, TimerFired):
            return Seen((*state.names, event.name))
        fault = at(metadata.attempt, event.fails)
        if fault == "apply":
            raise Boom("\ud800 is no text")
        return 7 if fault == "state" else Seen((*state.names, str(metadata.offset)))

    def error(self, error: Exception, failed: Any, context: FailureContext) -> Any:
        event = context.last_event
        answers = ("later", "skip") if isinstance(event, TimerFired) else event.answers
        return ANSWERS[at(context.attempts, answers)](context)


class RandomWithAfterCommand(Random, WithAfterCommand):
    def __init__(self, **options: Any) -> None:
        WithAfterCommand.__init__(self, self.follow, **options)

    def follow(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        if command.what == "raise" and metadata.attempt < 3:
            raise Boom("in after_command")
        return AfterCommand.STOP if command.what == "stop" else None

"""The shell's part in small: one instance and its backlog, a clock that the test moves."""

from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.engine import (
    Arrived,
    Due,
    Input,
    Outcome,
    Reply,
    Step,
    Take,
    Waiting,
    step,
)
from pmstream.core.instance import (
    Entry,
    Instance,
    Status,
    Work,
    dump_instance,
    dump_work,
    load_instance,
    load_work,
)
from pmstream.core.lifecycle import LIFECYCLE, Condition, coming, condition
from pmstream.core.messages import Emitted, Timed
from pmstream.core.orders import Order, Verb
from pmstream.core.process import Callbacks, bind
from pmstream.core.routing import CREATING, Route
from tests.core.kit import (
    MAX_STATE_BYTES,
    START,
    UUID,
    Happened,
    JsonCoder,
    Scripted,
    routed,
    whats,
)


class Shell:
    """The shell's part in small: one instance and its backlog, stored; a clock the test moves.

    Everything goes through its stored form between two steps, and what must hold of every step
    is checked at every step.
    """

    def __init__(self, manager: Scripted) -> None:
        self.manager = manager
        self.callbacks: Callbacks = bind(manager)
        self.coder = JsonCoder(manager.event)
        self.now = START
        self.record: bytes | None = None
        self.backlog: dict[int, bytes] = {}
        self.commands: list[Emitted] = []
        self.outcomes: list[Outcome] = []
        self.edges: set[tuple[Condition, Condition]] = set()
        self.offset = 0
        self.halted: str | None = None
        self.refused = ""

    @property
    def instance(self) -> Instance | None:
        return load_instance(self.record) if self.record is not None else None

    @property
    def work(self) -> Work:
        instance = self.instance
        assert instance is not None
        assert instance.work is not None
        return instance.work

    @property
    def condition(self) -> Condition:
        return condition(self.instance)

    @property
    def state(self) -> Any:
        instance = self.instance
        if instance is None or not instance.exists:
            return None
        return msgspec.msgpack.decode(instance.state, type=self.callbacks.state)

    @property
    def waiting(self) -> list[str]:
        found = []
        for each in sorted(self.backlog):
            cause = load_work(self.backlog[each]).input
            if isinstance(cause, Timed):
                found.append(cause.name)
            else:
                found.append(msgspec.json.decode(cause.value, type=Happened).name)
        return found

    @property
    def emitted(self) -> list[str]:
        return whats(self.commands)

    def arrive(
        self, event: Struct, route: Route = Route.START, *, hold: int = 0, drain: bool = True
    ) -> Step:
        """Hands in an event, then what of the backlog follows; answers the event's own step."""
        first = self.step(Arrived(routed(event, route, self.offset, hold=hold)))
        self.offset += 1
        if drain:
            self.drain(first)
        return first

    def advance(self, milliseconds: int) -> list[Outcome]:
        """Moves the clock and hands in what is due then, in the order of its time."""
        self.now += milliseconds
        before = len(self.outcomes)
        instance = self.instance
        found = coming(instance) if instance is not None else []
        for each in sorted(found, key=lambda one: one.due):
            if each.due <= self.now:
                self.drain(self.step(Due(each.kind, UUID, each.name)))
        return self.outcomes[before:]

    def reply(self, command: Emitted, *, accepted: bool, reason: Any = None) -> Step:
        """Hands in a service's answer, then what of the backlog follows."""
        first = self.step(Reply(command.id, accepted, reason))
        self.drain(first)
        return first

    def order(self, verb: Verb, *, drain: bool = True, **arguments: Any) -> "Shell":
        """Hands in an operator's order, then what of the backlog follows."""
        order = Order(
            id="o-1", verb=verb, process_uuid=UUID, arguments=arguments, who="ops", why="a test"
        )
        first = self.step(order)
        self.refused = first.refused
        if drain:
            self.drain(first)
        return self

    def drain(self, last: Step) -> None:
        while last.take is not None and last.halt is None:
            entry = self.entry(last.take)
            if entry is None:
                return
            last = self.step(Waiting(entry))

    def entry(self, take: Take) -> Entry | None:
        for sequence in sorted(self.backlog):
            work = load_work(self.backlog[sequence])
            if take is Take.FIRST or work.input.route in CREATING:
                return Entry(sequence, work)
        return None

    def step(self, input: Input) -> Step:
        before = self.instance
        done = step(self.callbacks, before, input, self.now, self.coder, MAX_STATE_BYTES)
        self.outcomes.append(done.outcome)
        if done.halt is not None:
            assert done.outcome is Outcome.HALTED
            assert not done.commands
            self.halted = done.halt.reason
            if done.taken is None:
                assert done.instance == before
                return done
        self.record = dump_instance(done.instance) if done.instance is not None else None
        assert self.instance == done.instance
        if done.put is not None:
            assert done.put.sequence not in self.backlog
            self.backlog[done.put.sequence] = dump_work(done.put.work)
        if done.taken is not None:
            del self.backlog[done.taken]
        self.commands.extend(done.commands)
        self._check(condition(before), done.instance)
        return done

    def _check(self, before: Condition, instance: Instance | None) -> None:
        after = condition(instance)
        if before is not after:
            assert after in LIFECYCLE[before], f"{before} -> {after} is not in LIFECYCLE"
            self.edges.add((before, after))
        if instance is None:
            assert not self.backlog
            return
        backlog = instance.backlog
        assert instance.status is not Status.ABSENT or instance.work or backlog.size
        assert instance.exists == bool(instance.state)
        assert backlog.size == len(self.backlog)
        assert all(backlog.first <= each < backlog.next for each in self.backlog)
        if instance.work is not None:
            assert instance.work.wait is not None
            assert not (instance.exists and instance.work.not_started)

"""A small world whose process manager sets timers, holds early events and confirms commands."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pmstream import App, routing
from pmstream.core.messages import ACCEPTED, COMMAND_ID, OUTCOME, REJECTED
from pmstream.core.timers import Set, TimerFired
from pmstream.runtime.log import Record, TopicSpec
from pmstream.runtime.roles import INSTANCES
from tests.runtime import world
from tests.runtime.world import Counter, Do, Happened, World

FIRED = -1
"""Event number of a command that a timer called for."""

TIMER_SECONDS = HOLD_SECONDS = 60


class Clocked(Counter):
    """As Counter; an event may also set a timer, or come before its start."""

    def interested(self, event: Happened) -> routing.Answer:
        if event.what == "early":
            return routing.ContinueExisting(event.process, hold=HOLD_SECONDS)
        return super().interested(event)

    def handle(self, state: Any, event: Any, metadata: Any) -> Any:
        if isinstance(event, TimerFired):
            return Do(process=metadata.process_uuid, n=FIRED, count=state.count)
        command = super().handle(state, event, metadata)
        return [command, Set("it", after=TIMER_SECONDS)] if event.what == "timer" else command

    def apply(self, state: Any, event: Any) -> Any:
        return state if isinstance(event, TimerFired) else super().apply(state, event)


class ClockedWorld(World):
    """A world with replies."""

    def _make_topics(self) -> None:
        self.log.create_topics([TopicSpec(self.names.replies, self.partitions)])
        super()._make_topics()

    def asked(self) -> list[Record]:
        """Every visible command, as a record."""
        return self.read(self.target)

    def reply(
        self, command: Record, *, accepted: bool = True, reason: Any = None, partition: int = -1
    ) -> None:
        """Answers as a service does, where the command says or into another partition."""
        headers = dict(command.headers)
        told = int(headers["reply-partition"] or b"0")
        value = None if reason is None else msgspec.json.encode(reason)
        answer = (
            (COMMAND_ID, headers["command-id"]),
            (OUTCOME, ACCEPTED if accepted else REJECTED),
        )
        topic = (headers["reply-to"] or b"").decode()
        where = told if partition < 0 else partition
        self.writer.produce(topic, value, headers["process-uuid"], answer, where)
        self.writer.flush(10)

    @property
    def stage(self) -> Any:
        """The stage of the instances worker."""
        return self.workers["w-0"].stage

    def restart(self) -> None:
        """The instances worker is killed and comes back."""
        self.crash("w-0")
        self.start(INSTANCES, "w-0")


def asked(world: ClockedWorld, count: int) -> Callable[[], bool]:
    """Whether so many commands are visible."""
    return lambda: len(world.asked()) == count


def make_app(name: str = "world", **options: Any) -> App:
    """The app of a clocked world, its topics named after it."""
    return App(
        name=name,
        schemas=Path(world.__file__).parent / "avro",
        events={f"{name}.events": [Happened]},
        commands={f"{name}.commands": {Do: "process"}},
        process_managers=[Clocked(**options)],
    )

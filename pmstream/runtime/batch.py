"""What the inputs of one partition made since its last commit.

Rule: until the commit is acknowledged it can be thrown away.
"""

from pmstream.core import engine
from pmstream.core.engine import Halt, Outcome, Step, Take, Waiting
from pmstream.core.instance import Instance
from pmstream.runtime.commit import Out, Sent
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.overlay import Overlay
from pmstream.runtime.setup import Setup
from pmstream.runtime.store import Store

DRAIN_LIMIT = 100
"""Backlog entries of one instance in one batch, so that a long backlog starves nobody."""


class Batch:
    """Runs inputs through the core, and keeps what comes out.

    Args:
        number: of the partition.
        setup: shared by the worker's partitions.
        store: what is committed.

    Attributes:
        instances: as they would be after the batch.
        out: records to produce, in order.
        size: their bytes, roughly.
        halt: why the process manager is to stop, once an input said so.
        counts: inputs by outcome, since the partition runs.
    """

    def __init__(self, number: int, setup: Setup, store: Store) -> None:
        self._setup = setup
        traced, where = setup.traced, TopicPartition(setup.input, number)
        self._advanced = engine.step if traced is None else traced.of(where)
        self._reply_headers = setup.reply_headers(number)
        self.instances = Overlay(store, setup.room, setup.idle_ms)
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.begin()

    def begin(self) -> None:
        """An empty batch."""
        self.instances.forget()
        self.out: list[Sent] = []
        self.size = 0
        self.halt: Halt | None = None

    def step(self, uuid: str, input: engine.Input, now: int) -> Step | None:
        """Runs an input, then what of the backlog follows from it.

        Returns:
            The input's own step; None when it must not count, because it halts.
        """
        return self.advance(uuid, self.instances.get(uuid), input, now)

    def advance(
        self, uuid: str, instance: Instance | None, input: engine.Input, now: int
    ) -> Step | None:
        """As `step`, for who has the instance of this moment at hand."""
        step = self._advance(instance, input, now)
        if step.halt is not None:
            self.halt = step.halt
            return None
        self._absorb(uuid, step)
        if step.take is not None:
            self._drain(uuid, step.take, now)
        return step

    def _drain(self, uuid: str, take: Take | None, now: int) -> None:
        """Runs what waits behind an input; what is left is a due entry: the next batch goes on."""
        drained = 0
        while take is not None and (drained < DRAIN_LIMIT or take is not Take.FIRST):
            entry = self.instances.entry(uuid, take)
            if entry is None:
                return
            step = self._advance(self.instances.get(uuid), Waiting(entry), now)
            if step.halt is not None:
                self.halt = step.halt
                self.instances.put(uuid, step)  # its place, see `Step`
                return
            self._absorb(uuid, step)
            take, drained = step.take, drained + 1

    def _advance(self, instance: Instance | None, input: engine.Input, now: int) -> Step:
        setup = self._setup
        if setup.guard is not None:
            setup.guard.begin()
        return self._advanced(
            setup.callbacks, instance, input, now, setup.coder, setup.max_state_bytes
        )

    def _absorb(self, uuid: str, step: Step) -> None:
        self.instances.put(uuid, step)
        self.counts[step.outcome] += 1
        for command in step.commands:
            self.size += len(command.value)
            if self._reply_headers:
                headers = command.headers + self._reply_headers
                self.out.append(Out(command.topic, command.key, command.value, headers))
            else:
                self.out.append(command)

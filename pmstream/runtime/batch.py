"""What the inputs of one partition made since its last commit.

Rule: until the commit is acknowledged it can be thrown away.
"""

from pmstream.core import engine
from pmstream.core.engine import Halt, Outcome, Step, Take, Waiting
from pmstream.runtime.commit import Out
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
        self.out: list[Out] = []
        self.size = 0
        self.halt: Halt | None = None

    def step(self, uuid: str, input: engine.Input, now: int) -> Step | None:
        """Runs an input, then what of the backlog follows from it.

        Returns:
            The input's own step; None when it must not count, because it halts.
        """
        drained, first = 0, None
        while True:
            step = self._advance(uuid, input, now)
            if step.halt is not None:
                self.halt = step.halt
                return first
            first = first or step
            self._absorb(uuid, step)
            entry = self.instances.entry(uuid, step.take) if step.take is not None else None
            if entry is None or (drained >= DRAIN_LIMIT and step.take is Take.FIRST):
                return first  # a backlog that is left is a due entry: the next batch goes on
            input = Waiting(entry)
            drained += 1

    def _advance(self, uuid: str, input: engine.Input, now: int) -> Step:
        setup = self._setup
        if setup.guard is not None:
            setup.guard.begin()
        return self._advanced(
            setup.callbacks,
            self.instances.get(uuid),
            input,
            now,
            setup.coder,
            setup.max_state_bytes,
        )

    def _absorb(self, uuid: str, step: Step) -> None:
        self.instances.put(uuid, step)
        self.counts[step.outcome] += 1
        for command in step.commands:
            headers = command.headers + self._reply_headers
            self.out.append(Out(command.topic, command.key, command.value, headers))
            self.size += len(command.value)

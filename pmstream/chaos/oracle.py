"""What must have come of the inbox: a fold of the core, one input after the other.

Rule: no runtime in here but the core; nobody fails, nothing waits, retries come at once.
"""

from collections.abc import Iterable

from msgspec import Struct

from pmstream.core.engine import Arrived, Coder, Due, Entry, Input, Take, Waiting, step
from pmstream.core.instance import Instance, Wait, dump_instance
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Emitted, Routed
from pmstream.core.process import Callbacks
from pmstream.core.routing import CREATING
from pmstream.errors import PmstreamError

_MAX_STATE_BYTES = 1_000_000


class Expected(Struct):
    """What a fold leaves.

    Attributes:
        states: process UUID to the bytes of its record, of those that exist.
        commands: process UUID to its commands, in order.
    """

    states: dict[str, bytes]
    commands: dict[str, list[Emitted]]


class Oracle:
    """Folds routed events, process by process.

    Args:
        callbacks: of the process manager.
        coder: the bytes of messages.
    """

    def __init__(self, callbacks: Callbacks, coder: Coder) -> None:
        self._callbacks, self._coder = callbacks, coder
        self._instances: dict[str, Instance | None] = {}
        self._backlogs: dict[str, dict[int, Entry]] = {}
        self._commands: dict[str, list[Emitted]] = {}

    def fold(self, inbox: Iterable[Routed]) -> Expected:
        """Takes in routed events in order. Raises PmstreamError: the process manager halts."""
        for routed in inbox:
            self._work(routed.process_uuid, Arrived(routed), 0)
            self._finish(routed.process_uuid)
        states = {
            uuid: dump_instance(instance)
            for uuid, instance in self._instances.items()
            if instance is not None
        }
        return Expected(states, self._commands)

    def _finish(self, uuid: str) -> None:
        """Time passes until the instance waits for nothing."""
        while True:
            instance = self._instances.get(uuid)
            work = instance.work if instance is not None else None
            if work is None or work.wait is not Wait.RETRY:
                return
            self._work(uuid, Due(DueKind.RETRY, uuid), work.due)

    def _work(self, uuid: str, input: Input, now: int) -> None:
        backlog = self._backlogs.setdefault(uuid, {})
        todo: Input | None = input
        while todo is not None:
            done = step(
                self._callbacks,
                self._instances.get(uuid),
                todo,
                now,
                self._coder,
                _MAX_STATE_BYTES,
            )
            if done.halt is not None:
                raise PmstreamError(f"the oracle halts at {uuid}: {done.halt.reason}")
            self._instances[uuid] = done.instance
            self._commands.setdefault(uuid, []).extend(done.commands)
            if done.put is not None:
                backlog[done.put.sequence] = done.put
            if done.taken is not None:
                backlog.pop(done.taken, None)
            todo = _next(backlog, done.take)


def _next(backlog: dict[int, Entry], take: Take | None) -> Input | None:
    if take is None:
        return None
    for sequence in sorted(backlog):
        entry = backlog[sequence]
        if take is Take.FIRST or entry.work.input.route in CREATING:
            return Waiting(entry)
    return None

"""One process of a scenario: its instance and backlog, in their stored form between two steps."""

from pmstream.core.engine import Step, Take, Waiting
from pmstream.core.instance import (
    Entry,
    Instance,
    Work,
    dump_instance,
    dump_work,
    load_instance,
    load_work,
)
from pmstream.core.routing import CREATING


class Process:
    """What the store of a worker would hold."""

    def __init__(self) -> None:
        self._record: bytes | None = None
        self._backlog: dict[int, bytes] = {}

    @property
    def instance(self) -> Instance | None:
        """The instance, read back."""
        return load_instance(self._record) if self._record is not None else None

    def take_over(self, done: Step) -> None:
        """Stores what a step left."""
        self._record = dump_instance(done.instance) if done.instance is not None else None
        if done.put is not None:
            self._backlog[done.put.sequence] = dump_work(done.put.work)
        if done.taken is not None:
            del self._backlog[done.taken]

    def next(self, done: Step) -> Waiting | None:
        """The backlog entry whose turn the step says it is."""
        for sequence in sorted(self._backlog) if done.take is not None else ():
            work: Work = load_work(self._backlog[sequence])
            if done.take is Take.FIRST or work.input.route in CREATING:
                return Waiting(Entry(sequence, work))
        return None

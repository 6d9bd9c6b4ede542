"""Where one partition of a generation stands: its instances, and how far it has come.

Rule: a partition is read by itself, so that only its instances are in memory.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.instance import Instance, load_instance, load_work
from pmstream.core.lifecycle import condition
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, load_commit
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.store import BACKLOG, INSTANCE, backlog_key


class Stand(Struct, frozen=True):
    """One partition of a changelog, folded.

    Attributes:
        number: of the partition.
        last: its last commit record; None: nothing ever ran there.
        records: key to value, of instances and backlog entries.
    """

    number: int
    last: CommitRecord | None
    records: Mapping[bytes, bytes]

    def instances(self) -> Iterator[tuple[str, Instance]]:
        """Process UUID and instance."""
        for key, value in self.records.items():
            if key[:1] == INSTANCE:
                yield key[1:].decode(), load_instance(value)

    def instance(self, uuid: str) -> Instance | None:
        """The instance of a process."""
        value = self.records.get(INSTANCE + uuid.encode())
        return None if value is None else load_instance(value)

    def view(self, uuid: str) -> tuple[object, ...]:
        """How a process stands, without what depends on when it was tried."""
        instance = self.instance(uuid)
        if instance is None:
            return ()
        timers = {name: each.n for name, each in instance.timers.pending.items()}
        works_on = instance.work.input.cause if instance.work is not None else ""
        waiting = self.waiting(uuid, instance)
        return condition(instance), instance.state, instance.born, works_on, waiting, timers

    def waiting(self, uuid: str, instance: Instance) -> list[str]:
        """Causes of what waits behind an instance's work, in order."""
        backlog = instance.backlog
        keys = (backlog_key(uuid, each) for each in range(backlog.first, backlog.next))
        found = [self.records[key] for key in keys if key in self.records]
        return [load_work(value).input.cause for value in found]


def stands(log: Log, names: Names) -> Iterator[Stand]:
    """Every partition of a changelog, one after the other.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    for place, span in bounds(log, log.topics()[names.changelog]).items():
        yield _stand(log, place, span)


def _stand(log: Log, place: TopicPartition, span: tuple[int, int]) -> Stand:
    last: CommitRecord | None = None
    records: dict[bytes, bytes] = {}
    for chunk in read_once(log, {place: span}):
        for record in chunk:
            if record.key == COMMIT_KEY:
                last = load_commit(record.value)
            elif record.key is not None and record.key[:1] in (INSTANCE, BACKLOG):
                if record.value is None:
                    records.pop(record.key, None)
                else:
                    records[record.key] = record.value
    return Stand(place.partition, last, records)

"""The timers of a process manager's instances, as its changelog tells them."""

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.instance import load_instance
from pmstream.operate.changelog import fold
from pmstream.runtime.log import Log
from pmstream.runtime.store import INSTANCE


class Pending(Struct, frozen=True):
    """A timer that is set.

    Attributes:
        uuid: of the process.
        name: of the timer.
        due: milliseconds since the epoch.
        queued: it came due and waits behind other inputs of its instance.
        correlation_id: of the event whose handling set it.
        partition: of inbox and changelog.
    """

    uuid: str
    name: str
    due: int
    queued: bool
    correlation_id: str
    partition: int


def find(log: Log, names: Names, uuid: str = "", due_before: int | None = None) -> list[Pending]:
    """Timers, the earliest first.

    Args:
        log: the cluster.
        names: of the process manager.
        uuid: only of this process.
        due_before: only those due before that, milliseconds since the epoch.

    Raises:
        ConfigurationError: there is no such changelog.
        FormatError: a newer version wrote it.
        Unreachable, Unavailable: the cluster.
    """
    found = []
    for key, (partition, value) in fold(log, names).items():
        owner = key[len(INSTANCE) :].decode()
        if key[:1] != INSTANCE or uuid not in ("", owner):
            continue
        for name, timer in load_instance(value).timers.pending.items():
            if due_before is None or timer.due < due_before:
                found.append(
                    Pending(owner, name, timer.due, timer.queued, timer.correlation_id, partition)
                )
    return sorted(found, key=lambda each: (each.due, each.uuid, each.name))

"""The instances of a process manager as its changelog tells them: no worker, no app is needed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.app import Names
from pmstream.core import instance
from pmstream.core.instance import Instance, Work
from pmstream.core.lifecycle import Condition, coming, condition
from pmstream.operate.changelog import last_records, partitions
from pmstream.runtime.log import Log, Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import BACKLOG, INSTANCE, instance_key


class Seen(Struct, frozen=True):
    """One instance, for people.

    Attributes:
        uuid: of the process.
        condition: where it stands in LIFECYCLE.
        state: field to value; empty while it is absent.
        state_version: what `state` was written with.
        born: position of the event that created it.
        attempts: failures of the input it works on.
        error: the last of them.
        reason: why it is parked.
        due: when it is tried again, milliseconds since the epoch; 0 if nothing is planned.
        waits_for: position of the input it works on.
        backlog: how many inputs wait behind that.
        partition: of inbox and changelog.
        since: when what it works on failed first, else when it changed last; milliseconds since the
            epoch.
    """

    uuid: str
    condition: Condition
    state: Mapping[str, Any]
    state_version: int
    born: str
    attempts: int
    error: str
    reason: str
    due: int
    waits_for: str
    backlog: int
    partition: int
    since: int


class Detail(Struct, frozen=True):
    """An instance and what waits behind it, in order."""

    seen: Seen
    context: Mapping[str, Any]
    backlog: tuple[str, ...]


def find(log: Log, names: Names, conditions: Iterable[Condition] = ()) -> Iterator[Seen]:
    """Every instance in one of the conditions (none: in any), sorted by process UUID.

    Raises:
        ConfigurationError: there is no such changelog.
        FormatError: a newer version wrote it.
        Unreachable, Unavailable: the cluster.
    """
    wanted = frozenset(conditions)
    for key, record in sorted(last_records(log, names).items(), key=lambda both: both[0]):
        if key[:1] == INSTANCE:
            found = seen(record)
            if not wanted or found.condition in wanted:
                yield found


def show(log: Log, names: Names, uuid: str) -> Detail | None:
    """One instance; None if there is none. Raises as `find`."""
    count = partitions(log, names)
    partition = murmur2_partition(uuid.encode(), count)
    records = last_records(log, names, (partition,))
    found = records.get(instance_key(uuid))
    if found is None:
        return None
    prefix = BACKLOG + uuid.encode() + b"\0"
    waiting = [
        instance.load_work(records[key].value or b"").input.cause
        for key in sorted(records)
        if key.startswith(prefix)
    ]
    work = instance.load_instance(found.value or b"").work
    return Detail(seen(found), work.context if work is not None else {}, tuple(waiting))


def seen(last: Record) -> Seen:
    """What an instance's last record tells. Raises FormatError."""
    record = instance.load_instance(last.value or b"")
    work = record.work
    return Seen(
        uuid=(last.key or b"")[len(INSTANCE) :].decode(),
        condition=condition(record),
        state=_state(record),
        state_version=record.state_version,
        born=record.born,
        attempts=work.attempts if work else 0,
        error=_error(work),
        reason=work.reason if work else "",
        due=min((each.due for each in coming(record)), default=0),
        waits_for=work.input.cause if work else "",
        backlog=record.backlog.size,
        partition=last.partition,
        since=(work.first_failed_at if work else 0) or last.timestamp,
    )


def _state(record: Instance) -> Mapping[str, Any]:
    if not record.state:
        return {}
    fields = msgspec.msgpack.decode(record.state)
    return fields if isinstance(fields, dict) else {"": fields}


def _error(work: Work | None) -> str:
    return f"{work.error_type}: {work.error_text}" if work and work.error_type else ""

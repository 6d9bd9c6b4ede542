"""Which instances an operator means: by process UUID, condition, age, or an expression."""

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.instance import Instance, load_instance
from pmstream.core.lifecycle import Condition
from pmstream.operate.changelog import last_records, partitions
from pmstream.operate.instances import Seen, seen
from pmstream.operate.where import Subject, Where
from pmstream.runtime.log import Log, Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import INSTANCE, instance_key

STUCK = (Condition.RETRYING, Condition.PARKED, Condition.HOLDING, Condition.AWAITING)
"""Conditions in which an instance waits for something that may never come."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What they have in common; what is left out does not matter.

    Attributes:
        conditions: one of these.
        where: see `where.Where`; "" is none.
        older_than_ms: they have stood so for as long, see `Seen.since`.
        fields: of a state, if the code is at hand.
    """

    conditions: tuple[Condition, ...] = ()
    where: str = ""
    older_than_ms: int = 0
    fields: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    """An instance, for people, and as it is."""

    seen: Seen
    instance: Instance


def choose(log: Log, names: Names, wanted: Wanted, now: int) -> list[Found]:
    """All such instances, sorted by process UUID.

    Args:
        log: the cluster.
        names: of the process manager.
        wanted: which.
        now: milliseconds since the epoch.

    Raises:
        ConfigurationError: there is no such changelog; or the expression is none.
        FormatError: a newer version wrote it.
        Unreachable, Unavailable: the cluster.
    """
    records = last_records(log, names)
    everyone = [_found(records[key]) for key in sorted(records) if key[:1] == INSTANCE]
    found = [each for each in everyone if _is_meant(each.seen, wanted, now)]
    if not wanted.where:
        return found
    where = Where(wanted.where, (_subject(each, now) for each in everyone), wanted.fields)
    return [each for each in found if where.matches(_subject(each, now))]


def named(log: Log, names: Names, uuids: Collection[str]) -> Mapping[str, Found]:
    """Instances by process UUID; those that are not there are left out. Raises as `choose`."""
    count = partitions(log, names)
    only = {murmur2_partition(each.encode(), count) for each in uuids}
    records = last_records(log, names, only)
    return {each: _found(records[instance_key(each)]) for each in _there(uuids, records)}


def _there(uuids: Iterable[str], records: Mapping[bytes, Record]) -> list[str]:
    return [each for each in uuids if instance_key(each) in records]


def _found(last: Record) -> Found:
    return Found(seen(last), load_instance(last.value or b""))


def _is_meant(seen: Seen, wanted: Wanted, now: int) -> bool:
    if wanted.conditions and seen.condition not in wanted.conditions:
        return False
    return now - seen.since >= wanted.older_than_ms if wanted.older_than_ms else True


def _subject(found: Found, now: int) -> Subject:
    seen = found.seen
    return Subject(
        uuid=seen.uuid,
        condition=str(seen.condition),
        attempts=seen.attempts,
        backlog=seen.backlog,
        age_seconds=(now - seen.since) / 1000,
        state=seen.state if found.instance.state else None,
    )

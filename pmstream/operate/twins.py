"""Topics of one process manager that must have the same partitions for life."""

from collections.abc import Iterator, Mapping

from pmstream.app import Names
from pmstream.operate.bounds import bounds, records
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import COMMIT_KEY, load_commit
from pmstream.runtime.log import Log, TopicInfo
from pmstream.runtime.log_errors import PositionLost
from pmstream.runtime.restore import feed_mismatch, other_count

_TAIL_RECORDS = 100
"""At the end of a changelog partition: among them is a commit record, but for large batches."""


def direct_faults(
    names: Names, keyed: str, existing: Mapping[str, TopicInfo], log: Log
) -> Iterator[str]:
    """A source topic that is read directly and the changelog are twins for life."""
    source, changelog = existing.get(keyed), existing.get(names.changelog)
    if names.inbox in existing:
        yield (
            f"{names.process_manager} says keyed={keyed!r}, but {names.inbox} exists: it ran with "
            "a router, and its state speaks of that inbox. Leave keyed out, or give the process "
            "manager a new name"
        )
    elif source and changelog and source.partitions != changelog.partitions:
        yield (
            f"{source.name} has {source.partitions} partitions but {changelog.name} has "
            f"{changelog.partitions}: with keyed they must be equal for life, because processes "
            "would be looked for where their state is not. Leave keyed out and give the process "
            "manager a new name: a router does not mind how many there are"
        )
    elif source and changelog:
        yield from _count_faults(source, changelog, log)
    yield from _feed_faults(names, changelog, existing)


def pair_faults(names: Names, existing: Mapping[str, TopicInfo], log: Log) -> Iterator[str]:
    """Inbox and changelog are twins for life."""
    inbox, changelog = existing.get(names.inbox), existing.get(names.changelog)
    if inbox and changelog and inbox.partitions != changelog.partitions:
        yield (
            f"{inbox.name} has {inbox.partitions} partitions but {changelog.name} has "
            f"{changelog.partitions}: they must be equal; delete the one that was made wrongly "
            "(`pmstream topics repartition` changes both)"
        )
    elif inbox and changelog:
        yield from _count_faults(inbox, changelog, log)
    yield from _feed_faults(names, inbox, existing)
    only = inbox or changelog
    if only and not (inbox and changelog) and records(log, only):
        missing = names.changelog if inbox else names.inbox
        yield (
            f"{only.name} has records but {missing} does not exist: was it deleted? Bring it back "
            f"from a backup, or delete {only.name} and the groups {names.group('router')} and "
            f"{names.group('instances')} to start over"
        )


def _feed_faults(
    names: Names, twin: TopicInfo | None, existing: Mapping[str, TopicInfo]
) -> Iterator[str]:
    for name in (names.replies, names.orders):
        feed = existing.get(name)
        if twin and feed and feed.partitions != twin.partitions:
            yield feed_mismatch(twin, feed)


def _count_faults(inbox: TopicInfo, changelog: TopicInfo, log: Log) -> Iterator[str]:
    """Partitions that were added would take processes away from their state."""
    tails = {
        place: (max(start, end - _TAIL_RECORDS), end)
        for place, (start, end) in bounds(log, changelog).items()
    }
    try:
        latest = {
            each.partition: load_commit(each.value).partitions
            for chunk in read_once(log, tails)
            for each in chunk
            if each.key == COMMIT_KEY
        }
    except PositionLost:
        return  # purged or made again at this moment: the worker looks again
    for number, written in latest.items():
        if written != inbox.partitions:
            yield other_count(inbox.name, inbox.partitions, number, written)
            return

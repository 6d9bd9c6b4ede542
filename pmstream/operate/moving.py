"""The steps by which a process manager's instances come to another partition count.

Rule: the old generation is only read. Each step may be done again, also by another process, and
comes to the same.
"""

from collections.abc import Callable, Iterable, Mapping

from msgspec.structs import replace

from pmstream.app import Names
from pmstream.config import Settings
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate import generations, standstill, topics
from pmstream.operate.bounds import records
from pmstream.operate.contents import Contents, look
from pmstream.operate.copying import Copy
from pmstream.operate.generations import Making
from pmstream.operate.transaction import write
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, Seen, dump_commit
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Committed, Log, TopicPartition, TopicSpec
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.setup import installed

FIRST_SEQUENCE = 1
"""Of the commit records that a new generation begins with."""

Progress = Callable[[str, int, int], None]
"""Told what is done, how many offsets of it, and of how many."""

_SIZE = "max.message.bytes"


def make_topics(log: Log, making: Making, settings: Settings, clock: Clock) -> None:
    """Makes those of the new generation that are not there yet, and waits until all can be used.

    Raises:
        ConfigurationError: one is there that pmstream did not make.
        Refused, Unavailable, Unreachable: the cluster.
    """
    existing = log.topics()
    config = log.config(making.old.changelog)
    wanted: list[TopicSpec] = []
    for each in topics.of_generation(
        making.app, log, settings, making.new, making.change.partitions
    ):
        spec, there = each.spec, existing.get(each.spec.name)
        is_ours = each.role == topics.Role.DEAD_LETTERS  # of all generations
        if there is not None and not is_ours and there.partitions != spec.partitions:
            raise ConfigurationError(
                f"{spec.name} is there already, with {there.partitions} partitions: it is not "
                "what this command makes; delete it"
            )
        # What fits into the old changelog must fit into the new one.
        size = max(int(config.get(_SIZE, 0)), int(spec.config.get(_SIZE, 0)))
        wanted.append(replace(spec, config={**spec.config, _SIZE: str(size)}))
    standstill.make_topics(log, wanted, clock)


def restore_positions(log: Log, names: Names, commits: Mapping[int, CommitRecord]) -> None:
    """Sets positions that Kafka forgot: only one that exists can be marked closed.

    Raises:
        Refused, Unavailable: the cluster.
    """
    group = names.group(INSTANCES)
    stood = {
        TopicPartition(names.inbox, number): Committed(last.source, str(last.sequence))
        for number, last in commits.items()
    }
    known = log.last_committed(group, list(stood))
    missing = {place: each for place, each in stood.items() if place not in known}
    log.set_positions(group, missing)


def owner(names: Names) -> str:
    """Transactional id of who copies into a generation; it stands in its first commit records."""
    return names.transactional_id(INSTANCES, "repartition")


def copy(
    log: Log, making: Making, commits: Iterable[CommitRecord], now: int, step: Callable[[int], None]
) -> None:
    """Copies what is not copied yet; then each new partition begins.

    Args:
        log: the cluster.
        making: from where to where.
        commits: the last commit record of each old partition.
        now: milliseconds since the epoch.
        step: told how many more offsets of the old changelog are done.

    Raises:
        Again, MustAbort, OutcomeUnknown, Refused, Unavailable, Unreachable: the cluster.
    """
    old, new, existing = making.old, making.new, log.topics()
    source, target = existing[old.changelog], existing[new.changelog]
    producer = log.producer(owner(new))
    try:
        Copy(log, source, target, new.group(INSTANCES), producer).run(step)
        value = dump_commit(first_commit(commits, target.partitions, owner(new), now))
        numbers = range(target.partitions)
        write(producer, [Out(target.name, COMMIT_KEY, value, (), number) for number in numbers])
    finally:
        producer.drop()


def first_commit(
    commits: Iterable[CommitRecord], partitions: int, owner: str, now: int
) -> CommitRecord:
    """What each partition of the new generation begins with (ADR 13).

    Its instances may come from any old partition, so it has seen whatever one of those has: as
    nothing is under way, what went to the others up to there was taken in, too.
    """
    seen, paused = Seen(), False
    for each in commits:
        paused = paused or each.paused
        for source, mark in each.seen.items():
            seen[source] = max(mark, seen.get(source, mark))
    return CommitRecord(
        source=0,
        sequence=FIRST_SEQUENCE,
        owner=owner,
        generation=0,
        partitions=partitions,
        version=installed(),
        time=now,
        seen=seen,
        paused=paused,
    )


def is_first(record: CommitRecord, names: Names) -> bool:
    """Whether nothing was done in that partition since it was copied."""
    return (record.owner, record.sequence) == (owner(names), FIRST_SEQUENCE)


def set_positions(log: Log, making: Making) -> None:
    """Where the workers of the new generation begin. Raises Refused, Unavailable."""
    old, new = making.old, making.new
    first = Committed(0, str(FIRST_SEQUENCE))
    places = [TopicPartition(new.inbox, number) for number in range(making.change.partitions)]
    log.set_positions(new.group(INSTANCES), dict.fromkeys(places, first))
    routers = generations.closed_positions(log, making)[old.group(ROUTER)]
    log.set_positions(new.group(ROUTER), routers)


def verify(log: Log, making: Making, wanted: Contents, progress: Progress) -> None:
    """Reads the new changelog.

    Raises:
        Stopped: it does not hold what it should.
        Unreachable, Unavailable: the cluster.
    """
    new, partitions = making.new, making.change.partitions
    changelog = log.topics()[new.changelog]
    found = look(log, changelog, steps("verified", records(log, changelog), progress))
    begun = sum(is_first(each, new) for each in found.commits.values())
    if found.contents != wanted or begun != partitions:
        raise Stopped(
            f"{new.changelog} does not hold what {making.old.changelog} does: {found.contents}, "
            f"not {wanted}; {begun} of {partitions} partitions begin as they should. Nothing was "
            "switched: give it up with --abandon, and report it"
        )


def steps(what: str, total: int, progress: Progress) -> Callable[[int], None]:
    """Adds steps up for `progress`."""
    done = 0

    def step(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, total)

    return step

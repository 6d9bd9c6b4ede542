"""What befalls the cluster: rebalances, fences, answers that fail, late markers, cleaners, clocks.

Rule: each answers False when it makes no sense now.
"""

from random import Random

from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import (
    Again,
    Fenced,
    LogError,
    MustAbort,
    OffsetPending,
    OutcomeUnknown,
    Unavailable,
)
from pmstream.runtime.roles import INSTANCES
from tests.simulation.author import COMMANDS, SOURCE, author
from tests.simulation.cluster import ROLES, Cluster
from tests.simulation.shape import Shape

ERRORS: dict[str, type[LogError]] = {
    each.__name__: each
    for each in (Again, Fenced, MustAbort, OffsetPending, OutcomeUnknown, Unavailable)
}
CALLS: dict[str, tuple[str, ...]] = {
    # call: what it may answer instead; `+` marks an answer that may also come after the work
    "begin": ("OutcomeUnknown",),
    "produce": ("MustAbort",),
    "flush": ("Again+", "MustAbort+", "OutcomeUnknown+", "Fenced+"),
    "send_offsets": ("Again+", "MustAbort+", "OutcomeUnknown+", "Fenced+"),
    "commit": ("Again+", "MustAbort", "OutcomeUnknown+", "Fenced+"),
    "abort": ("Again+", "OutcomeUnknown+"),
    "committed": ("OffsetPending",),
    "seek": ("Again",),
    "membership": ("None",),
    "end": ("None",),
    "start": ("None",),
    "members": ("Again",),
    "abort_open": ("Again+",),
    "producer": ("Unavailable",),
}
_CLOCKS_MS = 7_200_000
"""How far apart wall clocks may be here."""

_OF_A_PRODUCER = ("begin", "produce", "flush", "send_offsets", "commit", "abort")
_ENDS = ("flush", "send_offsets", "commit")
_OF_A_MEMBER = ("committed", "seek", "membership")


def who(random: Random, shape: Shape, kind: str = "") -> str:
    kind = kind or random.choices("ri", (1, 2))[0]
    count = shape.routers if kind == "r" else shape.workers
    return f"{kind}{random.randrange(count)}"


def rebalance(cluster: Cluster, words: list[str]) -> bool:
    cluster.log.rebalance(cluster.names.group(ROLES[words[0]]), rotate=words[1] == "rotate")
    return True


def expel(cluster: Cluster, words: list[str]) -> bool:
    hook = cluster.log.expel if words[1] == "expel" else cluster.log.lose
    group = cluster.names.group(ROLES[words[0][0]])
    if words[0] not in cluster.log.members(group):
        return False
    hook(group, words[0])
    return True


def transactional_id(cluster: Cluster, name: str) -> str:
    return cluster.names.transactional_id(ROLES[name[0]], name)


def fence(cluster: Cluster, words: list[str]) -> bool:
    try:
        cluster.log.producer(transactional_id(cluster, words[0])).drop()
    except LogError:
        return False
    return True


def inject(cluster: Cluster, words: list[str]) -> bool:
    """`inject CALL ERROR before|after i0 TIMES`."""
    call, error, when, name, times = words
    if len(cluster.log.hooks.planned) > 3:
        return False
    by: str | None = None
    if call in _OF_A_PRODUCER:
        by = transactional_id(cluster, name)
    elif call in _OF_A_MEMBER:
        by = name
    fault = None if error == "None" else ERRORS[error](f"injected {call}")
    cluster.log.inject(call, fault, after=when == "after", who=by, times=int(times))
    cluster.seen[f"inject {call} {error} {when}"] += 1
    return True


def inject_words(random: Random, shape: Shape) -> str:
    call = random.choices(list(CALLS), [5 if each in _ENDS else 1 for each in CALLS])[0]
    error = random.choice(CALLS[call])
    when = "after" if error.endswith("+") and random.random() < 0.5 else "before"
    times = random.choice((1, 1, 2, 5)) if error != "MustAbort" else random.choice((1, 1, 2, 3))
    return f"{call} {error.rstrip('+')} {when} {who(random, shape)} {times}"


def markers(cluster: Cluster, words: list[str]) -> bool:
    held = words[0] == "hold"
    if cluster.log._broker.markers_held == held:
        return False
    cluster.log.hold_markers(held=held)
    return True


def pin(cluster: Cluster, words: list[str]) -> bool:
    who = transactional_id(cluster, words[0])
    cluster.log.pin(who, pinned=words[1] == "on")
    return True


def compact(cluster: Cluster, words: list[str]) -> bool:
    """Runs the cleaner; tombstones go once an earlier run, delete.retention.ms ago, has seen them.

    The memory log would remove a value and its tombstone in one run, under a reader that has just
    read the value; Kafka gives that reader delete.retention.ms from the first run on (KIP-534).
    """
    now, retention = cluster.clock.now(), cluster.shape.delete * 1_000
    long_ago = [at for at in cluster.cleaned if at + retention + _CLOCKS_MS <= now]
    before = max(long_ago, default=0) - _CLOCKS_MS if words[0] == "tombstones" else 0
    for part in cluster.log._broker.topic(cluster.names.changelog).partitions:
        part.compact(before)
    cluster.cleaned.append(now)
    cluster.seen["tombstones removed"] += before > 0
    return True


def purge(cluster: Cluster, words: list[str]) -> bool:
    """Deletes of the inbox what is committed, as its owners do."""
    names = cluster.names
    places = [TopicPartition(names.inbox, number) for number in range(cluster.shape.inbox)]
    known = cluster.log.last_committed(names.group(INSTANCES), places)
    cluster.log.delete_records({place: each.position for place, each in known.items()})
    return bool(known)


def expire(cluster: Cluster, words: list[str]) -> bool:
    """Positions of the instances' group expire; only a group without members loses them."""
    group = cluster.names.group(INSTANCES)
    for process in cluster.processes.values():
        if process.role == INSTANCES and (process.frozen or process.busy):
            return False
    for process in cluster.processes.values():
        if process.role == INSTANCES:
            cluster.crash(process)
            cluster.log.lose(group, process.name)
    cluster.clock.advance(61)
    cluster.log.end(TopicPartition(COMMANDS, 0), stable=True)  # time passes at the brokers, too
    if cluster.log._broker.markers_held or cluster.log._broker.pinned:
        return False
    cluster.log.forget_positions(group)
    return True


def advance(cluster: Cluster, words: list[str]) -> bool:
    cluster.clock.advance(float(words[0]))
    return True


def step(cluster: Cluster, words: list[str]) -> bool:
    cluster.step_clock(float(words[0]))
    return True


def grow(cluster: Cluster, words: list[str]) -> bool:
    partitions = cluster.log.topics()[SOURCE].partitions
    if partitions >= 4:
        return False
    cluster.log.add_partitions(SOURCE, partitions + 1)
    return True


def deploy(cluster: Cluster, words: list[str]) -> bool:
    author().healed = True
    return True

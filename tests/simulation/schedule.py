"""A schedule: made from a seed, run to its end, judged, and shrunk when it fails."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from msgspec import Struct
from msgspec.structs import asdict

from pmstream.runtime.commit import STEPS
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.roles import ROUTER
from tests.simulation.actions import ACTIONS, ALWAYS, act
from tests.simulation.archive import Violation
from tests.simulation.author import COMMANDS, SOURCE, author
from tests.simulation.book import visible
from tests.simulation.cluster import Cluster
from tests.simulation.oracle import difference, instance_faults, routing_faults
from tests.simulation.ordering import resume_all
from tests.simulation.recipes import RECIPES
from tests.simulation.services import HOW, serve_all
from tests.simulation.shape import Shape
from tests.simulation.stores import content

ROUNDS = 1_500
"""So many rounds after the faults, everything must have come out."""


QUIET = 12
"""So many rounds without a commit are worth a look at what came out."""

OFTEN = {
    *(f"action {name}" for name in ACTIONS if name != "expire"),
    *(f"step {step}" for step in STEPS),
    *(f"disk {disk}" for disk in ("kept", "moved", "old", "wiped")),
    *(f"outcome {o}" for o in ("handled", "ended", "queued", "retrying", "parked", "skipped")),
    *(f"outcome {o}" for o in ("awaiting", "held", "late")),
    *(f"reply {said} once" for said in ("accept", "reject", "silent")),
    *(f"reply accept {how}" for how in HOW),
    *("timer fired", "command asked again", "order answered", "paused"),
    *(
        "store checked",
        "aborted, done again",
        "producer rebuilt",
        "takeovers by instances",
        "start failed",
    ),
    *("restored from the changelog", "restored warm", "committed position pending"),
    *("killed in a turn", "suspended", "store in mid-transaction", "blocked", "unblocked"),
    *("ended: fenced twice", "ended: replaced", "ended: refused three times"),
}
"""Actions and states that any hundred schedules reach."""

SELDOM = {
    *("takeovers by routers", "mismatch waited for", "store emptied", "action expire"),
    *("ended: halted", "ended: no producer", "ended: restore stalled"),
}
"""Those that a thousand reach."""


class Outcome(Struct):
    """What became of a schedule: "" if all is well."""

    fault: str
    seen: Counter[str]


def make(seed: int) -> list[str]:
    """The script of a seed: its shape, then 60 to 200 actions of its own mixture."""
    random = Random(seed)
    shape = Shape(
        inbox=random.randint(1, 3),
        sources=random.randint(1, 2),
        routers=random.randint(1, 2),
        workers=random.randint(1, 3),
        batch=random.choice((1, 2, 3, 5)),
        cache=random.choice((0, 1_000, 1_000_000)),
        backlog=random.choice((2, 5, 10_000, 10_000, 10_000)),
        flush=random.choice((1, 20, 300)),
        timeout=random.choice((20, 60, 36_000)),
        confirm=random.choice((0, 1)),
        completed=random.choice((0, 0, 1)),
    )
    weights = {
        name: action.weight * (1 if name in ALWAYS else random.choice((0, 0.3, 1, 3)))
        for name, action in ACTIONS.items()
    }
    names = random.choices(list(weights), list(weights.values()), k=random.randint(60, 200))
    lines = [f"{name} {ACTIONS[name].words(random, shape)}".strip() for name in names]
    for recipe in random.choices(RECIPES, k=random.randint(0, 2)):
        at, who = random.randrange(20, len(lines)), f"i{random.randrange(shape.workers)}"
        events = [f"produce {ACTIONS['produce'].words(random, shape)}" for _ in range(6)]
        lines[at:at] = recipe(who, events, random.randint(1, 4))
    words = " ".join(f"{name}={value}" for name, value in asdict(shape).items())
    return [f"shape {words}", *lines]


def shape_of(line: str) -> Shape:
    """Reads the first line of a script."""
    pairs = (word.split("=") for word in line.split()[1:])
    return Shape(**{name: int(value) for name, value in pairs})


def run(script: list[str]) -> Outcome:
    """Does a script, heals everything, and tells what is wrong."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(prefix="pmstream-", dir=memory if memory.exists() else None))
    cluster = Cluster(shape_of(script[0]), root, script[1:], act)
    try:
        for process in cluster.processes.values():
            cluster.start(process)
        while cluster.script:
            act(cluster, cluster.script.popleft())
        fault = _judge(cluster)
        cluster.seen["order answered"] += cluster.archive.desk.answered
        cluster.seen["timer fired"] += len(cluster.archive.book.fired)
        cluster.seen["command asked again"] += cluster.archive.book.again
    except Violation as violation:
        fault = str(violation)
    finally:
        cluster.close()
        shutil.rmtree(root, ignore_errors=True)
    return Outcome(fault, cluster.seen)


def _heal(cluster: Cluster) -> None:
    """No faults any more; of each role at least one process runs."""
    log = cluster.log
    log.hooks.planned.clear()
    for who in list(log._broker.pinned):
        log.pin(who, pinned=False)
    log.hold_markers(held=False)
    cluster.step_clock(-cluster.wall)
    author().healed = cluster.healing = True
    resume_all(cluster)
    for process in cluster.processes.values():
        process.traps.clear()
        process.frozen = False
    for role in ("r", "i"):
        mates = [each for each in cluster.processes.values() if each.label[0] == role]
        if not any(each.worker for each in mates):
            cluster.start(mates[0])


def _judge(cluster: Cluster) -> str:
    """Turns until everything has come out, and a little longer; tells what did not."""
    _heal(cluster)
    quiet, last = 0, (-1, -1)
    for _ in range(ROUNDS):
        for process in list(cluster.processes.values()):
            if not process.worker and not process.label.endswith("~") and process.restarts:
                cluster.start(process)
            cluster.turn(process)
        serve_all(cluster)
        cluster.check()
        marks = (cluster.archive.commits, len(cluster.seen))
        quiet, last = (quiet + 1, last) if marks == last else (0, marks)
        if quiet == QUIET and _read_all(cluster) and not next(_faults(cluster), None):
            break
        if quiet > 2 * QUIET:
            cluster.clock.advance(2)
            cluster.step_clock(3_700)
            quiet = 0
    faults = list(_faults(cluster))
    if not _read_all(cluster):
        faults.append("not everything was read: " + str(_positions(cluster)))
    return "\n".join(faults)


def _positions(cluster: Cluster) -> dict[TopicPartition, tuple[int, int]]:
    """Position and end of every followed partition; a group's may have expired, a record's not."""
    log, names, archive = cluster.log, cluster.names, cluster.archive
    found: dict[TopicPartition, tuple[int, int]] = {}
    places = [TopicPartition(SOURCE, n) for n in range(log.topics()[SOURCE].partitions)]
    known = log.last_committed(names.group(ROUTER), places)
    for place in places:
        position = known[place].position if place in known else 0
        found[place] = position, log.end(place, stable=False) or 0
    for place, records in archive.records.items():
        if place.topic == names.inbox:
            last = archive.last.get(place.partition)
            found[place] = last.source if last is not None else 0, records[-1].offset + 1
    for number, part in enumerate(log._broker.topic(names.replies).partitions):
        replies = visible(part)
        if replies:
            last = archive.last.get(number)
            position = last.replies if last is not None else 0
            found[part.where] = position, replies[-1].offset + 1
    for number, part in enumerate(log._broker.topic(names.orders).partitions):
        if orders := visible(part):
            last = archive.last.get(number)
            found[part.where] = last.orders if last is not None else 0, orders[-1].offset + 1
    return found


def _read_all(cluster: Cluster) -> bool:
    return all(position >= end for position, end in _positions(cluster).values())


def _source(cluster: Cluster) -> dict[int, list[Record]]:
    topic = cluster.log._broker.topic(SOURCE)
    return {
        number: [record for record in part._records if record is not None]
        for number, part in enumerate(topic.partitions)
    }


def _faults(cluster: Cluster) -> Iterator[str]:
    archive, names = cluster.archive, cluster.names
    inbox = archive.topic(names.inbox)
    yield from routing_faults(_source(cluster), inbox, cluster.shape.inbox)
    changelog: dict[bytes, bytes] = {}
    stores: dict[bytes, bytes] = {}
    for number in range(cluster.shape.inbox):
        changelog |= archive.folded(number, 1 << 62)
    commands = archive.topic(COMMANDS)
    yield from instance_faults(inbox, commands, changelog, archive.book.fired)
    for process in cluster.processes.values():
        for part in process.stage.partitions if process.stage is not None else ():
            stores |= content(part.store)
    if stores != changelog:
        yield difference("stores", sorted(changelog.items()), sorted(stores.items()))


def shrink(script: list[str], tries: int = 400) -> list[str]:
    """Takes pieces out of a failing script as long as it fails (delta debugging)."""
    size = max((len(script) - 1) // 2, 1)
    while size and tries:
        at = 1
        while at < len(script) and tries:
            shorter = script[:at] + script[at + size :]
            tries -= 1
            if run(shorter).fault:
                script = shorter
            else:
                at += size
        size //= 2
    return script

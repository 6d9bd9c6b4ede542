"""The actions of a script: one line of words each, done by name, made by chance.

Rule: an action that makes no sense now does nothing, so a script with pieces taken out still runs.
"""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from pmstream.runtime.commit import STEPS
from tests.simulation import faults
from tests.simulation.author import NOWHERE, ROUTES, SOURCE, WHATS, Happened, make_app, make_codec
from tests.simulation.cluster import Cluster
from tests.simulation.faults import who
from tests.simulation.ordering import order, order_words
from tests.simulation.process import Process, Trap
from tests.simulation.services import serve, serve_words
from tests.simulation.shape import Shape

PROCESSES = "abcdefgh"


class Action(NamedTuple):
    """How often, with which words, and what it does: False when it makes no sense now."""

    weight: float
    words: Callable[[Random, Shape], str]
    do: Callable[[Cluster, list[str]], bool]


def act(cluster: Cluster, line: str) -> None:
    """Does one line of a script, then checks what must hold."""
    name, *words = line.split()
    if ACTIONS[name].do(cluster, words):
        cluster.seen[f"action {name}"] += 1
    cluster.check()


def _anybody(random: Random, shape: Shape) -> str:
    return who(random, shape) + ("~" if random.random() < 0.15 else "")


def _find(cluster: Cluster, words: list[str]) -> Process | None:
    return cluster.processes.get(words[0])


# Input


_WEIGHTS = (12, 2, 2, 6, 2, 1, 0.4, 0.15, 0.5, 0.5, 0.5, 1, 1.5, 1, 5, 1.5, 1.5, 0.5)
"""How often each of WHATS."""


def _event(random: Random, shape: Shape) -> str:
    what = random.choices(WHATS, _WEIGHTS)[0]
    names = list(ROUTES)
    route = random.choices([*names, *NOWHERE], (14, 1, 2, 3, 2, 1, 1, 0.5, 0.5, 0.3, 0.2))[0]
    if route == "continue!" and what in ("retry", "apply-retry", "skip", "halt"):
        what = "plain"  # how often it waited for its start would count as attempts
    if route.startswith("hold") and what in ("retry", "apply-retry", "skip", "halt", "park"):
        what = "plain"  # whether its time was up would count
    count = random.choices((1, 2, 3), (8, 2, 1))[0]
    processes = "+".join(random.sample(PROCESSES[: 3 + shape.batch], count))
    return f"{random.randrange(shape.sources)} {processes} {route} {what} {random.randint(1, 3)}"


def _produce(cluster: Cluster, words: list[str]) -> bool:
    partition, processes, route, what, times = words
    cluster.events += 1
    event = Happened(processes, route, what, int(times), cluster.events)
    value = make_codec(make_app()).encode_event(SOURCE, event)
    writer = cluster.log.writer()
    writer.produce(SOURCE, value, b"%d" % cluster.events, (), int(partition))
    writer.flush(1)
    return True


# Processes


def _turn(cluster: Cluster, words: list[str]) -> bool:
    process = _find(cluster, words)
    took = [process is not None and cluster.turn(process) for _ in range(int(words[1]))]
    return any(took)


def _all_turn(cluster: Cluster, words: list[str]) -> bool:
    for _ in range(int(words[0])):
        for process in list(cluster.processes.values()):
            cluster.turn(process)
    return True


def _crash(cluster: Cluster, words: list[str]) -> bool:
    process = _find(cluster, words)
    if process is None or process.worker is None:
        return False
    cluster.crash(process)
    return True


def _trap(cluster: Cluster, words: list[str]) -> bool:
    """`trap i0 STEP VISITS ACTIONS`; STEP `call` counts calls of the log; ACTIONS 0 kills."""
    process = _find(cluster, words)
    if process is None or process.worker is None:
        return False
    step = "" if words[1] == "call" else words[1]
    process.traps.append(Trap(step, int(words[2]), int(words[3])))
    return True


def _trap_words(random: Random, shape: Shape) -> str:
    step = random.choice([*STEPS, *["call"] * 4, *["restoring"] * 3])
    visits = random.randint(1, 30) if step == "call" else random.choice((1, 1, 2, 3))
    actions = 0 if random.random() < 0.4 else random.randint(1, 25)
    return f"{_anybody(random, shape)} {step} {visits} {actions}"


def _restart(cluster: Cluster, words: list[str]) -> bool:
    """`restart i0 kept|wiped|moved|old-N`."""
    process = _find(cluster, words)
    if process is None or process.worker is not None or process.busy:
        return False
    disk = words[1]
    if disk == "moved":
        process.host = "b" if process.host == "a" else "a"
    if cluster.is_locked(process):
        return False
    if disk == "wiped":
        cluster.disks.wipe(process)
    which = disk.partition("-")[2]
    if which and not cluster.disks.put_back(process, int(which)):
        return False
    cluster.seen[f"disk {disk.partition('-')[0]}"] += 1
    return cluster.start(process)


def _disk(random: Random) -> str:
    return random.choices(("kept", "wiped", "moved", f"old-{random.randrange(5)}"), (4, 1, 1, 2))[0]


def _stop(cluster: Cluster, words: list[str]) -> bool:
    process = _find(cluster, words)
    if process is None or process.worker is None or process.busy:
        return False
    cluster.stop(process)
    return True


def _freeze(cluster: Cluster, words: list[str]) -> bool:
    process = _find(cluster, words)
    if process is None or process.worker is None or process.frozen:
        return False
    process.frozen = True
    return True


def _thaw(cluster: Cluster, words: list[str]) -> bool:
    process = _find(cluster, words)
    if process is None or not process.frozen:
        return False
    process.frozen = False
    return True


def _twin(cluster: Cluster, words: list[str]) -> bool:
    """Another process with the name, on another machine; the first one, if alive, goes on."""
    process = _find(cluster, words)
    former = cluster.processes.get(words[0] + "~")
    if process is None or process.worker is None or (former is not None and former.worker):
        return False
    other = "b" if process.host == "a" else "a"
    twin = Process(process.label, process.name, process.role, other)
    process.label += "~"
    cluster.processes[process.label], cluster.processes[twin.label] = process, twin
    return cluster.start(twin)


def _seconds(random: Random, _shape: Shape) -> str:
    return str(random.choices((0.1, 1, 4, 11, 21, 61, 50_000), (4, 4, 4, 3, 2, 1, 0.2))[0])


ACTIONS: dict[str, Action] = {
    "produce": Action(30, _event, _produce),
    "turn": Action(25, lambda r, s: f"{_anybody(r, s)} {r.choice((1, 1, 2, 4, 8))}", _turn),
    "turns": Action(20, lambda r, s: str(r.choice((1, 2, 3, 6))), _all_turn),
    "serve": Action(10, serve_words, serve),
    "advance": Action(5, _seconds, faults.advance),
    "restart": Action(12, lambda r, s: f"{_anybody(r, s)} {_disk(r)}", _restart),
    "thaw": Action(3, _anybody, _thaw),
    "deploy": Action(0.7, lambda r, s: "", faults.deploy),
    "crash": Action(2, _anybody, _crash),
    "trap": Action(8, _trap_words, _trap),
    "stop": Action(1.5, _anybody, _stop),
    "freeze": Action(3, _anybody, _freeze),
    "twin": Action(1, who, _twin),
    "rebalance": Action(
        2, lambda r, s: f"{r.choice('ri')} {r.choice(('rotate', 'again'))}", faults.rebalance
    ),
    "out": Action(2, lambda r, s: f"{who(r, s)} {r.choice(('expel', 'lose'))}", faults.expel),
    "fence": Action(1, who, faults.fence),
    "inject": Action(6, faults.inject_words, faults.inject),
    "markers": Action(3, lambda r, s: r.choice(("hold", "release", "release")), faults.markers),
    "pin": Action(1, lambda r, s: f"{who(r, s)} {r.choice(('on', 'off', 'off'))}", faults.pin),
    "compact": Action(2, lambda r, s: r.choice(("tombstones", "only")), faults.compact),
    "purge": Action(1.5, lambda r, s: "", faults.purge),
    "expire": Action(0.3, lambda r, s: "", faults.expire),
    "step": Action(1, lambda r, s: r.choice(("3600", "-3600")), faults.step),
    "order": Action(3, order_words, order),
    "grow": Action(0.5, lambda r, s: "", faults.grow),
}
ALWAYS = ("produce", "serve", "turn", "turns", "advance", "restart", "thaw", "deploy")
"""Actions that no schedule is without; of the others each has its own mixture."""

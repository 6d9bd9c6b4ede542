"""A healthy cluster on paper over a log in memory, and an app on it."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from pmstream.config import Settings
from pmstream.operate import starts, topics
from pmstream.operate.doctor import Case, Finding, Severity, examine
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.survey import (
    BrokerFacts,
    ClusterFacts,
    GroupFacts,
    PartitionFacts,
    TopicFacts,
)
from tests.operate.kit import bank

APIS = {3: 13, 9: 9, 11: 9, 22: 5, 24: 5, 28: 5, 68: 1}
CONFIG = {
    "transaction.max.timeout.ms": "900000",
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "offsets.retention.minutes": "10080",
    "auto.create.topics.enable": "false",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "offsets.topic.replication.factor": "1",
    "group.coordinator.rebalance.protocols": "classic,consumer",
}
BROKER = BrokerFacts(1, "127.0.0.1:9092", "", CONFIG, APIS)
ALL = frozenset(each for needed in NEEDED.values() for each in needed)


class Paper:
    """`Survey` of a cluster that is described here; topics are those of a log in memory."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.facts = ClusterFacts("paper", (BROKER,))
        self.known: dict[str, TopicFacts] = {}
        self.denied: frozenset[str] = frozenset()
        self.in_groups: dict[str, GroupFacts] = {}
        self.deleted: list[str] = []

    def cluster(self) -> ClusterFacts:
        return self.facts

    def describe_topics(self, names: Sequence[str]) -> tuple[dict[str, TopicFacts], frozenset[str]]:
        found = {
            name: TopicFacts(name, _partitions(info.partitions), ALL)
            for name, info in self.log.topics().items()
        }
        found |= self.known
        return {name: found[name] for name in names if name in found}, self.denied

    def describe_groups(self, names: Sequence[str]) -> dict[str, GroupFacts]:
        return {name: self.in_groups.get(name, GroupFacts(name)) for name in names}

    def library(self) -> str:
        return "2.16.0"

    def delete_topic(self, name: str) -> None:
        self.log.delete_topic(name)

    def delete_group(self, name: str) -> None:
        self.deleted.append(name)


class Skewed:
    """A clock that is wrong by so many milliseconds."""

    def __init__(self, clock: VirtualClock, milliseconds: int) -> None:
        self._clock, self._off = clock, milliseconds
        self.monotonic, self.sleep = clock.monotonic, clock.sleep

    def now(self) -> int:
        return self._clock.now() + self._off


def _partitions(count: int) -> tuple[PartitionFacts, ...]:
    return tuple(PartitionFacts(number, 1, (1,), (1,)) for number in range(count))


@contextmanager
def healthy(folder: Path) -> Iterator[Case]:
    """The example's app on a cluster where nothing is wrong."""
    clock = VirtualClock()
    log = MemoryLog(clock)
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings = Settings(
            bootstrap_servers=f"127.0.0.1:{server.getsockname()[1]}",
            inbox_partitions=3,
            state_dir=folder / "state",
        )
        app = bank()
        topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
        starts.set_starts(app, log, starts.find_starts(app, log))
        yield Case(app, settings, log, Paper(log), clock, "bank:app")


def paper(case: Case) -> Paper:
    """The cluster of a case, to change it."""
    assert isinstance(case.survey, Paper)
    return case.survey


def wrong(case: Case) -> dict[str, Finding]:
    """Code to finding of all that is wrong."""
    bad = (Severity.WARNING, Severity.FAILURE)
    return {each.code: each for each in examine(case) if each.severity in bad}


def broker(**config: str) -> ClusterFacts:
    """One broker with other settings; `_` stands for a dot."""
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return ClusterFacts("paper", (structs.replace(BROKER, config={**CONFIG, **changed}),))


def codes(found: Iterator[Finding]) -> list[str]:
    """What kinds of findings they are."""
    return [each.code for each in found]


Look = Callable[[Case, ClusterFacts], Iterator[Finding]]

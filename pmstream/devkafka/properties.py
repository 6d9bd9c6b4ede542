"""The server properties of an embedded broker, and its internal topics."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from confluent_kafka.cimpl import NewTopic

from pmstream.devkafka.ports import free

_COMMON = {
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    # A broker's start and stop take a beat or two, each of 2 s by default.
    "broker.heartbeat.interval.ms": "500",
    # How long the partitions of a killed broker, and its own return, wait for its session to end.
    "broker.session.timeout.ms": "5000",
    "group.initial.rebalance.delay.ms": "0",
    "group.share.enable": "false",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "offsets.topic.num.partitions": "5",
    "share.coordinator.state.topic.num.partitions": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "transaction.state.log.num.partitions": "5",
}
_REPLICATION = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")


class Door(NamedTuple):
    """One more listener of a cluster of one broker, such as one with SASL or TLS.

    Attributes:
        name: capital letters; its settings begin with `listener.name.<name in small letters>.`.
        port: on 127.0.0.1.
        protocol: SSL, SASL_PLAINTEXT or SASL_SSL.
    """

    name: str
    port: int
    protocol: str

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"127.0.0.1:{self.port}"


def with_doors(properties: Mapping[str, str], doors: Iterable[Door]) -> dict[str, str]:
    """A broker's properties with more listeners."""
    made = dict(properties)
    for door in doors:
        made["listeners"] += f",{door.name}://{door.address}"
        made["advertised.listeners"] += f",{door.name}://{door.address}"
        made["listener.security.protocol.map"] += f",{door.name}:{door.protocol}"
    return made


def server(
    node: int,
    ports: Sequence[int],
    voters: Mapping[int, int],
    data: Path,
    settings: Mapping[str, str],
    advertised: Sequence[int] = (),
) -> dict[str, str]:
    """The properties of one broker of a cluster.

    Args:
        node: its `node.id`, from 1.
        ports: of all brokers, by node.
        voters: each controller's `node.id` and port; a broker that is none of them has its
            controller in another process.
        data: the formatted folder.
        settings: what wins over all else.
        advertised: the ports, by node, that clients are told instead; what brokers tell each
            other goes its own way then.
    """
    clients = f"PLAINTEXT://127.0.0.1:{ports[node - 1]}"
    own = [f"CONTROLLER://127.0.0.1:{voters[node]}"] if node in voters else []
    return {
        **_COMMON,
        **_replicated(len(ports)),
        **_quorum(voters),
        "process.roles": "broker,controller" if node in voters else "broker",
        "node.id": str(node),
        "listeners": ",".join([clients, *own]),
        "inter.broker.listener.name": "PLAINTEXT",
        "advertised.listeners": clients,
        "log.dirs": str(data),
        **(_apart([clients, *own], advertised[node - 1]) if advertised else {}),
        **settings,
    }


def controller(
    node: int, brokers: int, voters: Mapping[int, int], data: Path, settings: Mapping[str, str]
) -> dict[str, str]:
    """The properties of a controller in a process of its own; the arguments are as of `server`."""
    return {
        **_COMMON,
        **_replicated(brokers),
        **_quorum(voters),
        "process.roles": "controller",
        "node.id": str(node),
        "listeners": f"CONTROLLER://127.0.0.1:{voters[node]}",
        "log.dirs": str(data),
        **settings,
    }


def _quorum(voters: Mapping[int, int]) -> dict[str, str]:
    """Static voters: their addresses stand here only, so the same data starts on other ports.

    Those of a dynamic quorum (KIP-853) are in the data.
    """
    named = (f"{number}@127.0.0.1:{port}" for number, port in voters.items())
    return {"controller.quorum.voters": ",".join(named)}


def _apart(listeners: Sequence[str], advertised: int) -> dict[str, str]:
    """Clients come by another port than they are answered at; brokers talk by a third one."""
    (internal,) = free(1)
    between = f"INTERNAL://127.0.0.1:{internal}"
    protocols = _COMMON["listener.security.protocol.map"]
    return {
        # Clients are let in last: before that, the coordinator cannot send its markers.
        "listeners": ",".join([between, *listeners]),
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{advertised},{between}",
        "inter.broker.listener.name": "INTERNAL",
        "listener.security.protocol.map": f"{protocols},INTERNAL:PLAINTEXT",
    }


def _replicated(brokers: int) -> dict[str, str]:
    """All topics survive the loss of one of three brokers."""
    factor, in_sync = str(brokers), str(min(brokers, 2))
    return {
        "default.replication.factor": factor,
        "min.insync.replicas": in_sync,
        **{f"{topic}.replication.factor": factor for topic in _REPLICATION},
        **{f"{topic}.min.isr": in_sync for topic in _REPLICATION if topic != "offsets.topic"},
    }


def internal_topics(properties: Mapping[str, str]) -> list[NewTopic]:
    """What brokers make at the first use of a group and of a transaction, with the same settings.

    Made early, no client waits a second for its coordinator to appear.
    """
    same = {"cleanup.policy": "compact", "segment.bytes": str(100 << 20)}
    in_sync = properties["transaction.state.log.min.isr"]
    return [
        NewTopic(
            "__consumer_offsets",
            int(properties["offsets.topic.num.partitions"]),
            int(properties["offsets.topic.replication.factor"]),
            config={**same, "compression.type": "producer"},
        ),
        NewTopic(
            "__transaction_state",
            int(properties["transaction.state.log.num.partitions"]),
            int(properties["transaction.state.log.replication.factor"]),
            config={**same, "compression.type": "uncompressed", "min.insync.replicas": in_sync},
        ),
    ]


def write(properties: Mapping[str, str], path: Path) -> None:
    """Writes a Java properties file."""
    lines = (
        f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in properties.items()
    )
    path.write_text("".join(lines))

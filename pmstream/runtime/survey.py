"""What a cluster is like beside its records: the port of `pmstream doctor`.

Rule: facts only; what they mean is judged in `operate.doctor`.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class BrokerFacts(Struct, frozen=True):
    """One broker that the cluster names.

    Attributes:
        id: its node id.
        address: `host:port` that clients are told.
        fault: why it does not answer; "" if it does.
        config: its settings; None if we may not see them, or it does not answer.
        apis: number of a request to the newest version of it that the broker knows.
    """

    id: int
    address: str
    fault: str = ""
    config: Mapping[str, str] | None = None
    apis: Mapping[int, int] = {}


class PartitionFacts(Struct, frozen=True):
    """Who keeps a partition: ids of brokers; `leader` None if nobody leads it."""

    number: int
    leader: int | None
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class TopicFacts(Struct, frozen=True):
    """A topic; `operations` that we may do with it, None if the cluster does not tell."""

    name: str
    partitions: tuple[PartitionFacts, ...]
    operations: frozenset[str] | None = None


class MemberFacts(Struct, frozen=True):
    """A member of a group: its static name or client id, and the topics of its partitions."""

    name: str
    host: str
    topics: frozenset[str] = frozenset()


class GroupFacts(Struct, frozen=True):
    """A group.

    Attributes:
        name: of the group.
        state: "stable", "empty", ...; "" if nobody has ever used it.
        protocol: "classic" or "consumer"; "" if not told.
        assignor: the strategy that its members agreed on; "" if there is none.
        members: of this moment.
        operations: what we may do with it; None if the cluster does not tell.
        is_denied: we may not even ask.
    """

    name: str
    state: str = ""
    protocol: str = ""
    assignor: str = ""
    members: tuple[MemberFacts, ...] = ()
    operations: frozenset[str] | None = None
    is_denied: bool = False


class ClusterFacts(Struct, frozen=True):
    """A cluster, its brokers sorted by id."""

    id: str
    brokers: tuple[BrokerFacts, ...]


class Survey(Protocol):
    """Asks a cluster about itself. Every call may raise Unavailable or Refused."""

    def cluster(self) -> ClusterFacts:
        """The brokers, each asked by itself."""

    def describe_topics(self, names: Sequence[str]) -> tuple[dict[str, TopicFacts], frozenset[str]]:
        """Those of these topics that exist, and the names that we may not ask for."""

    def describe_groups(self, names: Sequence[str]) -> dict[str, GroupFacts]:
        """All of these groups."""

    def library(self) -> str:
        """Version of the client library in use."""

    def delete_topic(self, name: str) -> None:
        """Deletes a topic."""

    def delete_group(self, name: str) -> None:
        """Deletes a group without members, if there is one. Raises Again while members leave."""

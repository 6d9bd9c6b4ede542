"""The port: what the runtime needs of a log of records, and its words.

Words: the *offset* of a record is where it stands; a *position* is the offset to read next.
*Committed* is what a group stored, atomically with a transaction. The *last stable offset* (LSO)
is the first offset of the oldest open transaction, else the end. `log_errors`: how it may fail.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct

from pmstream.runtime.meanwhile import Meanwhile, idle

Headers = tuple[tuple[str, bytes | None], ...]


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Record(Struct, frozen=True, gc=False):
    """One record as it was read; `timestamp` in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Committed(NamedTuple):
    """A group's stored position and the text stored with it."""

    position: int
    metadata: str = ""


class Membership(Struct, frozen=True):
    """A group's live membership, `token` is the log's own; the guard of a transaction's offsets."""

    generation: int
    token: object


class TopicInfo(Struct, frozen=True):
    """A topic as the log has it; `id` changes when a topic is deleted and made again."""

    name: str
    id: str
    partitions: int


class TopicSpec(Struct, frozen=True):
    """A topic to make. `replication` None is the cluster's default."""

    name: str
    partitions: int
    config: Mapping[str, str] = {}
    replication: int | None = None


class FaultKind(StrEnum):
    """What may happen to a group member between two gathers."""

    EXPELLED = "expelled"
    """max.poll.interval was exceeded: nothing is owned any more; `lost` follows."""
    POSITION_LOST = "position-lost"
    """A followed position is not in the log; `where` names it."""
    FATAL = "fatal"
    """The member can never work again (fenced instance id); the process must end."""
    REFUSED = "refused"
    """Unknown topic or not authorised; the text says which."""


class Fault(Struct, frozen=True):
    """One such event."""

    kind: FaultKind
    text: str
    where: TopicPartition | None = None


class Listener(Protocol):
    """Hears of a group member's fate. Called inside `gather` only; must not raise or block.

    `assigned` partitions are paused and stand at no position: `seek`, then `resume`.
    Only what changed is told (cooperative rebalancing); lists may be empty.
    """

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that are the member's from now on."""

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that are to be given up now, while they are still owned."""

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Partitions that somebody else may own already."""

    def fault(self, fault: Fault) -> None:
        """What else befell the member."""


class Consumer(Protocol):
    """A member of a consumer group; sees committed records only, up to the LSO."""

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Joins the group for these topics; what follows happens inside `gather`."""

    def gather(self, max_records: int, timeout: float) -> list[Record]:
        """Runs the listener, then answers records at hand, in order within a partition.

        Waits up to `timeout` seconds for the first one. With `max_records` 0 it only keeps
        the membership alive.
        """

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Answers no more records of these partitions until `resume`."""

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undoes `pause`."""

    def seek(self, partition: TopicPartition, position: int) -> None:
        """Reads on at `position`; nothing before it comes any more. Raises Again."""

    def committed(self, partition: TopicPartition, timeout: float) -> Committed | None:
        """The group's stable committed position, None if there is none.

        Raises:
            OffsetPending: an open transaction moves it, or the coordinator is away.
        """

    def membership(self) -> Membership | None:
        """The membership of this moment; None when the member is in no generation."""

    def position(self, partition: TopicPartition) -> int | None:
        """The offset to be gathered next, maybe before a last marker; None: unknown."""

    def lag(self, partition: TopicPartition) -> tuple[int, int] | None:
        """Offsets up to the last known LSO, and behind it (maybe 1 s old); None: unknown."""

    def close(self) -> None:
        """Leaves (a dynamic member) or goes silently (a static one). Never raises."""


class Reader(Protocol):
    """Reads named partitions from named positions, outside of any group."""

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Follows exactly these partitions from these positions."""

    def read(self, max_records: int, timeout: float) -> list[Record]:
        """Answers records at hand, in order within a partition; waits up to `timeout` seconds.

        Raises:
            PositionLost: a position is below the log's start or beyond its end.
            Refused: no such topic, or not authorised.
        """

    def position(self, partition: TopicPartition) -> int | None:
        """The next offset to read, past markers and aborted records; None before any `read`."""

    def close(self) -> None:
        """Frees it. Never raises."""


Delivered = Callable[[int], None]
"""Told the offset of a record that the log has taken (its transaction may still abort)."""


class Produces(Protocol):
    """Hands records to the log."""

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """Hands over one record; without `partition` the key's murmur2 hash decides.

        Raises:
            MustAbort: a Producer: it was not taken (queue full, too large): the transaction must
                not commit.
            Refused: a Writer, which waits while its queue is full.
        """


class Producer(Produces, Protocol):
    """A transactional producer; made ready by `Log.producer`, which ends what its id left open.

    `meanwhile` is work for a time of waiting; what it raises comes through as it is.
    """

    transactional_id: str

    def begin(self) -> None:
        """Opens a transaction. Raises OutcomeUnknown."""

    def flush(self, timeout: float, meanwhile: Meanwhile = idle) -> None:
        """Waits until the log has taken all records. Raises Again, MustAbort, OutcomeUnknown."""

    def send_offsets(
        self,
        group: Membership,
        offsets: Mapping[TopicPartition, Committed],
        timeout: float,
        meanwhile: Meanwhile = idle,
    ) -> None:
        """Puts the group's positions into the transaction.

        Raises:
            Again, MustGather (stale membership), MustAbort, OutcomeUnknown.
        """

    def commit(self, timeout: float) -> None:
        """Raises Again, MustAbort, OutcomeUnknown. After Again only `commit` may follow."""

    def abort(self, timeout: float) -> None:
        """Raises Again, OutcomeUnknown."""

    def drop(self) -> None:
        """Lets go without closing; an open transaction stays open until its id is used again."""


class Writer(Produces, Protocol):
    """A producer without transactions, for tools and loaders."""

    def flush(self, timeout: float) -> None:
        """Waits until all is taken. Raises Again, Refused."""


class Log(Protocol):
    """A cluster: where members, producers and answers about topics come from."""

    def consumer(self, group: str, member: str | None = None) -> Consumer:
        """A member of `group`; `member` is its static name (KIP-345), None for a dynamic one."""

    def reader(self, *, committed: bool = True, bare: bool = False) -> Reader:
        """Of committed records up to the LSO, or of all; `bare`: without headers and times."""

    def producer(self, transactional_id: str) -> Producer:
        """A producer, after what its id left open was aborted or completed.

        Raises:
            Unavailable, Refused.
        """

    def writer(self) -> Writer:
        """A producer without transactions."""

    def abort_open(
        self, transactional_id: str, timeout: float, is_enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Ends what that id has open, and fences its owner; ready once `is_enough` (takeover).

        Raises:
            Again (not done in `timeout` seconds), Refused.
        """

    def topics(self) -> dict[str, TopicInfo]:
        """All topics. Raises Unavailable."""

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Makes topics. Raises Refused, naming those that exist (the others are made)."""

    def config(self, topic: str) -> dict[str, str]:
        """The topic's settings in force. Raises Refused, Unavailable."""

    def start(self, partition: TopicPartition) -> int | None:
        """The lowest offset still there; None when unknown now, or no such topic."""

    def end(self, partition: TopicPartition, *, stable: bool) -> int | None:
        """The LSO (stable) or the high watermark; None when it cannot be told now."""

    def offset_at(self, partition: TopicPartition, timestamp: int) -> int | None:
        """The first offset of that time or later, else the end; None when it cannot be told."""

    def last_committed(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """The group's last *known* positions at once, pending ones not seen. Never for restore."""

    def set_positions(self, group: str, positions: Mapping[TopicPartition, Committed]) -> None:
        """Stores a group's positions, all or none. Raises Refused: it has members."""

    def members(self, group: str) -> list[str]:
        """Static names (or client ids) of the group's members of this moment."""

    def delete_records(self, positions: Mapping[TopicPartition, int]) -> None:
        """Deletes all records below these positions. Raises Refused, Again."""

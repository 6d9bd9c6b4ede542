"""What all partitions of a worker share."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.engine import Coder
from pmstream.core.identity import reply_headers
from pmstream.core.messages import Headers
from pmstream.core.process import Callbacks
from pmstream.runtime.clock import Clock
from pmstream.runtime.failures import Failures
from pmstream.runtime.guard import Guard
from pmstream.runtime.log import Record
from pmstream.runtime.observer import Observer
from pmstream.runtime.overlay import Room
from pmstream.runtime.reading import Reader
from pmstream.runtime.replies import ReadReply
from pmstream.runtime.traced import Traced


class Direct(Struct, frozen=True, kw_only=True):
    """A source topic that the instances worker reads itself, without router and inbox.

    Attributes:
        topic: its name.
        id: another id is another topic of the same name.
        is_start: whether a position's text is that of `topics ensure`, for this very topic.
        in_order: whether its timestamps are the broker's, and so never go back.
    """

    topic: str
    id: str
    is_start: Callable[[str], bool]
    in_order: bool


class Setup(Struct, frozen=True, kw_only=True):
    """What all partitions of a worker share.

    Attributes:
        names: topics and groups of the process manager.
        callbacks: of the process manager.
        coder: the bytes of messages.
        direct: the source topic that is read instead of an inbox, if so.
        reader: reads the records of a partition.
        read_reply: a record of the replies; None when commands are not confirmed.
        guard: interrupts the author's code; None without `event_timeout`.
        failures: counts them.
        observer: tells listeners of each try; None when the app has none.
        traced: makes spans of inputs; None when tracing is off.
        clock: time.
        owner: this worker's transactional id.
        version: of pmstream.
        partitions: how many the inbox has.
        backlog_limit: see `ProcessManager`.
        max_state_bytes: the largest state.
        room: for decoded instances, of all partitions.
        idle_ms: decoded instances untouched so long leave memory; None: when there is no room.
        inbox_retention_ms: how long handled records stay.
    """

    names: Names
    callbacks: Callbacks
    coder: Coder
    direct: Direct | None
    reader: Reader
    read_reply: Callable[[Record, int], ReadReply] | None
    guard: Guard | None
    failures: Failures
    observer: Observer | None
    traced: Traced | None
    clock: Clock
    owner: str
    version: str
    partitions: int
    backlog_limit: int
    max_state_bytes: int
    room: Room
    idle_ms: int | None
    inbox_retention_ms: int

    @property
    def input(self) -> str:
        """The topic whose partitions the worker owns."""
        return self.names.inbox if self.direct is None else self.direct.topic

    def time_of(self, record: Record) -> int:
        """Until when all inputs stand before the record; 0 when its timestamp does not tell."""
        return record.timestamp if self.direct is None or self.direct.in_order else 0

    def reply_headers(self, number: int) -> Headers:
        """What asks for replies to the commands of a partition; none when there are none."""
        return () if self.read_reply is None else reply_headers(self.names.replies, number)

    @property
    def source_id(self) -> str:
        """Id of that topic if it is not ours, else ""."""
        return "" if self.direct is None else self.direct.id


def installed() -> str:
    """The version of pmstream that runs."""
    try:
        return version("pmstream")
    except PackageNotFoundError:
        return "unpackaged"

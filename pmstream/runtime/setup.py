"""What all partitions of a worker share."""

from collections.abc import Callable

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.engine import Coder
from pmstream.core.messages import Routed
from pmstream.core.process import Callbacks
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Out
from pmstream.runtime.guard import Guard
from pmstream.runtime.log import Record
from pmstream.runtime.observer import Observer
from pmstream.runtime.replies import ReadReply


class Setup(Struct, frozen=True, kw_only=True):
    """What all partitions of a worker share.

    Attributes:
        names: topics and groups of the process manager.
        callbacks: of the process manager.
        coder: the bytes of messages.
        read: an inbox record of a partition; an Out is a dead letter, None is nothing.
        read_reply: a record of the replies; None when commands are not confirmed.
        guard: interrupts the author's code; None without `event_timeout`.
        observer: tells listeners of each try; None when the app has none.
        clock: time.
        owner: this worker's transactional id.
        version: of pmstream.
        partitions: how many the inbox has.
        backlog_limit: see `ProcessManager`.
        max_state_bytes: the largest state.
        cache_bytes: for decoded instances, of each partition.
        idle_ms: decoded instances untouched so long leave memory; None: when there is no room.
        inbox_retention_ms: how long handled records stay.
    """

    names: Names
    callbacks: Callbacks
    coder: Coder
    read: Callable[[Record, int], Routed | Out | None]
    read_reply: Callable[[Record, int], ReadReply] | None
    guard: Guard | None
    observer: Observer | None
    clock: Clock
    owner: str
    version: str
    partitions: int
    backlog_limit: int
    max_state_bytes: int
    cache_bytes: int
    idle_ms: int | None
    inbox_retention_ms: int

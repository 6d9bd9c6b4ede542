"""What the changelog holds: instances, backlog entries, and one commit record per transaction.

Rule: the commit record is the last record of its transaction in its partition. A store equals the
fold of the changelog up to its checkpoint, and is whole when the checkpoint's commit record is the
one that the group's committed offset names: position *and* sequence (the position alone is not
enough: transactions of timers and retries move state without moving the position).
"""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from pmstream.core.instance import has_due, load_instance
from pmstream.core.lifecycle import coming
from pmstream.errors import PmstreamError
from pmstream.runtime.log import Committed, Record
from pmstream.runtime.store import INSTANCE, due_key

COMMIT_KEY = b"c"
FORMAT = 1

Seen = dict[str, tuple[int, int]]
"""Source `topic-partition` to the last (offset, index) taken in; what is not above it was read
before, and is dropped."""


class CommitRecord(Struct, frozen=True, array_like=True, kw_only=True):
    """What a transaction says of its partition.

    Attributes:
        source: the position after it, in the inbox or the source topic.
        sequence: +1 with every transaction that touches the partition.
        owner: transactional id of the worker that wrote it.
        generation: of the group, when it was written.
        partitions: how many the inbox has.
        version: of pmstream.
        time: milliseconds since the epoch.
        seen: see `Seen`.
        replies: position in the replies; 0 when there are none.
        orders: position in the orders.
        source_id: id of the source topic that `source` is a position of, in direct mode.
        run: records in a row, up to there, that could not be decoded, in direct mode.
        paused: whether an operator lets the partition take orders only.
    """

    format: int = FORMAT
    source: int
    sequence: int
    owner: str
    generation: int
    partitions: int
    version: str
    time: int
    seen: Seen
    orders: int = 0
    replies: int = 0
    source_id: str = ""
    run: int = 0
    paused: bool = False

    def matches(self, committed: Committed) -> bool:
        """Whether the group's committed offset was sent in the transaction of this record."""
        return (self.source, str(self.sequence)) == (committed.position, committed.metadata)


class Checkpoint(Struct, frozen=True, array_like=True):
    """How far a store has come.

    Attributes:
        next: the changelog offset to read next.
        last: the last commit record before it.
        time: when this was written, milliseconds since the epoch.
        whole: whether nothing of a later transaction than `last` is in the store: a restore
            writes in chunks, which may end in mid-transaction.
    """

    next: int = 0
    last: CommitRecord | None = None
    time: int = 0
    whole: bool = True

    def matches(self, committed: Committed) -> bool:
        """Whether the store is the state that the group's committed offset speaks of."""
        return self.whole and self.last is not None and self.last.matches(committed)


class ChangelogInvalid(PmstreamError):
    """The changelog holds what this version cannot read."""


_encoder = msgspec.msgpack.Encoder()
_commit_decoder = msgspec.msgpack.Decoder(CommitRecord)
_checkpoint_decoder = msgspec.msgpack.Decoder(Checkpoint)


def dump_commit(record: CommitRecord) -> bytes:
    """The commit record's bytes."""
    return _encoder.encode(record)


def load_commit(value: bytes | None) -> CommitRecord:
    """Reads `dump_commit`. Raises ChangelogInvalid."""
    try:
        record = _commit_decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ChangelogInvalid(f"a commit record in the changelog is damaged: {error}") from error
    if record.format != FORMAT:
        raise ChangelogInvalid(
            f"the changelog was written in format {record.format} by version {record.version}; "
            f"this version reads {FORMAT}: run that version"
        )
    return record


def dump_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The checkpoint's bytes."""
    return _encoder.encode(checkpoint)


def load_checkpoint(value: bytes | None) -> Checkpoint:
    """Reads `dump_checkpoint`; none, or of an older version, is an empty one."""
    try:
        return _checkpoint_decoder.decode(value) if value else Checkpoint()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Checkpoint()


def with_due(changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    """Adds the due hints that the changed instances call for.

    Hints are only ever added: one that no longer holds is found out when it comes due.
    """
    return {**changes, **_due_hints(changes)}


def _due_hints(changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    found: dict[bytes, bytes | None] = {}
    for key, value in changes.items():
        if value is not None and key[:1] == INSTANCE and has_due(value):
            uuid = key[1:].decode()
            for each in coming(load_instance(value)):
                found[due_key(uuid, each)] = b""
    return found


def fold(
    records: Iterable[Record], checkpoint: Checkpoint, now: int
) -> tuple[dict[bytes, bytes | None], Checkpoint]:
    """Applies changelog records, in order, behind a checkpoint.

    Returns:
        The changes to write, and the checkpoint to write them with.

    Raises:
        ChangelogInvalid: a commit record cannot be read.
    """
    changes: dict[bytes, bytes | None] = {}
    following, last, whole = checkpoint.next, checkpoint.last, checkpoint.whole
    for record in records:
        offset, key = record.offset, record.key
        if offset < following or key is None:
            continue
        following = offset + 1
        if key == COMMIT_KEY:
            last, whole = load_commit(record.value), True
        else:
            changes[key] = record.value
            whole = False
    changes.update(_due_hints(changes))
    return changes, Checkpoint(following, last, now, whole)

"""What a changelog holds, told without keeping it: how much, a checksum, and what waits.

Rule: one partition is looked at after the other, so that memory holds the keys of one only.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b

from msgspec import Struct

from pmstream.core.instance import load_instance
from pmstream.core.lifecycle import Condition, condition
from pmstream.errors import Stopped
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, load_commit
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import BACKLOG, INSTANCE

MOST_NAMED = 1_000
"""Instances in flight that are remembered by name; of more it is told how many there are."""

_SUFFIX = 9
"""Bytes behind the process UUID in the key of a backlog entry."""

Step = Callable[[int], None]
"""Told how many more offsets are read."""


class Contents(Struct, frozen=True):
    """How much a changelog holds; equal contents are equal byte for byte, wherever they stand.

    Attributes:
        instances: how many.
        entries: inputs that wait in backlogs.
        size: bytes of keys and values.
        checksum: the sum of the hashes of all pairs of key and value.
    """

    instances: int = 0
    entries: int = 0
    size: int = 0
    checksum: int = 0

    def __str__(self) -> str:
        return f"{self.instances} instances, {self.entries} waiting, checksum {self.checksum:032x}"


class Looked(Struct, frozen=True):
    """What a look at a changelog tells.

    Attributes:
        contents: how much it holds.
        conditions: how many instances stand where in LIFECYCLE.
        awaiting: process UUIDs of those that wait for a reply, the first MOST_NAMED.
        commits: partition to its last commit record.
        ends: partition to where the look ended.
    """

    contents: Contents
    conditions: Mapping[Condition, int]
    awaiting: tuple[str, ...]
    commits: Mapping[int, CommitRecord]
    ends: Mapping[TopicPartition, int]


def uuid_of(key: bytes) -> bytes:
    """The process UUID, which tells where a record belongs; b"" if the key is none of ours."""
    if key[:1] == INSTANCE:
        return key[1:]
    return key[1:-_SUFFIX] if key[:1] == BACKLOG else b""


def look(log: Log, changelog: TopicInfo, step: Step) -> Looked:
    """Reads a whole changelog.

    Args:
        log: the cluster.
        changelog: its topic.
        step: for progress.

    Raises:
        Stopped: a record is where it does not belong, or none of this version.
        FormatError, ChangelogInvalid: a newer version wrote it, or it is damaged.
        Unreachable, Unavailable: the cluster.
    """
    spans = bounds(log, changelog)
    partition = _Partition(changelog.partitions)
    for place, span in spans.items():
        before = span[0]
        for records in read_once(log, {place: span}):
            for record in records:
                partition.take(record)
            step(records[-1].offset + 1 - before)
            before = records[-1].offset + 1
        step(span[1] - before)
        partition.count()
    return Looked(
        partition.contents,
        partition.conditions,
        tuple(partition.awaiting),
        partition.commits,
        {place: end for place, (_, end) in spans.items()},
    )


def last_offsets(log: Log, place: TopicPartition, span: tuple[int, int]) -> dict[bytes, int]:
    """Key to offset of the last record of each instance and backlog entry that is there."""
    found: dict[bytes, int] = {}
    for records in read_once(log, {place: span}):
        for record in records:
            if record.key is None or not uuid_of(record.key):
                continue
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record.offset
    return found


class _Partition:
    """Counts one partition after the other."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._found: dict[bytes, tuple[int, int, Condition | None]] = {}
        self.contents = Contents()
        self.conditions: Counter[Condition] = Counter()
        self.awaiting: list[str] = []
        self.commits: dict[int, CommitRecord] = {}

    def take(self, record: Record) -> None:
        key = record.key or b""
        if key == COMMIT_KEY:
            self.commits[record.partition] = load_commit(record.value)
            return
        self._check(record, key)
        if record.value is None:
            self._found.pop(key, None)
            return
        stands = condition(load_instance(record.value)) if key[:1] == INSTANCE else None
        self._found[key] = (_hash(key, record.value), len(key) + len(record.value), stands)

    def _check(self, record: Record, key: bytes) -> None:
        uuid = uuid_of(key)
        where = f"{record.topic}-{record.partition} at offset {record.offset}"
        if not uuid:
            raise Stopped(
                f"{where} stands a record with the key {key[:40]!r}, which this version of "
                "pmstream does not know: run the version that wrote it"
            )
        belongs = murmur2_partition(uuid, self._partitions)
        if belongs != record.partition:
            raise Stopped(
                f"{where} stands process {uuid.decode(errors='replace')!r}, which belongs into "
                f"partition {belongs} of {self._partitions}: something else than pmstream wrote it"
            )

    def count(self) -> None:
        """The partition is read to its end."""
        kept = self.contents
        stands = Counter(each for _, _, each in self._found.values() if each is not None)
        instances = stands.total()
        self.contents = Contents(
            kept.instances + instances,
            kept.entries + len(self._found) - instances,
            kept.size + sum(size for _, size, _ in self._found.values()),
            (kept.checksum + sum(each for each, _, _ in self._found.values())) % (1 << 128),
        )
        self.conditions += stands
        self.awaiting += self._awaiting()
        self._found = {}

    def _awaiting(self) -> Iterator[str]:
        room = MOST_NAMED - len(self.awaiting)
        for key, (_, _, stands) in sorted(self._found.items()):
            if stands is Condition.AWAITING and room > 0:
                room -= 1
                yield uuid_of(key).decode()


def _hash(key: bytes, value: bytes) -> int:
    """Of a pair; the key's length keeps one pair from looking like another."""
    told = blake2b(len(key).to_bytes(4, "big") + key, digest_size=16)
    told.update(value)
    return int.from_bytes(told.digest(), "big")

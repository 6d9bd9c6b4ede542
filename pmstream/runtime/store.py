"""One partition's instances and checkpoint in RocksDB: the only door to rocksdict.

Rule: written only after a commit is acknowledged (or while restoring from the changelog), in one
WriteBatch with the checkpoint. Without a write-ahead log a killed process finds an older state
that is whole: catching up is the changelog's part, never a wipe.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from pmstream.core.lifecycle import BY_CLOCK, Coming, DueKind
from pmstream.errors import Busy, PmstreamError

FORMAT = b"pmstream store 1"
INSTANCE, BACKLOG, META = b"i", b"q", b"m"
BY_CLOCK_DUE, TIMED_DUE = b"d", b"t"
"""Prefixes of due hints: those that come due by the clock alone, and the others."""

_CHECKPOINT, _IDENTITY = META + b"checkpoint", META + b"identity"
_FIGURES = {
    "store_bytes": "live-sst-files-size",
    "store_keys": "estimate-num-keys",
    "store_write_stopped": "is-write-stopped",
}
_WRITE_BUFFER_BYTES = 4 << 20
_LEVEL0_FILES, _LEVEL0_FILES_FILLING = 4, 16
"""Flushed files that RocksDB merges at once: usually, and while a store is filled. Merging at 4 is
half of RocksDB's work then; and they are not to stand in the way of who writes."""
_LEVEL0_SLOW, _LEVEL0_STOP = 48, 96
_READAHEAD_BYTES = 256 << 10
"""Of each file that is merged: 2 MiB by default, for 16 files in each of a worker's stores."""
_BLOCK_CACHE_BYTES = 64 << 20


class StoreCorrupt(PmstreamError):
    """The store's files are damaged: destroy it and restore from the changelog."""


class StoreFailed(PmstreamError):
    """The store cannot be read or written: disk full, read-only, no permission."""


def instance_key(uuid: str) -> bytes:
    """Key of an instance, in the store and in the changelog."""
    return INSTANCE + uuid.encode()


def backlog_key(uuid: str, sequence: int) -> bytes:
    """Key of a backlog entry, in the store and in the changelog."""
    return BACKLOG + uuid.encode() + b"\0" + sequence.to_bytes(8, "big")


def due_key(uuid: str, coming: Coming) -> bytes:
    """Key of a due hint: sorted by time; derived locally, never in the changelog."""
    prefix = BY_CLOCK_DUE if coming.kind in BY_CLOCK else TIMED_DUE
    what = f"{uuid}\0{coming.kind}\0{coming.name}"
    return prefix + coming.due.to_bytes(8, "big") + what.encode()


def split_due_key(key: bytes) -> tuple[str, Coming]:
    """Undoes `due_key`."""
    uuid, kind, name = key[9:].decode().split("\0")
    return uuid, Coming(DueKind(kind), due_of(key), name)


def due_of(key: bytes) -> int:
    """The time in a due hint's key, milliseconds since the epoch."""
    return int.from_bytes(key[1:9], "big")


class Caches:
    """What all stores of one process share."""

    def __init__(self, block_cache_bytes: int = _BLOCK_CACHE_BYTES) -> None:
        self.blocks = Cache(block_cache_bytes)

    def options(self) -> Options:
        """Options of a store. Bloom filter and cache only count when given at every open."""
        table = BlockBasedOptions()
        table.set_block_cache(self.blocks)
        table.set_bloom_filter(10, False)
        table.set_cache_index_and_filter_blocks(False)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(table)
        options.set_write_buffer_size(_WRITE_BUFFER_BYTES)
        options.set_max_write_buffer_number(2)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_max_open_files(128)
        options.set_keep_log_file_num(1)
        options.set_max_background_jobs(2)
        options.set_compaction_readahead_size(_READAHEAD_BYTES)
        options.set_level_zero_file_num_compaction_trigger(_LEVEL0_FILES)
        options.set_level_zero_slowdown_writes_trigger(_LEVEL0_SLOW)
        options.set_level_zero_stop_writes_trigger(_LEVEL0_STOP)
        return options


class Store:
    """A partition's local state.

    Args:
        path: its folder; made when missing.
        identity: what the state belongs to (topic ids, partition count); a store of another
            identity or format is emptied.
        caches: shared by the stores of one process.

    Attributes:
        path: its folder.
        wiped: why it was emptied at opening; "" if it was not.

    Raises:
        Busy: another process has it open.
        StoreFailed: the folder cannot be used.
    """

    def __init__(self, path: Path, identity: str, caches: Caches) -> None:
        self.path, self._caches = path, caches
        self._identity = FORMAT + b" " + identity.encode()
        self._no_wal = WriteOptions()
        self._no_wal.disable_wal = True  # type: ignore[method-assign,assignment]  # a property; the stub errs
        self._no_wal.memtable_insert_hint_per_batch = True
        self.wiped = ""
        try:
            self._db = self._open()
            found = self._db.get(_IDENTITY)
        except StoreCorrupt as error:
            found = str(error).encode()
        if found is not None and found != self._identity:
            self.wipe(
                "it is of other topics or another partition count: found "
                f"{found.decode(errors='replace')!r}, needs {identity!r}"
            )
        elif found is None:
            self._write({}, _IDENTITY, self._identity)

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`. Raises StoreCorrupt, StoreFailed."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise _translated(error, self.path) from error
        return value

    def checkpoint(self) -> bytes | None:
        """What the last `write` gave as its checkpoint."""
        return self.get(_CHECKPOINT)

    def write(self, changes: Mapping[bytes, bytes | None], checkpoint: bytes) -> None:
        """Puts, deletes (None) and the checkpoint, all or none. Raises StoreFailed."""
        self._write(changes, _CHECKPOINT, checkpoint)

    def fill(self, *, filling: bool) -> None:
        """Says whether much is to be written now, and little read. Raises StoreFailed."""
        files = _LEVEL0_FILES_FILLING if filling else _LEVEL0_FILES
        try:
            self._db.set_options({"level0_file_num_compaction_trigger": str(files)})
        except Exception as error:
            raise _translated(error, self.path) from error

    def scan(
        self, low: bytes, high: bytes, limit: int | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values in [low, high), in order. Raises StoreCorrupt, StoreFailed."""
        options = ReadOptions()
        options.set_iterate_upper_bound(high)
        try:
            found = self._db.iter(options)
            found.seek(low)
            while found.valid() and limit != 0:
                yield found.key(), found.value()
                found.next()
                limit = None if limit is None else limit - 1
            found.status()  # plain iteration would end silently at a damaged block
        except PmstreamError:
            raise
        except Exception as error:
            raise _translated(error, self.path) from error

    def figures(self) -> dict[str, float]:
        """What RocksDB tells of itself without looking: names in `pmstream.metrics` to values."""
        return {
            name: float(self._db.property_int_value(f"rocksdb.{known}") or 0)
            for name, known in _FIGURES.items()
        }

    def flush(self) -> None:
        """Makes what was written survive a kill. Raises StoreFailed."""
        try:
            self._db.flush()
        except Exception as error:
            raise _translated(error, self.path) from error

    def wipe(self, why: str) -> None:
        """Starts again, empty."""
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        self._db = self._open()
        self._write({}, _IDENTITY, self._identity)
        self.wiped = why

    def close(self) -> None:
        """Flushes and frees it; never raises: what is not flushed comes from the changelog."""
        database = getattr(self, "_db", None)
        if database is None:
            return
        for step in (database.flush, database.close):
            # An older state that is whole is what the next start finds then.
            with suppress(Exception):
                step()

    def _open(self) -> Rdict:
        options = self._caches.options()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            return Rdict(str(self.path), options, column_families={"default": options})
        except Exception as error:
            raise _translated(error, self.path) from error

    def _write(self, changes: Mapping[bytes, bytes | None], name: bytes, note: bytes) -> None:
        """All or none; in the order of keys, so that each finds its place beside the last one."""
        batch = WriteBatch(raw_mode=True)
        for key in sorted(changes):
            value = changes[key]
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(name, note)
        try:
            self._db.write(batch, self._no_wal)
        except Exception as error:
            raise _translated(error, self.path) from error


def _translated(error: Exception, path: Path) -> PmstreamError:
    """RocksDB tells its failures apart by their text only."""
    text = str(error).partition("\n")[0]
    if "lock hold by" in text or "While lock file" in text:
        return Busy(f"state directory {path} is in use by another process: {text}")
    if "Corruption" in text or "Invalid argument" in text:
        return StoreCorrupt(f"store {path} is damaged: {text}")
    return StoreFailed(f"store {path} cannot be used: {text}; check space and permissions")

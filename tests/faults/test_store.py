"""A store alone, and what kills, full disks and flipped bytes do to it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.errors import Busy, ConfigurationError
from pmstream.runtime.changelog import (
    COMMIT_KEY,
    Checkpoint,
    CommitRecord,
    dump_checkpoint,
    dump_commit,
    fold,
    load_checkpoint,
)
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.folder import lock_directory
from pmstream.runtime.log import Committed, Record, TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.restore import Restore, Verdict
from pmstream.runtime.store import (
    Caches,
    Store,
    StoreCorrupt,
    StoreFailed,
    instance_key,
)
from pmstream.testing.killed import leave_as_killed
from tests.faults.kit import SOAK, fill, soak


def open_store(path: Path) -> Store:
    return Store(path / "0", "topic 12", Caches(1 << 20))


def commit_record(sequence: int) -> CommitRecord:
    return CommitRecord(
        source=sequence,
        sequence=sequence,
        owner="w-0",
        generation=1,
        partitions=1,
        version="1",
        time=0,
        seen={},
    )


def changelog(transactions: int) -> list[Record]:
    """Two instances and a commit record each."""
    found: list[Record] = []
    for n in range(1, transactions + 1):
        for key, value in (
            (instance_key("a"), b"\0\0%d" % n),
            (instance_key("b"), b"\0\0%d" % n),
            (COMMIT_KEY, dump_commit(commit_record(n))),
        ):
            found.append(Record("changelog", 0, len(found), 0, key, value))
    return found


def test_f8_s_killed_in_mid_transaction_a_restore_is_not_complete(tmp_path: Path) -> None:
    """Position and sequence fit, but half of the next transaction is in the store."""
    records = changelog(3)
    store = open_store(tmp_path)
    for end in (2, 5, 7):
        checkpoint = load_checkpoint(store.checkpoint())
        changes, checkpoint = fold(records[:end], checkpoint, 0)
        store.write(changes, dump_checkpoint(checkpoint))
        store.flush()
        leave_as_killed(store)
        store = open_store(tmp_path)
        found = load_checkpoint(store.checkpoint())
        assert found.next == end
        assert not any(found.matches(Committed(n, str(n))) for n in range(4))
    changes, checkpoint = fold(records, load_checkpoint(store.checkpoint()), 0)
    store.write(changes, dump_checkpoint(checkpoint))
    assert load_checkpoint(store.checkpoint()).matches(Committed(3, "3"))
    assert [value for _, value in store.scan(b"i", b"j")] == [b"\0\0" + b"3"] * 2
    store.close()


WRITER = """
import os, sys
from pathlib import Path
from pmstream.runtime.store import Caches, Store, instance_key
store = Store(Path(sys.argv[1]) / "0", "topic 12", Caches(1 << 20))
store.fill(filling=sys.argv[2] == "filling")
n = int(store.checkpoint() or b"0")
while True:
    n += 1
    store.write({instance_key(str(k)): b"%d" % n for k in range(20)}, b"%d" % n)
    if n % 50 == 0:
        store.flush()
        print(n, flush=True)
"""


def kill_and_reopen(path: Path, times: int) -> None:
    """Every key is from the checkpoint's batch, and nothing that was flushed is gone."""
    for n in range(times):
        command = [sys.executable, "-c", WRITER, str(path), "filling" if n % 2 else "as usual"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        flushed = [int(child.stdout.readline()) for _ in range(3)][-1]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        store = open_store(path)
        checkpoint = store.checkpoint()
        assert checkpoint is not None
        assert int(checkpoint) >= flushed
        assert {value for _, value in store.scan(b"i", b"j")} == {checkpoint}
        store.close()


def test_f11_s_a_killed_process_leaves_a_whole_state(tmp_path: Path) -> None:
    kill_and_reopen(tmp_path, 5)


class TestLong:
    """Takes minutes."""

    pytestmark = soak

    def test_f11_s_a_hundred_killed_processes_leave_a_whole_state(self, tmp_path: Path) -> None:
        kill_and_reopen(tmp_path, 100)


def test_f13_s_a_directory_that_is_held_is_busy_and_names_the_holder(tmp_path: Path) -> None:
    with (
        lock_directory(tmp_path / "w", 0),
        pytest.raises(Busy, match=f"held by process {os.getpid()}"),
    ):
        lock_directory(tmp_path / "w", 0.1)
    lock_directory(tmp_path / "w", 0).close()


def test_f13_s_an_open_store_is_busy_for_another_process(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(Busy, match="in use by another process"):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path).close()


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_f26_s_many_opens_and_closes_hold_no_memory(tmp_path: Path) -> None:
    """The second half must not add what a leak of a few kilobytes an open would."""
    caches, opens = Caches(1 << 20), 500 if SOAK else 60
    held = []
    for at in range(2 * opens):
        store = Store(tmp_path / str(at % 64), "topic 64", caches)
        store.write({instance_key(str(at)): b"x" * 1_000}, b"%d" % at)
        store.close()
        if at in (opens - 1, 2 * opens - 1):
            held.append(resident())
    assert held[1] - held[0] < 24 << 20


def test_f26_s_sixty_four_open_stores_are_bounded(tmp_path: Path) -> None:
    caches, before = Caches(), resident()
    stores = [Store(tmp_path / str(at), "topic 64", caches) for at in range(64)]
    for store in stores:
        store.write({instance_key(str(n)): os.urandom(500) for n in range(200)}, b"1")
        store.flush()
    assert resident() - before < 64 * (8 << 20)  # two write buffers each
    for store in stores:
        store.close()


def test_f27_s_a_damaged_manifest_is_found_and_the_store_starts_again(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write({instance_key(str(n)): b"x" * 100 for n in range(1000)}, b"first")
    store.close()
    manifest = next((tmp_path / "0").glob("MANIFEST-*"))
    manifest.write_bytes(b"\xff" * manifest.stat().st_size)
    store = open_store(tmp_path)
    assert "damaged" in store.wiped
    assert store.checkpoint() is None
    store.close()


def flip_blocks(folder: Path) -> None:
    """Damages data blocks of every table, not their ends where RocksDB looks first."""
    for table in folder.glob("*.sst"):
        content = bytearray(table.read_bytes())
        size = len(content) // 2
        content[1000:size] = bytes(size - 1000)
        table.write_bytes(content)


def test_f27_s_damaged_blocks_are_found_when_they_are_read(tmp_path: Path) -> None:
    """Never a wrong value, never a silent end of a scan."""
    store = open_store(tmp_path)
    store.write({instance_key(str(n)): os.urandom(400) for n in range(2000)}, b"first")
    store.close()
    flip_blocks(tmp_path / "0")
    store = open_store(tmp_path)
    if not store.wiped:
        with pytest.raises(StoreCorrupt, match="damaged"):
            list(store.scan(b"i", b"j"))
    store.close()


def test_f35_s_a_copy_older_than_half_the_tombstones_life_is_emptied(tmp_path: Path) -> None:
    clock = VirtualClock()
    log = MemoryLog(clock)
    log.create_topics([TopicSpec("inbox", 1), TopicSpec("changelog", 1)])
    store = open_store(tmp_path)
    record = commit_record(1)
    store.write({instance_key("a"): b"1"}, dump_checkpoint(Checkpoint(3, record, clock.now())))
    for age_ms, emptied in ((499_000, False), (2_000, True)):
        clock.advance(age_ms / 1000)
        source, place = TopicPartition("inbox", 0), TopicPartition("changelog", 0)
        restore = Restore(source, place, store, clock, 1_000_000, 60_000)
        restore.turn(log.consumer("group"), log, None)
        assert (store.get(instance_key("a")) is None) == emptied
    store.close()


def test_f6_s_a_restore_that_only_passes_what_was_aborted_does_not_stall(tmp_path: Path) -> None:
    """No record comes of it, for longer than a restore may stand still."""
    clock = VirtualClock()
    log = MemoryLog(clock)
    log.create_topics([TopicSpec("inbox", 1), TopicSpec("changelog", 1)])
    writer = log.writer()
    for _ in range(200):
        writer.produce("changelog", b"x", b"ia")
    writer.flush(1)
    store = open_store(tmp_path)
    source, place = TopicPartition("inbox", 0), TopicPartition("changelog", 0)
    restore, consumer = Restore(source, place, store, clock, 1_000_000, 60_000), log.consumer("g")
    for read_to in range(100):
        clock.advance(0.9)
        assert restore.turn(consumer, log, read_to) is Verdict.GOING_ON
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; skips where none may be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_f41_s_a_full_disk_is_a_clear_stop_and_nothing_flushed_is_lost(small_disk: Path) -> None:
    store = open_store(small_disk)
    store.write({instance_key("a"): b"1"}, b"1")
    store.flush()
    filler = small_disk / "filler"
    with pytest.raises(StoreFailed, match="check space and permissions"):
        fill_and_write(filler, store)
    store.close()
    filler.unlink()
    store = open_store(small_disk)
    assert (store.get(instance_key("a")), store.wiped) == (b"1", "")
    store.write({instance_key("a"): b"2"}, b"2")
    store.flush()
    store.close()


def fill_and_write(filler: Path, store: Store) -> None:
    fill(filler)
    for n in range(100):
        store.write({instance_key(str(n)): os.urandom(100_000)}, b"x")
        store.flush()


def test_f41_s_a_directory_that_cannot_be_made_is_a_fault_of_configuration(tmp_path: Path) -> None:
    """A file stands where the directory should be (root may write anywhere else)."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="PMSTREAM_STATE_DIR"):
        lock_directory(tmp_path / "file" / "w", 0)


def test_f41_s_a_read_only_file_system_is_a_fault_of_configuration(small_disk: Path) -> None:
    open_store(small_disk).close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ConfigurationError, match="PMSTREAM_STATE_DIR"):
        lock_directory(small_disk / "w", 0)
    with pytest.raises(StoreFailed, match="check space and permissions"):
        open_store(small_disk)

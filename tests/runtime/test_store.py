"""The store on a real RocksDB: atomic, whole after a kill, emptied only for good reason."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.errors import Busy, ConfigurationError
from pmstream.runtime.store import (
    Caches,
    Store,
    StoreCorrupt,
    backlog_key,
    due_key,
    instance_key,
    lock_directory,
    split_due_key,
)

uuids = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text)


def open_store(path: Path, identity: str = "topic 12") -> Store:
    return Store(path / "0", identity, Caches(1 << 20))


def test_what_is_written_is_read_back_with_its_checkpoint(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write({instance_key("a"): b"1", instance_key("b"): b"2"}, b"first")
    store.write({instance_key("a"): None, instance_key("b"): b"3"}, b"second")
    assert store.get(instance_key("a")) is None
    assert store.get(instance_key("b")) == b"3"
    assert store.checkpoint() == b"second"
    store.close()


def test_a_store_survives_its_closing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.write({instance_key("a"): b"1"}, b"first")
    store.close()
    store = open_store(tmp_path)
    assert (store.get(instance_key("a")), store.checkpoint(), store.wiped) == (b"1", b"first", "")
    store.close()


def test_a_store_of_another_identity_is_emptied_and_says_why(tmp_path: Path) -> None:
    store = open_store(tmp_path, "topic 12")
    store.write({instance_key("a"): b"1"}, b"first")
    store.close()
    store = open_store(tmp_path, "topic 24")
    assert (store.get(instance_key("a")), store.checkpoint()) == (None, None)
    assert "topic 12" in store.wiped
    assert "topic 24" in store.wiped
    store.close()


def test_an_open_store_is_busy(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(Busy, match="in use by another process"):
        open_store(tmp_path)
    store.close()


def test_damaged_files_are_found_and_the_store_starts_again(tmp_path: Path) -> None:
    """F27, at opening."""
    store = open_store(tmp_path)
    store.write({instance_key(str(n)): b"x" * 100 for n in range(1000)}, b"first")
    store.close()
    manifest = next((tmp_path / "0").glob("MANIFEST-*"))
    manifest.write_bytes(b"\xff" * manifest.stat().st_size)
    store = open_store(tmp_path)
    assert "damaged" in store.wiped
    assert store.checkpoint() is None
    store.close()


def test_damaged_blocks_are_found_when_they_are_read(tmp_path: Path) -> None:
    """F27, at reading: never a wrong value, never a silent end of a scan."""
    store = open_store(tmp_path)
    store.write({instance_key(str(n)): os.urandom(400) for n in range(2000)}, b"first")
    store.close()
    for table in (tmp_path / "0").glob("*.sst"):
        content = bytearray(table.read_bytes())
        content[1000:200_000] = bytes(199_000)
        table.write_bytes(content)
    store = open_store(tmp_path)
    if not store.wiped:
        with pytest.raises(StoreCorrupt, match="damaged"):
            list(store.scan(b"i", b"j"))
    store.close()


def test_due_hints_come_in_order_of_time_and_only_when_due(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    hints = {due_key(due, f"p{due}", "retry"): b"" for due in (30, 10, 20, 2**40)}
    store.write(hints, b"c")
    assert [split_due_key(key)[1] for key in store.due(20, 10)] == ["p10", "p20"]
    assert [split_due_key(key)[1] for key in store.due(2**41, 3)] == ["p10", "p20", "p30"]
    assert store.next_due() == 10
    store.close()


@given(uuid=uuids, due=st.integers(0, 2**63), kind=st.sampled_from(["retry", "drain"]))
def test_a_due_key_is_split_into_what_it_was_made_of(uuid: str, due: int, kind: str) -> None:
    assert split_due_key(due_key(due, uuid, kind)) == (due, uuid, kind)


@given(one=uuids, other=uuids, sequence=st.integers(0, 2**63))
def test_no_key_of_one_process_is_a_key_of_another(one: str, other: str, sequence: int) -> None:
    keys = {instance_key(one), backlog_key(one, sequence), due_key(sequence, one, "retry")}
    others = {instance_key(other), backlog_key(other, sequence), due_key(sequence, other, "retry")}
    assert keys.isdisjoint(others) or one == other


WRITER = """
import os, sys
from pathlib import Path
from pmstream.runtime.store import Caches, Store, instance_key
store = Store(Path(sys.argv[1]) / "0", "topic 12", Caches(1 << 20))
n = int(store.checkpoint() or b"0")
while True:
    n += 1
    store.write({instance_key(str(k)): b"%d" % n for k in range(20)}, b"%d" % n)
    if n % 50 == 0:
        store.flush()
        print(n, flush=True)
"""


def test_f11_a_killed_process_leaves_a_whole_state(tmp_path: Path) -> None:
    """Every key is from the checkpoint's batch, and nothing that was flushed is gone."""
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        flushed = [int(child.stdout.readline()) for _ in range(3)][-1]
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        store = open_store(tmp_path)
        checkpoint = store.checkpoint()
        assert checkpoint is not None
        assert int(checkpoint) >= flushed
        assert {value for _, value in store.scan(b"i", b"j")} == {checkpoint}
        store.close()


def test_a_directory_that_is_held_is_busy_and_names_the_holder(tmp_path: Path) -> None:
    """F13."""
    with (
        lock_directory(tmp_path / "w", 0),
        pytest.raises(Busy, match=f"held by process {os.getpid()}"),
    ):
        lock_directory(tmp_path / "w", 0.1)
    lock_directory(tmp_path / "w", 0).close()


def test_a_directory_that_cannot_be_made_is_a_fault_of_configuration(tmp_path: Path) -> None:
    """F41: a file stands where the directory should be (root may write anywhere else)."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="PMSTREAM_STATE_DIR"):
        lock_directory(tmp_path / "file" / "w", 0)

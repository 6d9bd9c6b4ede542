"""The store on a real RocksDB: atomic, whole after a kill, emptied only for good reason."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.lifecycle import Coming, DueKind
from pmstream.errors import Busy
from pmstream.runtime.dues import Dues
from pmstream.runtime.store import (
    BY_CLOCK_DUE,
    TIMED_DUE,
    Caches,
    Store,
    backlog_key,
    due_key,
    instance_key,
    split_due_key,
)
from pmstream.testing.killed import leave_as_killed
from tests.runtime.rocks import trigger

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


def test_a_store_that_is_filled_merges_later_and_then_as_usual(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert trigger(tmp_path / "0") == "4"
    store.fill(filling=True)
    assert trigger(tmp_path / "0") == "16"
    for n in range(10):
        store.write({instance_key(str(n)): b"%d" % n, instance_key("a"): b"%d" % n}, b"%d" % n)
        store.flush()
    assert len(list((tmp_path / "0").glob("*.sst"))) >= 10

    store.fill(filling=False)

    assert trigger(tmp_path / "0") == "4"
    found = dict(store.scan(b"i", b"j"))
    assert found == {**{instance_key(str(n)): b"%d" % n for n in range(10)}, b"ia": b"9"}
    store.close()


def test_a_store_left_half_filled_is_opened_as_any_other(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.fill(filling=True)
    for n in range(10):
        store.write({instance_key(str(n)): b"%d" % n, instance_key("0"): None}, b"%d" % n)
        store.flush()
    leave_as_killed(store)

    store = open_store(tmp_path)

    assert (store.wiped, store.checkpoint(), trigger(tmp_path / "0")) == ("", b"9", "4")
    assert dict(store.scan(b"i", b"j")) == {instance_key(str(n)): b"%d" % n for n in range(1, 10)}
    store.close()


def test_due_hints_come_in_order_of_time_and_only_when_due(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    hints = {retry(due, f"p{due}"): b"" for due in (30, 10, 20, 2**40)}
    store.write({**hints, due_key("t", Coming(DueKind.TIMER, 15, "it")): b""}, b"c")
    dues = Dues(store, BY_CLOCK_DUE)

    assert dues.next == 10
    assert uuids_of(dues.take(20, 10)) == ["p10", "p20"]
    assert dues.next == 30
    assert uuids_of(dues.take(2**41, 1)) == ["p30"]
    dues.again()
    assert uuids_of(dues.take(2**41, 3)) == ["p10", "p20", "p30"]
    assert uuids_of(Dues(store, TIMED_DUE).take(20, 10)) == ["t"]
    store.close()


def test_due_hints_that_were_worked_on_are_not_searched_again_and_earlier_ones_are_found(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path)
    store.write({retry(due, "p"): b"" for due in (10, 20)}, b"c")
    dues = Dues(store, BY_CLOCK_DUE)
    taken = dues.take(10, 10)
    store.write({**dict.fromkeys(taken), retry(5, "q"): b""}, b"c")

    dues.committed([retry(5, "q")])

    assert dues.next == 5
    assert uuids_of(dues.take(30, 10)) == ["q", "p"]
    assert dues.next is None
    store.close()


def retry(due: int, uuid: str) -> bytes:
    return due_key(uuid, Coming(DueKind.RETRY, due))


def uuids_of(keys: list[bytes]) -> list[str]:
    return [split_due_key(key)[0] for key in keys]


@given(
    uuid=uuids,
    coming=st.builds(Coming, st.sampled_from(DueKind), st.integers(0, 2**63), st.just("a name")),
)
def test_a_due_key_is_split_into_what_it_was_made_of(uuid: str, coming: Coming) -> None:
    assert split_due_key(due_key(uuid, coming)) == (uuid, coming)


@given(one=uuids, other=uuids, sequence=st.integers(0, 2**63))
def test_no_key_of_one_process_is_a_key_of_another(one: str, other: str, sequence: int) -> None:
    keys = {instance_key(one), backlog_key(one, sequence), retry(sequence, one)}
    others = {instance_key(other), backlog_key(other, sequence), retry(sequence, other)}
    assert keys.isdisjoint(others) or one == other

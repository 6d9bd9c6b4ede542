"""Timers as the changelog tells them."""

import pytest

from pmstream.core.instance import Instance, Status, Timer, Timers, dump_instance
from pmstream.operate import timers, topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import instance_key
from tests.operate.kit import NAMES, SETTINGS, bank


def with_timers(**due: int) -> bytes:
    pending = {name: Timer(at, n, correlation_id="c") for n, (name, at) in enumerate(due.items())}
    return dump_instance(Instance(status=Status.RUNNING, timers=Timers(pending, len(pending))))


@pytest.fixture
def log() -> MemoryLog:
    """Two instances with timers, and one whose timers are gone."""
    found = MemoryLog(VirtualClock())
    topics.carry_out(topics.plan(bank(), found, SETTINGS, create_missing=True), found)
    writer = found.writer()
    for uuid, record in (
        ("b", with_timers(remind=30, expire=10)),
        ("a", with_timers(remind=10)),
        ("c", with_timers(gone=1)),
        ("c", with_timers()),
    ):
        writer.produce(NAMES.changelog, record, instance_key(uuid), partition=0)
    writer.flush(1)
    return found


def test_the_earliest_comes_first(log: MemoryLog) -> None:
    found = timers.find(log, NAMES)

    assert [(each.due, each.uuid, each.name) for each in found] == [
        (10, "a", "remind"),
        (10, "b", "expire"),
        (30, "b", "remind"),
    ]
    assert (found[0].queued, found[0].correlation_id, found[0].partition) == (False, "c", 0)


def test_a_process_and_a_time_select(log: MemoryLog) -> None:
    assert [each.name for each in timers.find(log, NAMES, uuid="b")] == ["expire", "remind"]
    assert [each.uuid for each in timers.find(log, NAMES, due_before=30)] == ["a", "b"]

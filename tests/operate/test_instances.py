"""Instances as the changelog tells them: the last record counts, tombstones take away."""

from collections.abc import Callable

import msgspec
import pytest

from pmstream.core.failure import Stage
from pmstream.core.instance import (
    Backlog,
    Instance,
    Status,
    Wait,
    Work,
    dump_instance,
    dump_work,
)
from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.core.messages import Routed
from pmstream.errors import ConfigurationError
from pmstream.operate import instances, topics
from pmstream.runtime.changelog import COMMIT_KEY
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import backlog_key, instance_key
from tests.operate.kit import NAMES, SETTINGS, bank

IDLE = Instance(
    status=Status.RUNNING,
    state=msgspec.msgpack.encode({"amount": 7, "status": "deposit"}),
    born="bank.transfers-0-3",
)


def routed(offset: int) -> Routed:
    return Routed(
        process_uuid="u",
        route="continue",
        value=b"",
        topic="bank.accounts",
        partition=1,
        offset=offset,
        index=0,
        timestamp=0,
        headers=(),
    )


PARKED = Instance(
    status=Status.RUNNING,
    state=IDLE.state,
    work=Work(
        input=routed(5),
        stage=Stage.HANDLE,
        wait=Wait.OPERATOR,
        attempts=4,
        error_type="ValueError",
        error_text="no such account",
        reason="ask the bank",
        context={"asked": True},
    ),
    backlog=Backlog(size=2),
)
RETRYING = Instance(
    status=Status.RUNNING,
    work=Work(input=routed(6), stage=Stage.HANDLE, wait=Wait.RETRY, due=99, attempts=1),
)

Put = Callable[[bytes, bytes | None], None]


@pytest.fixture
def log() -> MemoryLog:
    found = MemoryLog(VirtualClock())
    topics.carry_out(topics.plan(bank(), found, SETTINGS, create_missing=True), found)
    return found


@pytest.fixture
def put(log: MemoryLog) -> Put:
    def write(key: bytes, value: bytes | None) -> None:
        uuid = key[1:].partition(b"\0")[0]
        partition = _partition(uuid)
        writer = log.writer()
        writer.produce(NAMES.changelog, value, key, partition=partition)
        writer.flush(1)

    return write


def _partition(uuid: bytes) -> int:
    return murmur2_partition(uuid, SETTINGS.inbox_partitions)


def test_an_empty_changelog_has_no_instances(log: MemoryLog) -> None:
    assert list(instances.find(log, NAMES)) == []
    assert instances.show(log, NAMES, "a") is None


def test_the_last_record_of_an_instance_counts(log: MemoryLog, put: Put) -> None:
    put(instance_key("b"), dump_instance(PARKED))
    put(instance_key("b"), dump_instance(IDLE))
    put(instance_key("a"), dump_instance(IDLE))
    put(instance_key("gone"), dump_instance(IDLE))
    put(instance_key("gone"), None)
    put(COMMIT_KEY, b"a commit record is not looked into")

    found = list(instances.find(log, NAMES))

    assert [each.uuid for each in found] == ["a", "b"]
    assert [each.condition for each in found] == [Condition.IDLE, Condition.IDLE]
    assert found[0].state == {"amount": 7, "status": "deposit"}
    assert found[0].born == "bank.transfers-0-3"


def test_what_an_open_transaction_wrote_is_not_seen(log: MemoryLog) -> None:
    producer = log.producer("someone")
    producer.begin()
    producer.produce(NAMES.changelog, dump_instance(IDLE), instance_key("a"), partition=0)
    producer.flush(1)

    assert list(instances.find(log, NAMES)) == []


def test_a_condition_selects(log: MemoryLog, put: Put) -> None:
    put(instance_key("idle"), dump_instance(IDLE))
    put(instance_key("parked"), dump_instance(PARKED))
    put(instance_key("retrying"), dump_instance(RETRYING))

    [parked] = instances.find(log, NAMES, [Condition.PARKED])
    both = instances.find(log, NAMES, [Condition.RETRYING, Condition.IDLE])

    assert parked.uuid == "parked"
    assert parked.error == "ValueError: no such account"
    assert (parked.attempts, parked.reason, parked.backlog) == (4, "ask the bank", 2)
    assert [(each.uuid, each.due) for each in both] == [("idle", 0), ("retrying", 99)]


def test_one_instance_is_shown_with_what_waits_behind_it(log: MemoryLog, put: Put) -> None:
    put(instance_key("u"), dump_instance(PARKED))
    put(backlog_key("u", 8), dump_work(Work(input=routed(8))))
    put(backlog_key("u", 7), dump_work(Work(input=routed(7))))
    put(backlog_key("u", 6), dump_work(Work(input=routed(6))))
    put(backlog_key("u", 6), None)
    put(backlog_key("uu", 1), dump_work(Work(input=routed(1))))

    found = instances.show(log, NAMES, "u")

    assert found is not None
    assert found.seen.waits_for == "bank.accounts-1-5"
    assert found.context == {"asked": True}
    assert found.backlog == ("bank.accounts-1-7", "bank.accounts-1-8")


def test_a_process_manager_without_a_changelog_is_told() -> None:
    with pytest.raises(ConfigurationError, match="there is no topic bank"):
        list(instances.find(MemoryLog(VirtualClock()), NAMES))

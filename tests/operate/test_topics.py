"""Topics: what is missing is made, what differs is told, and nothing that exists is altered."""

import pytest

from pmstream.config import Settings
from pmstream.operate import topics
from pmstream.operate.topics import Difference
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, dump_commit
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.operate.kit import COMMANDS, NAMES, SETTINGS, SOURCES, bank, make, write

OURS = [NAMES.inbox, NAMES.changelog, NAMES.orders, NAMES.dead_letters]


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(VirtualClock())


def test_ours_are_made_theirs_must_be_there(log: MemoryLog) -> None:
    plan = topics.plan(bank(), log, SETTINGS)

    assert [spec.name for spec in plan.create] == OURS
    assert [fault.partition(" does")[0] for fault in plan.faults] == [
        "source topic bank.transfers",
        "source topic bank.accounts",
        "commands topic bank.account-commands",
    ]


def test_a_laptop_may_make_theirs_too(log: MemoryLog) -> None:
    topics.carry_out(topics.plan(bank(), log, SETTINGS, create_missing=True), log)

    assert topics.plan(bank(), log, SETTINGS).is_clean
    assert {name: info.partitions for name, info in log.topics().items()} == dict.fromkeys(
        (*SOURCES, COMMANDS, *OURS), 3
    )


def test_what_the_runtime_rests_on_is_set(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS)

    topics.carry_out(topics.plan(bank(), log, SETTINGS), log)

    inbox, changelog = log.config(NAMES.inbox), log.config(NAMES.changelog)
    assert inbox["message.timestamp.type"] == "LogAppendTime"
    assert inbox["cleanup.policy"] == "delete"
    assert inbox["retention.ms"] == "-1"
    assert changelog["cleanup.policy"] == "compact"
    assert changelog["min.cleanable.dirty.ratio"] == "0.2"
    assert changelog["segment.ms"] == "86400000"
    assert changelog["delete.retention.ms"] == "604800000"
    assert log.config(NAMES.orders)["retention.ms"] == "2592000000"
    assert log.config(NAMES.dead_letters)["retention.ms"] == "2592000000"


def test_the_largest_source_message_fits_into_inbox_and_changelog(log: MemoryLog) -> None:
    make(log, SOURCES[0], COMMANDS)
    make(log, SOURCES[1], max_message_bytes="5000000")

    plan = topics.plan(bank(), log, SETTINGS)

    room = {spec.name: int(spec.config["max.message.bytes"]) for spec in plan.create}
    changelog = room.pop(NAMES.changelog)
    assert set(room.values()) == {5_000_000 + 65_536}
    assert changelog == 5_000_000 + 65_536 + 3 * SETTINGS.max_message_bytes, "state, commands, ..."


def test_a_difference_is_told_and_left_alone(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS)
    make(log, NAMES.inbox, retention_ms="604800000", max_message_bytes="9999999")

    plan = topics.plan(bank(), log, SETTINGS)
    topics.carry_out(plan, log)

    differences = {each.setting: each for each in plan.differences}
    assert differences["retention.ms"] == Difference(NAMES.inbox, "retention.ms", "-1", "604800000")
    assert "max.message.bytes" not in differences  # more is as good
    assert log.config(NAMES.inbox)["retention.ms"] == "604800000"


def test_a_changelog_made_later_has_as_many_partitions_as_its_inbox(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS)
    make(log, NAMES.inbox, partitions=7)

    plan = topics.plan(bank(), log, SETTINGS)

    assert {spec.name: spec.partitions for spec in plan.create}[NAMES.changelog] == 7


def test_unequal_twins_are_a_fault_with_the_numbers_and_the_remedy(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS, NAMES.dead_letters)
    make(log, NAMES.inbox, partitions=7)
    make(log, NAMES.changelog, partitions=6)

    [fault] = topics.plan(bank(), log, SETTINGS).faults

    assert fault == (
        "bank.transfer-money.inbox has 7 partitions but bank.transfer-money.changelog has 6: they "
        "must be equal; delete the one that was made wrongly (`pmstream topics repartition` "
        "changes both)"
    )


@pytest.mark.parametrize(
    ("there", "gone"), [(NAMES.inbox, NAMES.changelog), (NAMES.changelog, NAMES.inbox)]
)
def test_a_twin_that_was_deleted_is_not_quietly_made_again(
    log: MemoryLog, there: str, gone: str
) -> None:
    make(log, *SOURCES, COMMANDS, there)
    write(log, there, 1)

    [fault] = topics.plan(bank(), log, SETTINGS).faults

    assert fault.startswith(f"{there} has records but {gone} does not exist")


def test_three_copies_want_two_in_sync(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS)
    settings = Settings(inbox_partitions=3, replication=3)

    plan = topics.plan(bank(), log, settings)

    assert {spec.replication for spec in plan.create} == {3}
    assert {spec.config["min.insync.replicas"] for spec in plan.create} == {"2"}
    assert {spec.config["unclean.leader.election.enable"] for spec in plan.create} == {"false"}


def test_partitions_added_to_both_twins_are_a_fault(log: MemoryLog) -> None:
    make(log, *SOURCES, COMMANDS, NAMES.dead_letters, NAMES.inbox, NAMES.changelog)
    written = CommitRecord(
        source=1, sequence=1, owner="w", generation=1, partitions=3, version="1", time=0, seen={}
    )
    writer = log.writer()
    writer.produce(NAMES.changelog, dump_commit(written), COMMIT_KEY, partition=1)
    writer.flush(1)
    assert topics.plan(bank(), log, SETTINGS).faults == ()

    for topic in (NAMES.inbox, NAMES.changelog):
        log.add_partitions(topic, 6)
    [fault] = topics.plan(bank(), log, SETTINGS).faults

    assert fault.startswith(
        "bank.transfer-money.inbox has 6 partitions, but the changelog of "
        "bank.transfer-money.inbox-1 was written when there were 3: "
    )

"""Takeovers: who is ended, and who is left alone because nothing of his is in the way."""

from pathlib import Path

import pytest

from pmstream.runtime import restore, takeover
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, dump_commit
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Producer, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Fenced, Unavailable
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.takeover import Takeover
from tests.contract.world import Member
from tests.runtime.world import World

PLACE = TopicPartition("changelog", 0)


@pytest.fixture
def log(clock: VirtualClock) -> MemoryLog:
    made = MemoryLog(clock)
    made.create_topics([TopicSpec(PLACE.topic, 1)])
    return made


@pytest.fixture
def owner(log: MemoryLog) -> Producer:
    """Who committed last, and lives."""
    producer = log.producer("owner")
    write(producer)
    producer.commit(1)
    return producer


@pytest.fixture
def mine(log: MemoryLog, clock: VirtualClock) -> Takeover:
    return Takeover(log, clock, "me")


def write(producer: Producer) -> None:
    """Opens a transaction with one record in the changelog."""
    producer.begin()
    producer.produce(PLACE.topic, b"state", b"ia", (), PLACE.partition)
    producer.flush(1)


def test_the_last_owner_is_ended_when_his_records_pin_the_changelog(
    owner: Producer, mine: Takeover
) -> None:
    write(owner)

    mine.changelog(PLACE, "owner")

    assert mine.count == 1
    with pytest.raises(Fenced):
        owner.commit(1)


def test_nobody_is_ended_when_nothing_pins_the_changelog(owner: Producer, mine: Takeover) -> None:
    """A restore that is only slow must not fence an owner who lives: twice, and he stops."""
    mine.changelog(PLACE, "owner")

    assert mine.count == 0
    write(owner)
    owner.commit(1)


def commit_record(owner: str) -> bytes:
    return dump_commit(
        CommitRecord(
            source=1,
            sequence=1,
            owner=owner,
            generation=1,
            partitions=1,
            version="1",
            time=0,
            seen={},
        )
    )


def test_an_open_transaction_of_who_has_left_the_group_is_ended_at_once(
    log: MemoryLog, mine: Takeover
) -> None:
    gone = log.producer("group.gone")
    write(gone)
    gone.produce(PLACE.topic, commit_record("group.gone"), COMMIT_KEY, (), PLACE.partition)
    gone.flush(1)

    mine.absent(PLACE, "group")

    assert mine.count == 1
    with pytest.raises(Fenced):
        gone.commit(1)


def test_an_open_transaction_of_a_member_is_left_alone_for_a_second(
    log: MemoryLog, mine: Takeover
) -> None:
    """A commit that is under way needs milliseconds; its end would cost a restore of everything."""
    member = Member(log.consumer("group", "here"), [PLACE.topic], start=False)
    member.gather()
    here = log.producer("group.here")
    write(here)
    here.produce(PLACE.topic, commit_record("group.here"), COMMIT_KEY, (), PLACE.partition)
    here.flush(1)

    mine.absent(PLACE, "group")

    assert mine.count == 0
    here.commit(1)


class Died(Exception):
    """Somebody was killed."""


@pytest.mark.parametrize(
    ("is_told", "seconds"),
    [(True, restore._PATIENCE_SECONDS), (False, 10.0)],
    ids=["known to be gone", "whether it is gone cannot be told"],
)
def test_who_takes_over_from_a_worker_killed_in_mid_commit_does_not_wait(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog, is_told: bool, seconds: float
) -> None:
    """For the transaction's timeout, that is: a minute."""
    world, armed = World(log, tmp_path, clock), list[str]()

    def probe(step: str) -> None:
        if armed and step == "commit":
            raise Died

    world.start(ROUTER, "router-0")
    world.start(INSTANCES, "w-0", probe)
    world.count("a", [0])
    world.settle()
    armed.append("now")
    world.count("a", [1])
    with pytest.raises(Died):
        world.settle()
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    since = clock.monotonic()
    if not is_told:
        log.inject("members", Unavailable("away"), times=100)

    world.start(INSTANCES, "w-1")
    world.settle(lambda: world.counts("a") == [(0, 1), (1, 2)])

    assert clock.monotonic() - since < seconds
    world.close()


def test_nobody_is_ended_while_the_ends_cannot_be_told(
    log: MemoryLog, owner: Producer, mine: Takeover
) -> None:
    log.inject("end", None)

    mine.changelog(PLACE, "owner")

    assert mine.count == 0


def test_what_is_read_of_a_pinned_log_is_bounded(
    log: MemoryLog, owner: Producer, mine: Takeover, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "_PEEK_RECORDS", 2)
    write(owner)
    for _ in range(20):
        owner.produce(PLACE.topic, b"state", b"ia", (), PLACE.partition)
    owner.flush(1)

    assert len(mine._pinned(PLACE, 5) or ()) in (5, 6)


def test_a_group_that_cannot_be_asked_does_not_end_who_took_over(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    world = World(log, tmp_path, clock)
    world.start_all()
    world.count("a", [0])
    world.settle()
    world.workers.pop("w-0").close()
    log.lose(world.names.group(INSTANCES), "w-0")
    asked = log.inject("members", Unavailable("away"))

    world.start(INSTANCES, "w-1")
    world.count("a", [1])
    world.settle(lambda: world.counts("a") == [(0, 1), (1, 2)])

    assert asked.hits == 1
    world.close()

"""Start positions: set once for a new topic, by an operator; never over what is there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pmstream import App
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import starts, topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, Log, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.sources import Note, dump_note, load_note
from tests.operate.kit import NAMES, SETTINGS, SOURCES, bank, positions, write

ROUTER = NAMES.group("router")
TRANSFERS = SOURCES[0]


@pytest.fixture
def log(clock: VirtualClock) -> MemoryLog:
    found = MemoryLog(clock)
    topics.carry_out(topics.plan(bank(), found, SETTINGS, create_missing=True), found)
    return found


def ensure(app: App, log: Log, *, restart_expired: bool = False) -> starts.Starts:
    found = starts.find_starts(app, log, restart_expired=restart_expired)
    starts.set_starts(app, log, found)
    return found


@pytest.mark.parametrize(("start_from", "expected", "past"), [("origin", 0, 5), ("current", 5, 0)])
def test_all_partitions_of_a_new_topic_get_a_position(
    log: MemoryLog, start_from: str, expected: int, past: int
) -> None:
    write(log, TRANSFERS, 5, partition=1)

    found = ensure(bank(start_from=start_from), log)

    assert found.past == past
    assert positions(log, TRANSFERS) == {0: 0, 1: expected, 2: 0}
    assert positions(log, SOURCES[1]) == {0: 0, 1: 0, 2: 0}


def test_offsets_may_be_named_and_what_is_not_named_starts_at_the_origin(log: MemoryLog) -> None:
    for partition in (0, 1, 2):
        write(log, TRANSFERS, 5, partition)
    write(log, SOURCES[1], 2)

    found = ensure(bank(start_from={TRANSFERS: {1: 3, 2: 5}}), log)

    assert found.faults == ()
    assert positions(log, TRANSFERS) == {0: 0, 1: 3, 2: 5}
    assert positions(log, SOURCES[1]) == {0: 0, 1: 0, 2: 0}
    assert [(each.topic, each.start_from, each.past) for each in found.new] == [
        (TRANSFERS, "origin, but partition:offset 1:3, 2:5", 7),
        (SOURCES[1], "origin", 2),
    ]


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ({0: 1}, "offset 1 of bank.transfers-0, which was deleted: it is from 2 to 5, the end"),
        ({0: 6}, "offset 6 of bank.transfers-0, which is not written yet: it is from 2 to 5"),
        ({3: 0}, "partition 3 of bank.transfers, which has 3 (0 to 2): correct it"),
    ],
)
def test_an_offset_that_is_not_there_is_refused_with_the_range(
    log: MemoryLog, offsets: dict[int, int], words: str
) -> None:
    write(log, TRANSFERS, 5)
    log.delete_records({TopicPartition(TRANSFERS, 0): 2})

    [fault] = starts.find_starts(bank(start_from={TRANSFERS: offsets}), log).faults

    assert fault == f"start_from of transfer-money names {fault.partition(' names ')[2]}"
    assert words in fault


def test_a_time_is_the_first_event_of_then_or_later_in_each_partition(
    log: MemoryLog, clock: VirtualClock
) -> None:
    write(log, TRANSFERS, 2, partition=0)
    write(log, TRANSFERS, 2, partition=1)
    clock.sleep(60)
    then = datetime.fromtimestamp(clock.now() / 1000, UTC)
    write(log, TRANSFERS, 3, partition=1)

    found = ensure(bank(start_from=then - timedelta(seconds=30)), log)

    assert positions(log, TRANSFERS) == {0: 2, 1: 2, 2: 0}
    assert found.past == 3
    assert found.new[0].start_from == (then - timedelta(seconds=30)).isoformat()


def test_a_time_behind_all_events_is_the_end_also_of_an_open_transaction(
    log: MemoryLog, clock: VirtualClock
) -> None:
    write(log, TRANSFERS, 2, partition=0)
    producer = log.producer("somebody")
    producer.begin()
    producer.produce(TRANSFERS, b"x", partition=1)
    producer.flush(1)
    later = datetime.fromtimestamp(clock.now() / 1000, UTC) + timedelta(days=1)

    found = ensure(bank(start_from=later), log)

    assert positions(log, TRANSFERS) == {0: 2, 1: 1, 2: 0}
    assert found.past == 0


def test_a_position_carries_who_set_it_and_the_id_of_its_topic(log: MemoryLog) -> None:
    ensure(bank(), log)

    place = TopicPartition(TRANSFERS, 0)
    note = load_note(log.last_committed(ROUTER, [place])[place].metadata)
    assert note == Note("ensure", log.topics()[TRANSFERS].id)


def test_origin_is_the_first_record_that_is_still_there(log: MemoryLog) -> None:
    write(log, TRANSFERS, 5)
    log.delete_records({TopicPartition(TRANSFERS, 0): 2})

    assert ensure(bank(), log).past == 3
    assert positions(log, TRANSFERS)[0] == 2


@pytest.mark.parametrize("start_from", ["current", {TRANSFERS: {0: 99}}])
def test_a_topic_that_has_positions_is_left_alone(log: MemoryLog, start_from: Any) -> None:
    ensure(bank(), log)
    write(log, TRANSFERS, 5)

    found = ensure(bank(start_from=start_from), log)

    assert found == starts.Starts((), ())
    assert positions(log, TRANSFERS)[0] == 0


def test_routers_that_run_are_in_the_way(log: MemoryLog) -> None:
    class Deaf:
        def assigned(self, partitions: object) -> None: ...
        def revoked(self, partitions: object) -> None: ...
        def lost(self, partitions: object) -> None: ...
        def fault(self, fault: object) -> None: ...

    member = log.consumer(ROUTER, "host-1")
    member.subscribe([TRANSFERS], Deaf())
    member.gather(1, 0)

    with pytest.raises(Busy, match="stop host-1"):
        ensure(bank(), log)


def test_positions_that_expired_are_not_taken_for_a_new_beginning(log: MemoryLog) -> None:
    write(log, NAMES.inbox, 1)

    [fault] = starts.find_starts(bank(), log).faults

    assert "have expired" in fault
    assert "--restart-expired" in fault


def test_positions_that_expired_begin_again_at_the_origin_when_told_so(log: MemoryLog) -> None:
    write(log, NAMES.inbox, 1)
    write(log, TRANSFERS, 5)

    found = ensure(bank(start_from="current"), log, restart_expired=True)

    assert found.past == 5
    assert positions(log, TRANSFERS)[0] == 0


def test_a_topic_made_anew_is_refused(log: MemoryLog) -> None:
    ensure(bank(), log)
    log.delete_topic(TRANSFERS)
    topics.carry_out(topics.plan(bank(), log, SETTINGS, create_missing=True), log)
    old = {TopicPartition(TRANSFERS, 0): Committed(3, dump_note(Note("ensure", "another id")))}
    log.set_positions(ROUTER, old)

    [fault] = starts.find_starts(bank(), log).faults

    assert "speak of an earlier topic bank.transfers" in fault
    assert "Give the process manager a new name" in fault


def test_positions_set_from_outside_are_refused(log: MemoryLog) -> None:
    log.set_positions(ROUTER, {TopicPartition(TRANSFERS, 0): Committed(3)})

    [fault] = starts.find_starts(bank(), log).faults

    assert "were set from outside" in fault


def test_an_unknown_start_is_refused_when_the_app_is_built() -> None:
    with pytest.raises(ConfigurationError, match="start_from is 'yesterday'"):
        bank(start_from="yesterday")

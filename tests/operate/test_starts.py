"""Start positions: set once for a new topic, by an operator; never over what is there."""

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
def log() -> MemoryLog:
    found = MemoryLog(VirtualClock())
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


def test_a_topic_that_has_positions_is_left_alone(log: MemoryLog) -> None:
    ensure(bank(), log)
    write(log, TRANSFERS, 5)

    found = ensure(bank(start_from="current"), log)

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

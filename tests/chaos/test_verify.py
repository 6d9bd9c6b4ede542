"""The verification of a chaos run finds nothing in a good run, and whatever was planted."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from pmstream.chaos.bank import make_bank, set_start
from pmstream.chaos.counter import ANSWERS, COMMANDS, SOURCE, app
from pmstream.chaos.fleet import NAMES
from pmstream.chaos.load import events
from pmstream.chaos.messages import Ticked
from pmstream.chaos.reading import Quiet, read_topic
from pmstream.chaos.verify import Verdict, verify
from pmstream.config import Settings
from pmstream.operate import starts, topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import Record
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROLES, make_worker
from pmstream.runtime.store import INSTANCE

EVENTS = 300
ROUNDS = 200
"""More than it takes: who looks whether all is quiet looks again after a second only."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[MemoryLog]:
    """After a run without faults."""
    clock = VirtualClock()
    made, settings = MemoryLog(clock), Settings(state_dir=tmp_path, inbox_partitions=3)
    topics.carry_out(topics.plan(app, made, settings, create_missing=True), made)
    starts.set_starts(app, made, starts.find_starts(app, made))
    set_start(made)
    write(made, *islice(events(seed=1), EVENTS))
    workers = [
        make_worker(app, NAMES.process_manager, role, role, made, settings, clock) for role in ROLES
    ]
    workers.append(
        make_bank("bank", made, settings, clock, lambda *_told: None, lambda _step: None)
    )

    def turn() -> None:
        for _ in range(ROUNDS):
            for each in workers:
                each.turn()

    assert Quiet(made).wait(60, turn) == []
    yield made
    for each in workers:
        each.close()


def write(log: MemoryLog, *given: tuple[str, object]) -> None:
    codec, writer = Codec(app), log.writer()
    for key, event in given:
        writer.produce(SOURCE, codec.encode_event(SOURCE, event), key.encode())  # type: ignore[arg-type]
    writer.flush(1)


def again(log: MemoryLog, record: Record, value: bytes | None = None) -> None:
    """Writes a record once more, maybe with another value."""
    writer = log.writer()
    value = record.value if value is None else value
    writer.produce(record.topic, value, record.key, record.headers, record.partition)
    writer.flush(1)


def one(log: MemoryLog, topic: str, prefix: bytes = b"") -> Record:
    """Some record of a topic, the last whose key begins so."""
    found = [each for part in read_topic(log, topic).values() for each in part]
    return [each for each in found if each.value and (each.key or b"").startswith(prefix)][-1]


def test_a_good_run_is_found_good(log: MemoryLog) -> None:
    verdict = Verdict()

    verify(log, verdict)

    assert verdict.faults == []
    assert verdict.events == EVENTS
    assert verdict.commands > EVENTS / 2


def lose_an_event(log: MemoryLog) -> None:
    write(log, ("nobody", Ticked(process="nobody", number=0)))


def double_a_command(log: MemoryLog) -> None:
    again(log, one(log, COMMANDS))


def double_an_answer(log: MemoryLog) -> None:
    again(log, one(log, ANSWERS))


def route_twice(log: MemoryLog) -> None:
    again(log, one(log, NAMES.inbox))


def change_a_state(log: MemoryLog) -> None:
    record = one(log, NAMES.changelog, INSTANCE)
    other = next(
        each.value
        for part in read_topic(log, NAMES.changelog).values()
        for each in part
        if (each.key or b"").startswith(INSTANCE) and each.value not in (None, record.value)
    )
    again(log, record, other)


def leave_a_dead_letter(log: MemoryLog) -> None:
    writer = log.writer()
    writer.produce(NAMES.dead_letters, b"x")
    writer.flush(1)


@pytest.mark.parametrize(
    ("plant", "field"),
    [
        (lose_an_event, "lost"),
        (double_a_command, "duplicated"),
        (double_a_command, "misordered"),
        (double_a_command, "lost"),  # the answer to it
        (double_an_answer, "duplicated"),
        (double_an_answer, "misordered"),
        (route_twice, "duplicated"),
        (change_a_state, "state_mismatches"),
        (leave_a_dead_letter, "faults"),
    ],
)
def test_what_is_planted_is_found(
    log: MemoryLog, plant: Callable[[MemoryLog], None], field: str
) -> None:
    plant(log)
    verdict = Verdict()

    verify(log, verdict)

    assert getattr(verdict, field)
    assert verdict.faults


def test_a_changelog_that_is_not_read_yet_is_not_quiet(log: MemoryLog) -> None:
    quiet = Quiet(log)

    found = quiet.open()

    assert len(found) == 3
    assert all("changelog" in each and "read to 0 of" in each for each in found)
    quiet.close()

"""A changelog that `bench.filled` wrote is one that a worker restores; its judge sees faults."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.apps import NAME, make
from bench.filled import TRANSACTION_RECORDS, faults_after, fill, record_of, seeded
from bench.job import ShipOrder, command_of, make_event, process_name
from bench.rig import decoder
from bench.stage import ensure
from pmstream.app import App
from pmstream.config import Settings
from pmstream.core.instance import load_instance
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, make_worker
from pmstream.runtime.store import instance_key
from pmstream.runtime.worker import Worker

SOURCE, COMMANDS = "events", "commands"
PARTITIONS = 3
KEYS = TRANSACTION_RECORDS + 5
SAMPLE = [3, 0, TRANSACTION_RECORDS + 1]

Commands = list[tuple[bytes | None, ShipOrder]]


class Filled:
    """A log in memory with a full changelog, and a worker."""

    def __init__(self, directory: Path, *, keyed: bool) -> None:
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        self.log.create_topics([TopicSpec(name, PARTITIONS) for name in (SOURCE, COMMANDS)])
        self.app: App = make("filled", SOURCE, COMMANDS, keyed=keyed)
        ensure(self.app, self.log, PARTITIONS)
        fill(self.log, self.app, KEYS)
        self.told: list[tuple[str, int, str]] = []
        self._directory = directory

    def worker(self) -> Worker:
        settings = Settings(state_dir=self._directory)

        def told(*what: object) -> None:
            self.told.append(what)  # type: ignore[arg-type]

        return make_worker(
            self.app, NAME, INSTANCES, "w", self.log, settings, self.clock, told=told
        )

    def produce(self, keys: list[int]) -> None:
        writer, codec = self.log.writer(), Codec(self.app)
        for seq, key in enumerate(keys):
            event = make_event(seq, process_name(key), 7)
            writer.produce(SOURCE, codec.encode_event(SOURCE, event), event.process.encode())

    def commands(self) -> Commands:
        reader, decode = self.log.reader(), decoder(COMMANDS)
        reader.assign({TopicPartition(COMMANDS, n): 0 for n in range(PARTITIONS)})
        return [(each.key, decode(each.value or b"")) for each in reader.read(KEYS, 0)]


def running(worker: Worker) -> InstancesStage:
    """Turns it until all partitions run."""
    assert isinstance(worker.stage, InstancesStage)
    for _ in range(200):
        worker.turn()
        if len(worker.stage.partitions) == PARTITIONS:
            return worker.stage
    raise AssertionError("the partitions do not run")


@pytest.mark.parametrize("keyed", [True, False], ids=["direct", "two hops"])
def test_a_worker_restores_every_instance_that_was_filled_in(tmp_path: Path, keyed: bool) -> None:
    filled = Filled(tmp_path, keyed=keyed)

    worker = filled.worker()
    stage = running(worker)

    missing = {process_name(key) for key in range(KEYS)}
    for part in stage.partitions:
        found = {uuid for uuid in missing if part.store.get(instance_key(uuid)) is not None}
        missing -= found
        assert found
    assert not missing
    worker.close()


def test_what_is_restored_meets_its_events_in_the_state_that_was_filled_in(tmp_path: Path) -> None:
    filled = Filled(tmp_path, keyed=True)
    worker = filled.worker()
    running(worker)

    filled.produce(SAMPLE)
    for _ in range(20):
        worker.turn()

    assert list(faults_after(SAMPLE, filled.commands())) == []
    worker.close()


def test_a_second_start_reads_nothing_of_the_changelog(tmp_path: Path) -> None:
    filled = Filled(tmp_path, keyed=True)
    first = filled.worker()
    running(first)
    first.close()
    filled.told.clear()

    second = filled.worker()
    running(second)

    assert [text for what, _, text in filled.told if what == "running"] == [
        "0 records restored"
    ] * PARTITIONS
    second.close()


def test_a_state_has_about_the_size_that_was_asked_for() -> None:
    small, large = (len(load_instance(record_of(7, size)).state) for size in (200, 2_000))

    assert abs(small - 200) < 50
    assert abs(large - 2_000) < 50


# The judge


def faultless(keys: list[int]) -> Commands:
    found: Commands = []
    for seq, key in enumerate(keys):
        event = make_event(seq, process_name(key), 7)
        found.append((event.process.encode(), command_of(seeded(key), event)))
    return found


def lose(commands: Commands) -> None:
    del commands[1]


def double(commands: Commands) -> None:
    commands.append(commands[0])


def forget(commands: Commands) -> None:
    commands[0] = (commands[0][0], replace(commands[0][1], count=1))


def misplace(commands: Commands) -> None:
    commands[0] = (b"elsewhere", commands[0][1])


def invent(commands: Commands) -> None:
    commands[0] = (commands[0][0], replace(commands[0][1], seq=len(SAMPLE)))


def test_faultless_commands_have_no_faults() -> None:
    assert list(faults_after(SAMPLE, faultless(SAMPLE))) == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lose, "1 of 3 commands are missing"),
        (double, "command 0 came twice"),
        (forget, "count=1"),
        (misplace, "command 0 is "),
        (invent, "command 3 is for no event"),
    ],
)
def test_each_fault_is_told(spoil: Callable[[Commands], None], told: str) -> None:
    commands = faultless(SAMPLE)

    spoil(commands)

    assert any(told in fault for fault in faults_after(SAMPLE, commands))

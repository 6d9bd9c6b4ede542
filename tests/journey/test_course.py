"""The demo's course: whom it kills and when, and what it says when nothing moves."""

import io
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from pmstream.cli.demo_load import Loader, transfers
from pmstream.cli.demo_run import Course, Killer, Plan, Progress, Show, Stuck
from pmstream.cli.demo_show import Bars, Lines
from pmstream.cli.demo_topics import PARTITIONS, make_topics
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.examples.transfer import app
from pmstream.runtime.child import Spec
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.supervisor import Policy, Supervisor

PLAN = Plan(transfers=10, workers=2, kills=2, rate=0, seed=1)
SPECS = [
    Spec("accounts", "service", "bank-0"),
    Spec("transfer-money", "router", "router-0"),
    Spec("transfer-money", "instances", "instances-0"),
]


@pytest.fixture
def sleepers() -> Iterator[Supervisor]:
    """A supervisor of processes that do nothing."""
    supervisor = Supervisor(SPECS, lambda _spec: ["sleep", "600"], Policy(), lambda _line: None)
    supervisor.turn()
    yield supervisor
    supervisor.end()


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        make_topics(self.log, self.clock, Settings.load(inbox_partitions=PARTITIONS))

    def course(self, supervisor: Supervisor) -> Course:
        return Course(PLAN, self.log, self.clock, supervisor, Show())

    def loader(self) -> Loader:
        todo = transfers(PLAN.transfers, PLAN.seed)
        return Loader(self.log, Codec(app).encode_event, self.clock, todo)


def test_workers_die_when_their_share_is_completed(sleepers: Supervisor) -> None:
    told: list[str] = []
    killer = Killer(PLAN, sleepers, told.append)
    before = sleepers.pids()

    killer.turn(completed=3)
    assert killer.kills == 0
    killer.turn(completed=4)
    assert killer.kills == 1

    victim = before["transfer-money/instances/instances-0"]
    assert told == [f"killed instances-0 (SIGKILL, process {victim})"]
    await_end(sleepers, victim)
    assert set(sleepers.pids()) == {"accounts/service/bank-0", "transfer-money/router/router-0"}


def test_a_kill_waits_until_somebody_lives(sleepers: Supervisor) -> None:
    killer = Killer(PLAN, sleepers, lambda _line: None)
    killer.turn(completed=10)
    await_end(sleepers, None)

    killer.turn(completed=10)

    assert killer.kills == 1


def await_end(supervisor: Supervisor, pid: int | None) -> None:
    until = time.monotonic() + 10
    while any("/instances/" in name for name in supervisor.pids()) and time.monotonic() < until:
        time.sleep(0.01)
    assert pid not in supervisor.pids().values()


def test_no_progress_fails_and_says_where_it_stands(sleepers: Supervisor) -> None:
    world = World()

    with pytest.raises(Stuck) as stuck:
        world.course(sleepers).run(world.loader())

    assert str(stuck.value).startswith(
        "no progress for 120 s: 10 sent, 0 started, 0 of 10 completed; offsets to handle: router "
    )
    assert "running: accounts/service/bank-0, transfer-money/router/router-0" in str(stuck.value)


def test_members_that_never_come_fail_too(sleepers: Supervisor) -> None:
    world = World()

    with pytest.raises(Stuck, match="no progress for 120 s: 0 sent"):
        world.course(sleepers).await_members()


def test_a_process_manager_that_gives_up_ends_the_demo() -> None:
    world = World()
    command = ["false"]
    supervisor = Supervisor(SPECS[1:2], lambda _s: command, Policy(max_restarts=0), lambda _l: None)

    try:
        with pytest.raises(Stuck, match=r"transfer-money gave up: .* exit code 1"):
            world.course(supervisor).run(world.loader())
    finally:
        supervisor.end()


def test_topics_of_an_earlier_demo_are_refused() -> None:
    world = World()

    with pytest.raises(ConfigurationError, match="topics of an earlier demo"):
        make_topics(world.log, world.clock, Settings.load())


def progress(seconds: float, completed: int) -> Progress:
    lags = {"router": 1, "instances": 2, "bank": 3}
    return Progress(
        seconds=seconds,
        total=10,
        sent=10,
        started=9,
        completed=completed,
        kills=1,
        lags=lags,
    )


def test_lines_come_at_their_pace_and_a_last_one() -> None:
    out = io.StringIO()
    lines = Lines(Console(file=out, width=200))

    for seconds, completed in ((0.0, 0), (1.0, 2), (2.0, 4), (2.5, 10), (3.0, 10), (4.5, 10)):
        lines.progress(progress(seconds, completed))

    shown = [line.split("completed ")[1].split(" ·")[0] for line in out.getvalue().splitlines()]
    assert shown == ["0 of 10", "4 of 10", "10 of 10"]
    assert "to handle: router 1 instances 2 bank 3 · kills 1" in out.getvalue()


def test_bars_show_the_same() -> None:
    out = io.StringIO()
    bars = Bars(Console(file=out, width=120, force_terminal=True))
    bars.progress(progress(1.0, 5))
    bars.say("killed somebody")
    bars.close()

    assert "5/10" in out.getvalue()
    assert "killed somebody" in out.getvalue()


def test_the_same_seed_makes_the_same_transfers() -> None:
    assert transfers(5, seed=3) == transfers(5, seed=3)
    assert transfers(5, seed=3) != transfers(5, seed=4)

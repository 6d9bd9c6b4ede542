"""The supervisor on real child processes: restarted, given up, ended, never orphaned."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pmstream.runtime.child import Spec
from pmstream.runtime.supervisor import Policy, Restart, Supervisor

FOREVER = "import time\nwhile True: time.sleep(1)"
DEADLINE_SECONDS = 90
QUICK = Policy(shutdown_timeout_s=5)


def until(condition: Callable[[], bool], supervisor: Supervisor | None = None) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        if supervisor is not None:
            supervisor.turn()
        time.sleep(0.01)


class House:
    """Makes supervisors whose workers run the script of their process manager."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.made: list[Supervisor] = []

    def supervise(self, scripts: dict[str, str], policy: Policy = QUICK) -> Supervisor:
        def command(spec: Spec) -> Sequence[str]:
            return [sys.executable, "-c", scripts[spec.process_manager]]

        specs = [Spec(name, "instances", f"{name}-0") for name in scripts]
        supervisor = Supervisor(specs, command, policy, self.lines.append)
        self.made.append(supervisor)
        return supervisor


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    for each in made.made:
        each.end()


def pid_of(supervisor: Supervisor, name: str) -> int | None:
    return supervisor.pids().get(f"{name}/instances/{name}-0")


def test_a_killed_worker_is_started_again_and_its_neighbour_is_not_touched(house: House) -> None:
    supervisor = house.supervise({"a": FOREVER, "b": FOREVER})
    until(lambda: len(supervisor.pids()) == 2, supervisor)
    first, neighbour = pid_of(supervisor, "a"), pid_of(supervisor, "b")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: pid_of(supervisor, "a") not in (None, first), supervisor)
    assert pid_of(supervisor, "b") == neighbour
    assert house.lines == ["a instances a-0: ended, killed by SIGKILL"]


def test_too_many_restarts_give_one_process_manager_up_and_no_other(house: House) -> None:
    policy = Policy(max_restarts=2, within_s=60, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": "raise SystemExit(70)", "b": FOREVER}, policy)
    until(lambda: "a" in supervisor.stopped, supervisor)
    assert "more than 2 restarts in 60 s" in supervisor.stopped["a"]
    assert "exit code 70" in supervisor.stopped["a"]
    assert pid_of(supervisor, "b") is not None
    assert "b" not in supervisor.stopped


def test_restarts_that_are_long_ago_do_not_count(house: House, tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    script = (
        f"import time\nopen({str(starts)!r}, 'a').write('x')\ntime.sleep(0.5)\nraise SystemExit(1)"
    )
    policy = Policy(max_restarts=1, within_s=0.3, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": script}, policy)
    until(lambda: starts.exists() and len(starts.read_text()) >= 4, supervisor)
    assert supervisor.stopped == {}


def test_a_restart_waits_longer_each_time(house: House) -> None:
    policy = Policy(max_restarts=5, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": "raise SystemExit(1)"}, policy)
    (child,) = supervisor._children
    waits = []
    while "a" not in supervisor.stopped:
        ended = len(house.lines)
        until(lambda at=ended: len(house.lines) > at, supervisor)  # type: ignore[misc]
        waits.append(child.backoff)
    assert waits[:5] == [0.2, 0.4, 0.8, 1.6, 3.2]


def test_a_temporary_process_manager_that_stopped_leaves_its_supervisor_up(house: House) -> None:
    """Else Kubernetes would start it again."""
    policy = Policy(restart=Restart.TEMPORARY, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": "raise SystemExit(70)"}, policy)
    ended: list[dict[str, str]] = []
    thread = threading.Thread(target=lambda: ended.append(supervisor.run()))
    thread.start()
    until(lambda: "a" in supervisor.stopped)
    thread.join(1)
    assert thread.is_alive()
    supervisor.stop()
    thread.join(DEADLINE_SECONDS)
    assert ended[0].keys() == {"a"}


@pytest.mark.parametrize(
    ("restart", "code", "again"),
    [
        (Restart.PERMANENT, 0, True),
        (Restart.PERMANENT, 1, True),
        (Restart.TRANSIENT, 0, False),
        (Restart.TRANSIENT, 1, True),
        (Restart.TEMPORARY, 0, False),
        (Restart.TEMPORARY, 1, False),
    ],
)
def test_the_strategy_decides_who_is_started_again(
    house: House, tmp_path: Path, restart: Restart, code: int, again: bool
) -> None:
    script = f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nraise SystemExit({code})"
    policy = Policy(restart=restart, max_restarts=1, within_s=60, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": script}, policy)
    until(lambda: supervisor.is_over, supervisor)
    assert (tmp_path / "starts").read_text() == ("xx" if again else "x")


def test_the_supervisor_ends_when_no_process_manager_is_left(house: House) -> None:
    policy = Policy(max_restarts=0, within_s=60, shutdown_timeout_s=5)
    assert house.supervise({"a": "raise SystemExit(1)"}, policy).run().keys() == {"a"}


def test_a_worker_that_does_not_listen_is_ended_by_force(house: House, tmp_path: Path) -> None:
    deaf = (
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(tmp_path / 'ready')!r}, 'w').close()\nwhile True: time.sleep(1)"
    )
    supervisor = house.supervise({"a": deaf}, Policy(shutdown_timeout_s=0.5))
    until((tmp_path / "ready").exists, supervisor)
    pid = pid_of(supervisor, "a")
    assert pid is not None
    supervisor.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


SUPERVISOR = """
import sys
from pmstream.runtime.child import Spec
from pmstream.runtime.supervisor import Policy, Supervisor
worker = [sys.executable, "-c", sys.argv[1], sys.argv[2]]
supervisor = Supervisor([Spec("a", "instances", "a-0")], lambda _: worker, Policy(), print)
supervisor.run()
"""

WORKER = """
import os, sys, threading
from pmstream.runtime.report import end_with_parent
stop = threading.Event()
end_with_parent(stop.set, 20)
open(sys.argv[1], "w").write(str(os.getpid()))
stop.wait()
"""


def test_orphans_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "pid"
    parent = subprocess.Popen([sys.executable, "-c", SUPERVISOR, WORKER, str(ready)])
    until(lambda: ready.exists() and bool(ready.read_text()))
    pid = int(ready.read_text())
    parent.kill()
    parent.wait()

    def is_gone() -> bool:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state == "Z"  # nobody may be there to reap it

    until(is_gone)


STALLED = """
import faulthandler, signal, sys, time
from pmstream.runtime.report import Reporter, end_with_parent
from pmstream.runtime.supervisor import DUMP_SIGNAL
faulthandler.register(DUMP_SIGNAL, all_threads=True)
Reporter().beat()
def a_call_that_never_returns():
    while True:
        time.sleep(0.1)
a_call_that_never_returns()
"""


def test_a_worker_that_stands_still_is_dumped_and_replaced(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    supervisor = house.supervise({"a": STALLED}, Policy(shutdown_timeout_s=5, stall_timeout_s=5))
    until(lambda: pid_of(supervisor, "a") is not None, supervisor)
    first = pid_of(supervisor, "a")
    until(lambda: pid_of(supervisor, "a") not in (None, first), supervisor)
    assert "has not moved for" in house.lines[0]
    assert supervisor.views()[0].stalls == 1
    assert "a_call_that_never_returns" in capfd.readouterr().err


REASON = """
from pmstream.runtime.report import Reporter, end_with_parent
Reporter().ends("account 7 is poisoned")
raise SystemExit({code})
"""


def test_the_reason_of_a_worker_is_told_as_its_process_manager_is_given_up(house: House) -> None:
    policy = Policy(max_restarts=0, within_s=60, shutdown_timeout_s=5)
    stopped = house.supervise({"a": REASON.format(code=70)}, policy).run()
    assert "exit code 70: account 7 is poisoned" in stopped["a"]


@pytest.mark.parametrize("code", [69, 75])
def test_what_must_be_waited_for_is_on_nobodys_budget(
    house: House, tmp_path: Path, code: int
) -> None:
    """Kafka is away; or another generation is being made."""
    script = f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nraise SystemExit({code})"
    policy = Policy(restart=Restart.TEMPORARY, max_restarts=0, shutdown_timeout_s=5)
    supervisor = house.supervise({"a": script}, policy)
    starts = tmp_path / "starts"
    until(lambda: starts.exists() and len(starts.read_text()) >= 3, supervisor)
    assert supervisor.stopped == {}


def test_giving_one_up_does_not_hold_up_the_others(house: House) -> None:
    """Its workers may take their time to end: nobody waits for them."""
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOREVER[12:]
    specs = {"a": deaf, "b": FOREVER}
    supervisor = house.supervise(specs, Policy(max_restarts=0, shutdown_timeout_s=3))
    until(lambda: len(supervisor.pids()) == 2, supervisor)
    began = time.monotonic()
    supervisor._give_up(Spec("a", "instances", "a-0"), "for the test")
    assert time.monotonic() - began < 1
    until(lambda: pid_of(supervisor, "a") is None, supervisor)
    assert pid_of(supervisor, "b") is not None

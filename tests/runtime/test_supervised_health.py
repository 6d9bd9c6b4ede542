"""Health of real child processes that report through the real pipe, asked over HTTP."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pmstream.runtime.child import Spec
from pmstream.runtime.endpoint import Endpoint
from pmstream.runtime.exposition import Exposition
from pmstream.runtime.health import Health
from pmstream.runtime.supervisor import Policy, Restart, Supervisor

DEADLINE_SECONDS = 90
REPORTING = """
import time
from pmstream.runtime.report import Reporter
from pmstream.runtime.vitals import Condition, Part, Vitals
part = Part("pay.inbox", 3, Condition.RUNNING, "", {"lag_records": 5})
reporter = Reporter()
while True:
    reporter.beat(lambda: Vitals(True, [part], {"commits_total": 42}))
    time.sleep(0.01)
"""
POISONED = """
from pmstream.runtime.report import Reporter
Reporter().ends("account 7 is poisoned")
raise SystemExit(70)
"""


class Served:
    """A supervisor of one worker, and its port."""

    def __init__(self, script: str, policy: Policy) -> None:
        specs = [Spec("pay", "instances", "host-1")]
        command = [sys.executable, "-c", script]
        self.supervisor = Supervisor(specs, lambda _: command, policy, lambda _line: None)
        health = Health(self.supervisor, policy.stall_timeout_s)
        self.endpoint = Endpoint(0, Exposition("bank", "1", health))

    def ask(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.endpoint.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def why(self, path: str) -> Any:
        return json.loads(self.ask(path)[1])["why"]

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.ask("/readyz")
            self.supervisor.turn()
            time.sleep(0.01)

    def close(self) -> None:
        self.supervisor.end()
        self.endpoint.close()


Serve = Callable[[str, Policy], Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[Served] = []

    def begin(script: str, policy: Policy) -> Served:
        made.append(Served(script, policy))
        return made[-1]

    yield begin
    for each in made:
        each.close()


def test_a_worker_that_reports_is_started_ready_and_its_figures_are_served(serve: Serve) -> None:
    served = serve(REPORTING, Policy(shutdown_timeout_s=5))
    assert served.why("/readyz") == ["pay instances host-1 does not run"]

    served.until(lambda: served.ask("/readyz")[0] == 200)

    assert served.ask("/startupz")[0] == served.ask("/livez")[0] == 200
    _, text = served.ask("/metrics")
    labels = 'app="bank",pm="pay",role="instances",worker="host-1"'
    assert f"pmstream_commits_total{{{labels}}} 42.0" in text
    assert 'pmstream_lag_records{app="bank",partition="3",pm="pay",' in text


def test_a_killed_worker_is_missed_until_its_successor_reports(serve: Serve) -> None:
    served = serve(REPORTING, Policy(shutdown_timeout_s=5))
    served.until(lambda: served.ask("/readyz")[0] == 200)
    (pid,) = served.supervisor.pids().values()

    os.kill(pid, signal.SIGKILL)
    served.until(lambda: served.ask("/readyz")[0] == 503)
    first = served.why("/readyz")
    served.until(lambda: served.ask("/readyz")[0] == 200)

    assert first == ["pay instances host-1 does not run: killed by SIGKILL"]
    assert served.supervisor.views()[0].starts == 2


def test_a_temporary_process_manager_that_stopped_is_up_alive_and_unready(serve: Serve) -> None:
    policy = Policy(restart=Restart.TEMPORARY, shutdown_timeout_s=5)
    served = serve(POISONED, policy)

    served.until(lambda: "pay" in served.supervisor.stopped)

    assert served.ask("/readyz")[0] == 503
    assert "account 7 is poisoned" in served.why("/readyz")[0]
    assert [served.ask(path)[0] for path in ("/startupz", "/livez")] == [200, 200]
    assert 'pmstream_stopped{app="bank",pm="pay"} 1.0' in served.ask("/metrics")[1]

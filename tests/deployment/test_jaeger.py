"""What a real Jaeger shows: a transfer under one trace id, retry and timer linked.

Opt-in, `just trace-check`: it is built from its Go modules, about six CPU-minutes the first time.
"""

import json
import os
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.examples import transfer
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.telemetry import otlp
from tests.deployment.tools import go_build
from tests.examples.test_transfer_traced import Town
from tests.runtime.clocked import TIMER_SECONDS, make_app
from tests.runtime.tracing.kit import ENOUGH, SAMPLED, TRACE, TracedWorld, happens

pytestmark = [
    pytest.mark.skipif("PMSTREAM_TEST_JAEGER" not in os.environ, reason="just trace-check"),
    pytest.mark.timeout(3_600),
]

MODULE, PACKAGE = Path(__file__).parent / "jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger"
START_SECONDS = 60.0


class Jaeger:
    """A real one, its storage in memory."""

    def __init__(self) -> None:
        self._pages, self._grpc, otlp_port = _free(), _free(), _free()
        self.endpoint = f"http://127.0.0.1:{otlp_port}"

    def config(self) -> dict[str, Any]:
        """Takes OTLP, answers its API; nothing else."""
        own = "127.0.0.1"
        return {
            "service": {
                "extensions": ["jaeger_storage", "jaeger_query"],
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": [_STORE]}},
                "telemetry": {"metrics": {"level": "none"}, "logs": {"level": "warn"}},
            },
            "extensions": {
                "jaeger_storage": {"backends": {"here": {"memory": {"max_traces": 1_000}}}},
                "jaeger_query": {
                    "storage": {"traces": "here"},
                    "http": {"endpoint": f"{own}:{self._pages}"},
                    "grpc": {"endpoint": f"{own}:{self._grpc}"},
                },
            },
            "receivers": {
                "otlp": {"protocols": {"http": {"endpoint": self.endpoint.removeprefix("http://")}}}
            },
            "exporters": {_STORE: {"trace_storage": "here"}},
        }

    def ask(self, path: str, **query: str | int) -> Any:
        """What its API answers. Raises OSError."""
        url = f"http://127.0.0.1:{self._pages}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def traces(self, service: str, process_uuid: str) -> list[dict[str, Any]]:
        """Those that hold spans of a process, once they are there; the eldest first."""
        tags = json.dumps({"pmstream.process_uuid": process_uuid})
        found: list[dict[str, Any]] = []
        until = time.monotonic() + START_SECONDS
        while not found and time.monotonic() < until:
            found = self.ask("/api/traces", service=service, tags=tags, limit=100) or []
        return sorted(found, key=lambda each: min(span["startTime"] for span in each["spans"]))


_STORE = "jaeger_storage_exporter"


def _free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def jaeger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jaeger]:
    program, made = go_build("jaeger", MODULE, PACKAGE) / "jaeger", Jaeger()
    folder = tmp_path_factory.mktemp("jaeger")  # a fresh one each: all tests use one trace id
    (folder / "config.json").write_text(json.dumps(made.config()))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "--config", folder / "config.json"], stdout=log, stderr=log
        )
        try:
            _await(made, process, folder / "log")
            yield made
        finally:
            process.terminate()
            process.wait(30)


def _await(jaeger: Jaeger, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while not _answers(jaeger):
        is_over = process.poll() is not None or time.monotonic() > until
        assert not is_over, log.read_text()[-3_000:]
        time.sleep(0.1)


def _answers(jaeger: Jaeger) -> bool:
    try:
        jaeger.ask("/api/services")
    except OSError:
        return False
    return True


def test_one_transfer_is_shown_with_all_its_hops_under_one_trace_id(
    jaeger: Jaeger, tmp_path: Path
) -> None:
    town = Town(transfer.app, tmp_path)
    town.transfer(SAMPLED)
    otlp(jaeger.endpoint).export(town.collector.spans)

    [found] = jaeger.traces("world", "t-1")

    names = [each["operationName"] for each in found["spans"]]
    assert found["traceID"] == TRACE
    assert sorted(names) == sorted(
        [
            "route bank.transfers",
            "process bank.transfers",
            *["handle", "apply", "send bank.account-commands"] * 2,
            *["process bank.account-commands", "route bank.accounts"] * 2,
            *["process bank.accounts"] * 2,
        ]
    )
    town.app.close()
    town.bank.close()
    town.collector.close()


@pytest.mark.parametrize(
    ("what", "later"), [("timer", "process timer"), ("retry", "process world.events")]
)
def test_a_timer_and_a_retry_are_shown_as_linked_traces(
    jaeger: Jaeger, tmp_path: Path, what: str, later: str
) -> None:
    clock = VirtualClock()
    log = MemoryLog(clock)
    world = TracedWorld(log, tmp_path, clock, app=make_app(), per_second=ENOUGH, links=False)
    world.start_all()
    happens(world, what, process=what)
    world.manager.healed = True
    clock.advance(TIMER_SECONDS + 1)
    world.settle()
    otlp(jaeger.endpoint).export(world.collector.spans)

    first, *rest = jaeger.traces("world", what)

    last = next(each for each in rest[-1]["spans"] if each["operationName"] == later)
    assert last["traceID"] != first["traceID"]
    linked = {each["traceID"] for each in last["references"]}
    assert {each["refType"] for each in last["references"]} == {"FOLLOWS_FROM"}
    assert linked & {each["traceID"] for each in (first, *rest[:-1])}
    world.close()

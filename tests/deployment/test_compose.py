"""The compose file: every profile as the compose binary reads it, held to what pmstream knows."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from pmstream.cli.root import root
from pmstream.config import Settings
from pmstream.examples.bank import BALANCES, OUTCOMES
from pmstream.examples.transfer import app
from pmstream.operate.messages import Encoder
from tests.deployment.tools import ROOT, promtool, python_tools, run

FILE = ROOT / "docker-compose.kafka.yml"
PROFILES = ("", "app", "bank", "obs", "ui", "cluster")

Service = dict[str, Any]


@cache
def services(profile: str) -> dict[str, Service]:
    """Of a profile, its names in place."""
    options = ["--profile", profile] if profile else []
    binary = python_tools() / "bin" / "docker-compose"
    done = run([binary, "-f", FILE, *options, "config", "--format", "json"])
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a warning"
    found: dict[str, Service] = json.loads(done.stdout)["services"]
    return found


def every() -> dict[str, Service]:
    return {name: each for profile in PROFILES for name, each in services(profile).items()}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_is_valid(profile: str) -> None:
    assert {"kafka", "topic-init", "jaeger"} <= services(profile).keys()


def test_profiles_bring_what_they_promise() -> None:
    def more(profile: str) -> set[str]:
        return services(profile).keys() - services("").keys()

    assert more("app") == {"router", "worker-1", "worker-2", "bank-topics", "bank", "loader"}
    assert more("bank") == {"bank-topics", "bank"}
    assert more("obs") == {"prometheus", "grafana"}
    assert more("ui") == {"ui"}
    assert more("cluster") == {"kafka-1", "kafka-2", "kafka-3", "topic-init-cluster"}


def test_no_two_services_want_one_port() -> None:
    published = [port["published"] for each in every().values() for port in each.get("ports", [])]

    assert len(set(published)) == len(published)
    assert {port["host_ip"] for each in every().values() for port in each.get("ports", [])} == {
        "127.0.0.1"
    }


def test_images_are_pinned() -> None:
    for name, each in every().items():
        assert re.search(r":(v?\d+\.\d+\.\d+|local)$", each["image"]), name


def test_what_is_stored_is_in_named_volumes() -> None:
    kept = {
        mount["target"]: mount["source"]
        for each in every().values()
        for mount in each.get("volumes", [])
        if mount["type"] == "volume"
    }

    assert {"/var/lib/kafka/data", "/var/lib/pmstream"} <= kept.keys()
    assert "version:" not in FILE.read_text().split("services:")[0]
    for each in every().values():
        for mount in each.get("volumes", []):
            assert mount["type"] == "volume" or (ROOT / mount["source"]).exists()


def test_health_is_asked_without_starting_java() -> None:
    brokers = [each for name, each in every().items() if name.startswith("kafka")]

    assert len(brokers) == 4
    for each in brokers:
        test = " ".join(each["healthcheck"]["test"])
        assert "/dev/tcp/" in test
        assert "kafka-" not in test


def test_three_brokers_keep_three_copies_and_need_two() -> None:
    brokers = [each for name, each in services("cluster").items() if re.match(r"kafka-\d", name)]
    names = {each["environment"]["KAFKA_NODE_ID"] for each in brokers}

    assert names == {"1", "2", "3"}
    for each in brokers:
        found = {
            name: value for name, value in each["environment"].items() if "REPLICATION" in name
        }
        assert set(found.values()) == {"3"}
        isr = [value for name, value in each["environment"].items() if "ISR" in name]
        isr.append(each["environment"]["KAFKA_MIN_INSYNC_REPLICAS"])
        assert set(isr) == {"2"}
    topics = services("cluster")["topic-init-cluster"]["environment"]
    assert topics["PMSTREAM_REPLICATION"] == "3"


def ours() -> Iterator[tuple[str, Service]]:
    for name, each in every().items():
        if each["image"] == "pmstream:local":
            yield name, each


def test_our_services_are_set_as_pmstream_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, each in ours():
        with monkeypatch.context() as patch:
            for variable, value in each.get("environment", {}).items():
                patch.setenv(variable, value)
            assert Settings.load().bootstrap_servers.startswith("kafka"), name


def test_our_services_run_commands_that_exist() -> None:
    commands = [each["command"] for _, each in ours() if not each.get("entrypoint")]

    assert len(commands) == 5
    for command in commands:
        asked = CliRunner().invoke(root, [*command, "--help"], prog_name="pmstream")
        assert asked.exit_code == 0, asked.output


def test_one_service_builds_the_image_before_others_need_it() -> None:
    for profile in PROFILES:
        for name, each in services(profile).items():
            if each["image"] != "pmstream:local" or "build" in each:
                continue
            before = set(each["depends_on"])
            before |= {dep for name in before for dep in services(profile)[name]["depends_on"]}
            assert "topic-init" in before, name
    builders = [name for name, each in ours() if "build" in each]
    assert builders == ["topic-init", "topic-init-cluster"]


def test_our_containers_may_do_little() -> None:
    for name, each in ours():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name


def test_workers_have_names_that_come_back() -> None:
    found = services("app")

    assert [found[each]["hostname"] for each in ("worker-1", "worker-2")] == [
        "worker-1",
        "worker-2",
    ]


def test_the_bank_finds_its_topics() -> None:
    (script,) = services("bank")["bank-topics"]["command"]

    assert re.findall(r"(bank\.\w+):", script) == [BALANCES, OUTCOMES]


def test_the_loaders_transfers_are_what_the_app_reads() -> None:
    encoder = Encoder(app, "bank.transfers", "MoneyTransferRequested", "debit_account")
    done = run([sys.executable, ROOT / "compose" / "transfers.py", "3"])

    encoded = [encoder.encode(line) for line in done.stdout.splitlines()]

    assert len(encoded) == 3
    assert all(key is not None and key.startswith(b"account-") for key, _ in encoded)


def test_prometheus_scrapes_the_workers() -> None:
    text = (ROOT / "compose" / "prometheus.yml").read_text()
    port = Settings.model_fields["health_port"].default

    for name in ("router", "worker-1", "worker-2"):
        assert f"{name}:{port}" in text
        assert name in services("app")


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    # given the folder as the container sees it
    mounts = services("obs")["prometheus"]["volumes"]
    for mount in (each for each in mounts if each["type"] == "bind"):
        place = tmp_path / Path(mount["target"]).relative_to("/etc/prometheus")
        place.symlink_to(mount["source"])

    done = run([promtool(), "check", "config", tmp_path / "prometheus.yml"])

    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout


def test_without_docker_it_says_what_to_do() -> None:
    bare = {"PATH": "/nowhere"}
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "compose" / "stack"), "up"],
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "docker is not on PATH" in done.stderr
    assert "pmstream dev kafka" in done.stderr


class Jaeger(BaseHTTPRequestHandler):
    """Answers what Jaeger's API answers for one process."""

    def do_GET(self) -> None:
        span = {"startTime": 5_000, "duration": 1_500, "processID": "p1", "operationName": "handle"}
        trace = {
            "traceID": "abc",
            "spans": [span],
            "processes": {"p1": {"serviceName": "bank"}},
        }
        body = json.dumps({"data": [trace] if "u-1" in self.path else []}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Not into the tests' output."""


def test_the_traces_of_a_process_are_shown() -> None:
    with HTTPServer(("127.0.0.1", 0), Jaeger) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        script = ROOT / "compose" / "trace.py"
        found = run([sys.executable, script, "bank", "u-1", url])
        none = run([sys.executable, script, "bank", "u-2", url])
        server.shutdown()

    assert found.returncode == 0
    assert found.stdout.splitlines() == [
        f"{url}/trace/abc",
        "        0.0 ms       1.5 ms  bank: handle",
    ]
    assert none.returncode == 1
    assert "no trace of u-2" in none.stderr

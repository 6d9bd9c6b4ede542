"""`pmstream dev kafka`: what stops it is one sentence and exit code 2."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster, jars
from tests.cli.conftest import Pmstream


def one_sentence(pmstream: Pmstream, *arguments: str) -> str:
    result = pmstream("dev", "kafka", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_no_java(pmstream: Pmstream, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PMSTREAM_JAVA", str(folder / "java"))

    assert "Apache Kafka needs Java 17 or newer" in one_sentence(pmstream)


def test_two_brokers(pmstream: Pmstream) -> None:
    assert "1 or 3 brokers, not 2" in one_sentence(pmstream, "--brokers", "2")


def test_a_corrupt_jar(pmstream: Pmstream, folder: Path) -> None:
    for jar in jars.wanted():
        (folder / jar.name).write_bytes(b"not what it was")

    text = one_sentence(pmstream, "--kafka-home", str(folder))

    assert jars.wanted()[0].name in text


def test_a_jar_that_is_missing(pmstream: Pmstream, folder: Path) -> None:
    assert str(folder) in one_sentence(pmstream, "--kafka-home", str(folder))


def test_a_port_that_is_taken(pmstream: Pmstream, kafka: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert str(port) in one_sentence(pmstream, "--port", str(port))


def test_it_prints_its_address_and_ends_when_told_so(kafka: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pmstream", "dev", "kafka", "--dir", str(tmp_path / "data")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline()
            process.terminate()
            code = process.wait(120)
        finally:
            process.kill()

    host, _, port = address.strip().rpartition(":")
    assert (host, port.isdecimal(), code) == ("127.0.0.1", True, 0)

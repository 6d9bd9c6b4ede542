"""One broker is a real one: transactions, data that stays, an end that is one."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from pmstream.devkafka import Cluster, DevKafkaError, archive, cache, ports, runtime
from tests.devkafka import clients
from tests.devkafka.test_guard import is_there, soon

pytestmark = pytest.mark.kafka


def silent(_line: str) -> None:
    pass


@contextmanager
def python(script: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_an_aborted_transaction_is_hidden_from_readers_of_what_is_committed(kafka: Cluster) -> None:
    servers = kafka.bootstrap_servers
    topic = clients.make_topic(servers)
    with clients.transactional(servers) as producer:
        producer.begin_transaction()
        producer.produce(topic, b"aborted", partition=0)
        producer.flush()
        producer.abort_transaction(60)
        producer.begin_transaction()
        producer.produce(topic, b"committed", partition=0)
        producer.commit_transaction(60)

    assert clients.read(servers, topic) == [b"committed"]
    assert clients.read(servers, topic, "read_uncommitted") == [b"aborted", b"committed"]


def test_coordinators_are_there_before_the_first_client(kafka: Cluster) -> None:
    topics = clients.admin(kafka.bootstrap_servers).list_topics(timeout=30).topics

    assert {name for name in topics if name.startswith("__")} == {
        "__consumer_offsets",
        "__transaction_state",
    }


def test_a_paused_broker_is_silent_until_it_is_resumed(kafka: Cluster) -> None:
    client = clients.admin(kafka.bootstrap_servers)
    client.list_topics(timeout=30)

    kafka.pause(1)
    try:
        with pytest.raises(KafkaException):
            client.list_topics(timeout=0.5)
    finally:
        kafka.resume(1)

    assert client.list_topics(timeout=30).brokers


def test_what_cannot_be_done_to_a_broker_is_told(kafka: Cluster) -> None:
    with pytest.raises(DevKafkaError, match="broker 1 runs already"):
        kafka.start_broker(1)
    with pytest.raises(DevKafkaError, match="there is no broker 2"):
        kafka.kill(2)
    with pytest.raises(DevKafkaError, match="the cluster runs already"):
        kafka.start()


def test_data_in_a_named_directory_outlives_stop_kill_and_a_change_of_ports(tmp_path: Path) -> None:
    home = tmp_path / "a directory"
    with Cluster(directory=home) as first:
        before = first.bootstrap_servers
        topic = clients.make_topic(before)
        clients.send(before, topic, b"one")
        first.kill(1)
        with pytest.raises(DevKafkaError, match="broker 1 ended"):
            first.check()
        first.start_broker(1)
        clients.send(before, topic, b"two")

    other = next(port for port in ports.free(2) if not before.endswith(f":{port}"))
    with Cluster(directory=home, ports=[other], settings={"log.retention.hours": "7"}) as second:
        assert second.bootstrap_servers != before
        assert clients.read(second.bootstrap_servers, topic) == [b"one", b"two"]


def test_a_broken_archive_is_forgotten_and_a_broken_broker_tells_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = cache.folder() / "jars"
    monkeypatch.setenv("PMSTREAM_CACHE", str(tmp_path))
    archived = archive.path(runtime.ready(jars, silent))
    archived.write_bytes(b"garbage" * 1000)

    with Cluster(kafka_home=jars) as cluster:
        assert clients.admin(cluster.bootstrap_servers).list_topics(timeout=30).brokers

    with pytest.raises(
        DevKafkaError, match=r"broker 1 ended at its start; its log (.*\n)+.*num\.io"
    ):
        Cluster(kafka_home=jars, settings={"num.io.threads": "none"}).start()


def test_more_flags_of_the_jvm_stand_behind_ours_where_they_win() -> None:
    """Java takes the last of two."""
    with Cluster(jvm=("-Xmx300m", "-XX:TieredStopAtLevel=4")) as cluster:
        command = ["ps", "-ww", "-o", "args=", "-p", str(cluster.pids[0])]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert clients.admin(cluster.bootstrap_servers).list_topics(timeout=30).brokers

    flags = shown.split(" -cp ")[0].split()
    assert [each for each in flags if each.startswith("-Xmx")] == ["-Xmx384m", "-Xmx300m"]
    assert [each[-1] for each in flags if "TieredStopAtLevel" in each] == ["1", "4"]


def test_a_killed_parent_leaves_no_jvm_and_no_directory() -> None:
    script = (
        "import time; from pmstream.devkafka import Cluster\n"
        "with Cluster() as cluster:\n"
        "    print(cluster.pids[0], cluster.directory, flush=True)\n"
        "    time.sleep(600)"
    )
    with python(script) as parent:
        pid, directory = line(parent).split()
        assert is_there(int(pid))
        assert Path(directory).is_dir()

        os.kill(parent.pid, signal.SIGKILL)

        assert soon(lambda: not is_there(int(pid)))
        assert soon(lambda: not Path(directory).exists())


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_the_servers_and_ends_on_a_signal(ended_by: signal.Signals) -> None:
    script = (
        "from pmstream.devkafka import serve\n"
        "say = lambda line: print(line, flush=True)\n"
        "serve(1, None, None, None, say, lambda line: None)"
    )
    with python(script) as served:
        servers = line(served)
        assert clients.admin(servers).list_topics(timeout=30).brokers

        served.send_signal(ended_by)

        assert served.wait(60) == 0
    ports.check(int(servers.rpartition(":")[2]))

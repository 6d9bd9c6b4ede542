"""The port: asked by real clients, polite and otherwise."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from pmstream import metrics
from pmstream.errors import ConfigurationError
from pmstream.metrics import Kind
from pmstream.runtime import endpoint as module
from pmstream.runtime.endpoint import MOST_REQUEST_BYTES, MOST_REQUESTS, Endpoint
from pmstream.runtime.exposition import Exposition
from pmstream.runtime.health import Health
from pmstream.runtime.vitals import Condition
from tests.runtime.told import Told, part, worker

VALUES: Any = {
    "commits_total": 4,
    "inputs_total": {"handled": 7, "parked": 1},
    "failures_total": {"handle Retry": 2},
    "commit_seconds": {"0.1": 2, "1.0": 1, "+Inf": 1, "sum": 3.5},
}
LABELS = {"app": "bank", "pm": "pay", "role": "instances", "worker": "host-1"}


@pytest.fixture
def told() -> Told:
    return Told(workers=[worker(part(lag_records=12), values=VALUES)])


@pytest.fixture
def endpoint(told: Told) -> Iterator[Endpoint]:
    made = Endpoint(0, Exposition("bank", "1.2", Health(told, 120)))
    yield made
    made.close()


def ask(
    endpoint: Endpoint, path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=20)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def samples(endpoint: Endpoint) -> dict[tuple[str, str], float]:
    """Every sample by name and its last labels."""
    _, body = ask(endpoint, "/metrics")
    found = {}
    for family in parsed(body.decode()):
        for each in family.samples:
            more = [text for name, text in sorted(each.labels.items()) if name not in LABELS]
            found[each.name, " ".join(more)] = each.value
    return found


@pytest.mark.parametrize("path", ["/startupz", "/readyz", "/livez"])
def test_a_healthy_supervisor_answers_200(endpoint: Endpoint, path: str) -> None:
    answer, body = ask(endpoint, path)

    assert (answer.status, answer.getheader("Content-Type")) == (200, "application/json")
    assert json.loads(body)["ok"] is True
    assert json.loads(body)["workers"][0]["partitions"] == {"bank.pay.inbox-0": "running"}


def test_one_that_is_not_ready_answers_503_and_why(endpoint: Endpoint, told: Told) -> None:
    told.workers = [worker(part(Condition.BLOCKED, "the backlog of process 7 is full"))]

    answer, body = ask(endpoint, "/readyz")

    assert answer.status == 503
    assert json.loads(body)["why"] == [
        "pay instances host-1: bank.pay.inbox-0 is blocked: the backlog of process 7 is full"
    ]
    assert ask(endpoint, "/livez")[0].status == 200
    assert samples(endpoint)["pmstream_ready", ""] == 0


def test_a_probe_may_ask_for_the_head_only(endpoint: Endpoint) -> None:
    answer, body = ask(endpoint, "/livez", "HEAD")

    assert (answer.status, body) == (200, b"")


def test_what_is_not_there_is_404_with_what_is(endpoint: Endpoint) -> None:
    answer, body = ask(endpoint, "/")

    assert answer.status == 404
    assert json.loads(body) == {"paths": ["/startupz", "/readyz", "/livez", "/metrics"]}


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
def test_nothing_can_be_changed(endpoint: Endpoint, path: str) -> None:
    assert ask(endpoint, path, "POST")[0].status == 405


def test_metrics_show_what_workers_told(endpoint: Endpoint) -> None:
    found = samples(endpoint)

    assert found["pmstream_commits_total", ""] == 4
    assert found["pmstream_inputs_total", "handled"] == 7
    assert found["pmstream_inputs_total", "parked"] == 1
    assert found["pmstream_failures_total", "Retry handle"] == 2
    assert found["pmstream_lag_records", "0 bank.pay.inbox"] == 12
    assert found["pmstream_worker_up", ""] == found["pmstream_ready", ""] == 1


def test_a_histogram_is_cumulative(endpoint: Endpoint) -> None:
    found = samples(endpoint)

    buckets = [found["pmstream_commit_seconds_bucket", le] for le in ("0.1", "1.0", "+Inf")]
    assert buckets == [2, 3, 4]
    assert found["pmstream_commit_seconds_count", ""] == 4
    assert found["pmstream_commit_seconds_sum", ""] == 3.5


def test_every_metric_of_the_table_is_there_with_its_kind_and_help(endpoint: Endpoint) -> None:
    _, body = ask(endpoint, "/metrics")

    found = {each.name: (each.type, each.documentation) for each in parsed(body.decode())}
    assert found == {
        each.full_name.removesuffix("_total" if each.kind is Kind.COUNTER else ""): (
            str(each.kind),
            each.help,
        )
        for each in metrics.METRICS
    }


def test_a_scraper_may_ask_for_openmetrics(endpoint: Endpoint) -> None:
    answer, body = ask(endpoint, "/metrics", Accept="application/openmetrics-text; version=1.0.0")

    assert (answer.getheader("Content-Type") or "").startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_a_worker_that_is_gone_tells_nothing_any_more(endpoint: Endpoint, told: Told) -> None:
    told.workers = [worker(runs=False)]

    found = samples(endpoint)

    assert found["pmstream_worker_up", ""] == 0
    assert ("pmstream_commits_total", "") not in found


def test_a_port_in_use_is_told_with_what_to_do(endpoint: Endpoint, told: Told) -> None:
    with pytest.raises(ConfigurationError, match=f"port {endpoint.port} for health and metrics"):
        Endpoint(endpoint.port, Exposition("bank", "1.2", Health(told, 120)))


def test_clients_that_say_nothing_hold_up_nobody(endpoint: Endpoint) -> None:
    silent = [
        socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(MOST_REQUESTS - 1)
    ]

    assert ask(endpoint, "/livez")[0].status == 200
    for each in silent:
        each.close()


def test_above_the_limit_a_client_is_sent_away(endpoint: Endpoint) -> None:
    silent = [socket.create_connection(("127.0.0.1", endpoint.port)) for _ in range(MOST_REQUESTS)]

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(endpoint, "/livez")
    for each in silent:
        each.close()


def test_a_client_that_asks_byte_by_byte_is_cut_off(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never silent for long, and never ready."""
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", endpoint.port)) as slow:
        slow.settimeout(0.02)
        slow.sendall(b"GET /livez HTTP/1.1\r\nX: ")

        while not _is_over(slow):
            pass

    assert ask(endpoint, "/livez")[0].status == 200


def _is_over(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * MOST_REQUEST_BYTES,
        b"GET /livez HTTP/1.1\r\nX: " + b"x" * MOST_REQUEST_BYTES,
        b"GET /livez HTTP/1.1\r\n" + b"X: y\r\n" * MOST_REQUEST_BYTES,
        b"\xff\x00" * MOST_REQUEST_BYTES,
    ],
    ids=["line", "header", "headers", "noise"],
)
def test_a_request_that_is_too_long_is_cut_off(endpoint: Endpoint, head: bytes) -> None:
    client = socket.create_connection(("127.0.0.1", endpoint.port), 60)
    with client, suppress(ConnectionError):
        client.sendall(head)
        answer = client.recv(99)
        assert not answer or b" 431 " in answer

    assert ask(endpoint, "/livez")[0].status == 200


def test_a_client_that_goes_away_in_the_middle_is_no_trouble(endpoint: Endpoint) -> None:
    with socket.create_connection(("127.0.0.1", endpoint.port)) as rude:
        rude.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")

    assert ask(endpoint, "/livez")[0].status == 200

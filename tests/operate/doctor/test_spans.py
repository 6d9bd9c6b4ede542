"""Tracing: what is told before a worker stumbles over it."""

import sys

import pytest
from msgspec import structs

from pmstream.config import Settings
from pmstream.operate.doctor import Case
from pmstream.operate.doctor.spans import can_be_sent
from pmstream.runtime.exporter import address
from tests.operate.doctor.kit import codes
from tests.runtime.tracing.otlp import Receiver, receiving

EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)


def traced(case: Case, endpoint: str) -> Case:
    settings = case.settings.model_copy(update={"tracing": True, "tracing_endpoint": endpoint})
    return structs.replace(case, settings=settings)


def test_nothing_is_asked_while_tracing_is_off(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    assert codes(can_be_sent(case)) == []
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    assert codes(can_be_sent(traced(case, "http://127.0.0.1:9"))) == []


def test_a_collector_that_listens_is_fine(case: Case) -> None:
    with receiving() as receiver:
        assert codes(can_be_sent(traced(case, receiver.endpoint))) == []


def test_a_package_that_is_missing_is_told_beside_a_collector_that_is_away(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, EXPORTER, None)
    with Receiver() as server:
        gone = server.endpoint  # nobody listens there any more

    found = list(can_be_sent(traced(case, gone)))

    assert [each.code for each in found] == ["exporter-missing", "collector-silent"]
    assert found[1].where == f"{gone}/v1/traces"


@pytest.mark.parametrize("url", ["grpc://collector", "http://collector:port", "http://"])
def test_what_is_no_address_is_told(case: Case, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)

    assert codes(can_be_sent(traced(case, ""))) == ["collector-silent"]


def test_the_address_is_the_one_that_exporters_take(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(Settings()) == "http://localhost:4318/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1/")
    assert address(Settings()) == "http://a:1/v1/traces"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2/spans")
    assert address(Settings()) == "http://b:2/spans"
    assert address(Settings(tracing_endpoint="http://c:3")) == "http://c:3/v1/traces"

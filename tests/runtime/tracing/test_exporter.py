"""What the exporter's own variables promise: each of them holds for the spans that we send."""

import ssl
from pathlib import Path

import pytest

from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.runtime.spans import Attribute
from tests.runtime.tracing.otlp import Receiver, receiving
from tests.runtime.tracing.test_collector import tell
from tests.security.certificates import Certificates


def sent(receiver: Receiver) -> list[str]:
    """Names of the spans of a transaction that arrived there."""
    with tracing(Settings(tracing=True), "bank", print) as trail:
        assert trail is not None
        tell(trail)
    assert trail.values()["spans_total"] == {"sent": 2, "failed": 0, "lost": 0}
    return sorted(each.name for each in receiver.spans)


def test_headers_and_compression_are_those_of_the_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.endpoint}/v1/traces")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop,authorization=Bearer%20b")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        assert sent(receiver) == ["commit", "process t"]

    [headers] = receiver.headers
    assert (headers["x-tenant"], headers["authorization"]) == ("shop", "Bearer b")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"] == "application/x-protobuf"


def test_certificates_are_those_of_the_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Where they are set, `requests` takes these for the exporter's own.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    made = Certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=made.path("ca.pem"))
    tls.load_cert_chain(made.path("broker.crt"), made.path("broker.key"))
    tls.verify_mode = ssl.CERT_REQUIRED
    with receiving(tls) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", made.path("ca.pem"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", made.path("client.crt"))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CLIENT_KEY", made.path("client.key"))

        assert sent(receiver) == ["commit", "process t"]


def test_a_collector_that_says_when_to_come_back_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        receiver.refuses = 2
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)

        assert sent(receiver) == ["commit", "process t"]
        assert receiver.refuses == 0


def test_the_resource_is_what_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=caf%C3%A9")
        sent(receiver)

    [of_resource] = receiver.requests[0].resource_spans
    about = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert about["deployment.environment.name"] == "caf\u00e9"
    assert about["service.name"] == "bank"
    assert of_resource.scope_spans[0].scope.name == "pmstream"
    assert Attribute.TRANSACTION in {
        each.key for span in of_resource.scope_spans[0].spans for each in span.attributes
    }

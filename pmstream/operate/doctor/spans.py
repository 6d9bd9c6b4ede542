"""Tracing: whether spans can be sent from here."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.dial import refusal
from pmstream.operate.doctor.finding import Finding, failure, warning
from pmstream.properties import without_credentials
from pmstream.runtime import exporter

NO_EXPORTER = failure(
    "exporter-missing",
    "Tracing is on, but the package is not installed that sends spans: no worker starts.",
    "`pip install 'pmstream[otlp]'`, or switch tracing off (PMSTREAM_TRACING=off)",
)
COLLECTOR_SILENT = warning(
    "collector-silent",
    "Tracing is on, but nobody listens where spans are sent to: they are lost, and work goes on.",
    "start the collector, or set PMSTREAM_TRACING_ENDPOINT to where it takes OTLP over HTTP (port "
    "4318 as a rule)",
)

_PORTS = {"http": 80, "https": 443}


def can_be_sent(case: Case) -> Iterator[Finding]:
    """The package that sends spans, and who takes them."""
    if not exporter.is_wanted(case.settings):
        return
    if not exporter.is_installed():
        yield NO_EXPORTER.found("pmstream[otlp]", "the OTLP exporter is not installed")
    url = exporter.address(case.settings)
    why = _dial(url)
    if why:
        yield COLLECTOR_SILENT.found(without_credentials(url), why)


def _dial(url: str) -> str:
    """Why nobody answers there; "" if somebody does."""
    try:
        parts = urlsplit(url)
        return refusal(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    except (KeyError, ValueError):
        return "is no http or https URL"

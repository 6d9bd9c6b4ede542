"""Tracing: whether spans can be sent from here."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, warning
from pmstream.runtime import exporter

DIAL_SECONDS = 2.0
"""How long a collector may take to answer."""

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
        yield COLLECTOR_SILENT.found(url, why)


def _dial(url: str) -> str:
    """Why nobody answers there; "" if somebody does."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        socket.create_connection((parts.hostname or "", port), DIAL_SECONDS).close()
    except KeyError:
        return "is no http or https URL"
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error) or type(error).__name__
    return ""

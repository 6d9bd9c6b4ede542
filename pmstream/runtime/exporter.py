"""Whether this process is to send spans, whether it can, and where to.

Rule: asked before workers start, and nothing of OpenTelemetry is imported while tracing is off.
"""

import os
from importlib.util import find_spec

from pmstream.config import Settings

MISSING = "tracing is on, but the OTLP exporter is not installed: pip install 'pmstream[otlp]'"

PATH = "/v1/traces"
"""Of a collector, where spans go."""

_PACKAGE = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_HERE = "http://localhost:4318"


def is_wanted(settings: Settings) -> bool:
    """Whether tracing is on; OTEL_SDK_DISABLED switches it off, too."""
    return settings.tracing and os.environ.get("OTEL_SDK_DISABLED", "").lower() != "true"


def is_installed() -> bool:
    """Whether the package is here that sends spans."""
    try:
        return find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:  # not even what it stands in
        return False


def address(settings: Settings) -> str:
    """URL of the collector: of the settings, of the variables that exporters read, or here."""
    of_traces = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if of_traces and not settings.tracing_endpoint:
        return of_traces
    base = settings.tracing_endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or _HERE
    return with_path(base)


def with_path(endpoint: str) -> str:
    """The URL that spans are sent to, of a collector's base URL."""
    base = endpoint.rstrip("/")
    return base if base.endswith(PATH) else base + PATH

"""Tracing of a process: opened if it is on, flushed when the process ends.

Rule: while it is off, nothing of OpenTelemetry is imported.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.runtime import exporter
from pmstream.runtime.trail import Trail

FLUSH_SECONDS, FLUSH_SHARE = 5.0, 0.25
"""How long the last spans may take, and which share of `shutdown_timeout_s` at most."""


def check(settings: Settings) -> None:
    """Tells what every worker would stumble over. Raises ConfigurationError."""
    if exporter.is_wanted(settings) and not exporter.is_installed():
        raise ConfigurationError(f"{exporter.MISSING}, or switch it off (PMSTREAM_TRACING=off)")


@contextmanager
def tracing(
    settings: Settings, service: str, told: Callable[[str], None], **about: str
) -> Iterator[Trail | None]:
    """Sends spans for as long as a `with` block lasts; None when tracing is off.

    Args:
        settings: see `Settings`; OTEL_SDK_DISABLED switches it off, too.
        service: as collectors name it, unless OTEL_SERVICE_NAME does.
        told: hears when spans do not arrive.
        about: what else is told of the process.

    Raises:
        ConfigurationError: the exporter is not installed.
    """
    if not exporter.is_wanted(settings):
        yield None
        return
    from pmstream.runtime.telemetry import Telemetry, otlp

    telemetry = Telemetry(otlp(settings.tracing_endpoint), service, told, about)
    try:
        yield Trail(telemetry, settings.trace_spans_per_second, links=settings.trace_mode == "link")
    finally:
        telemetry.close(min(FLUSH_SECONDS, FLUSH_SHARE * settings.shutdown_timeout_s))

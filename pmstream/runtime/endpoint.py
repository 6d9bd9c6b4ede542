"""The port of a supervisor: /startupz, /readyz, /livez as JSON, and /metrics.

Rule: whoever asks, however slowly, holds up neither the supervisor nor the next one who asks.
"""

import errno
import io
import socket
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import msgspec

from pmstream.errors import ConfigurationError
from pmstream.runtime.child import View
from pmstream.runtime.exposition import Exposition, metrics_app
from pmstream.runtime.health import QUESTIONS

METRICS = "/metrics"

MOST_REQUESTS = 16
"""Answered at the same time; who comes above that is sent away."""

REQUEST_SECONDS = 10.0
"""How long a client may take to ask, however it spreads its bytes; and again to take the answer."""

MOST_REQUEST_BYTES = 16_384
"""Request line and headers together; what is longer is cut off without an answer."""

_CLOSED_WITHIN = 0.1

_Start = Callable[[str, list[tuple[str, str]]], Any]


class Endpoint:
    """Serves until closed, in a thread of its own.

    Args:
        port: 0 is any that is free.
        exposition: what there is to tell.

    Attributes:
        port: where it serves.

    Raises:
        ConfigurationError: the port cannot be had.
    """

    def __init__(self, port: int, exposition: Exposition) -> None:
        try:
            self._server = _Server(port)
        except OSError as error:
            raise ConfigurationError(_no_port(port, error)) from error
        self._server.set_app(_Answers(exposition))
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_CLOSED_WITHIN,), daemon=True, name="health"
        )
        self._thread.start()

    def close(self) -> None:
        """Frees the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _no_port(port: int, error: OSError) -> str:
    why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror})"
    return (
        f"port {port} for health and metrics {why}: give another one by --health-port "
        "(PMSTREAM_HEALTH_PORT), or 0 for none"
    )


class _Answers:
    def __init__(self, exposition: Exposition) -> None:
        self._health, self._metrics = exposition.health, metrics_app(exposition)

    def __call__(self, environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == METRICS:
            return self._metrics(environ, start)
        if path not in QUESTIONS:
            paths = [*QUESTIONS, METRICS]
            return _json(start, method, "404 Not Found", {"paths": paths})
        if method not in ("GET", "HEAD"):
            return _json(start, method, "405 Method Not Allowed", {"methods": ["GET", "HEAD"]})
        why = QUESTIONS[path](self._health)
        status = "503 Service Unavailable" if why else "200 OK"
        workers = [_worker(each) for each in self._health.supervised.views()]
        return _json(start, method, status, {"ok": not why, "why": why, "workers": workers})


def _json(start: _Start, method: str, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    text = msgspec.json.format(msgspec.json.encode(body)) + b"\n"
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [] if method == "HEAD" else [text]


def _worker(view: View) -> dict[str, Any]:
    parts = view.vitals.parts if view.vitals is not None else []
    return {
        "process_manager": view.spec.process_manager,
        "role": view.spec.role,
        "worker": view.spec.name,
        "runs": view.runs,
        "starts": view.starts,
        "silence_s": round(view.silence_s, 1),
        "joined": view.vitals.joined if view.vitals is not None else None,
        "partitions": {f"{part.topic}-{part.number}": part.condition for part in parts},
    }


class _Asked(io.RawIOBase):
    """What a client sends: so many bytes, within so long, else an OSError."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection, self._room = connection, MOST_REQUEST_BYTES
        self._until = time.monotonic() + REQUEST_SECONDS

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if not self._room or left <= 0:
            raise TimeoutError("asked for too long")
        self._connection.settimeout(left)
        with memoryview(buffer)[: self._room] as room:
            count = self._connection.recv_into(room)
        self._connection.settimeout(REQUEST_SECONDS)
        self._room -= count
        return count


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def setup(self) -> None:
        """Reads within limits."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Asked(self.connection))

    def log_message(self, format: str, *args: Any) -> None:
        """A probe every second is worth no line."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, port: int) -> None:
        self.address_family = _family()
        self._slots = threading.BoundedSemaphore(MOST_REQUESTS)
        super().__init__(("", port), _Handler)

    def server_bind(self) -> None:
        """Binds without looking its own name up, which may wait for a name server."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "pmstream", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answers in a thread, if one is left."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """That thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or kept silent is no trouble of ours."""


def _family() -> socket.AddressFamily:
    """Both kinds of addresses where there are both."""
    try:
        with socket.socket(socket.AF_INET6) as found:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            found.bind(("::", 0))
    except OSError:
        return socket.AF_INET
    return socket.AF_INET6

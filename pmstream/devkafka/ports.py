"""Ports to listen on: found free, or looked at."""

import errno
import secrets
import socket

from pmstream.devkafka.errors import DevKafkaError

# Below the ports that the kernel gives to outgoing connections: a client that tries a dead broker's
# port again and again may not be given that very port, and a broker that comes back finds it free.
_RANGE = range(19_000, 32_000)


def free(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(_RANGE)  # not `random`: test runners seed it alike in each process
        if port not in found and _fault(port) is None:
            found.append(port)
    return found


def check(port: int) -> None:
    """Looks whether a port can be listened on.

    Raises:
        DevKafkaError: it cannot.
    """
    if not 0 < port < 65_536:
        raise DevKafkaError(f"port {port} is not between 1 and 65535: choose another one")
    fault = _fault(port)
    if fault == errno.EADDRINUSE:
        raise DevKafkaError(
            f"port {port} of 127.0.0.1 is taken by another program: stop that, or choose another "
            "port"
        )
    if fault is not None:
        raise DevKafkaError(
            f"port {port} of 127.0.0.1 cannot be listened on ({errno.errorcode.get(fault, fault)}):"
            " choose another port"
        )


def _fault(port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            return error.errno
    return None

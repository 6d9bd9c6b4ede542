"""Whether somebody listens at an address."""

import socket

DIAL_SECONDS = 3.0


def refusal(host: str, port: int | str) -> str:
    """Why nobody answers there within DIAL_SECONDS; "" if somebody does."""
    try:
        socket.create_connection((host, int(port)), DIAL_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(getattr(error, "strerror", None) or error) or type(error).__name__
    return ""

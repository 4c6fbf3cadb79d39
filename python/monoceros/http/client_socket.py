"""The socket behind environ["gunicorn.socket"]."""

from __future__ import annotations

import socket

# The descriptor stays non-blocking, because the engine shares it: a timeout makes Python wait in
# poll, which looks like a blocking socket. A day is for ever.
TIMEOUT_SECONDS = 86_400.0


def open_socket(fd: int) -> socket.socket:
    """A socket object that owns `fd`, a duplicate of the engine's descriptor."""
    opened = socket.socket(fileno=fd)
    opened.settimeout(TIMEOUT_SECONDS)
    return opened

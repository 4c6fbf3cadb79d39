"""How connections end where the engine has no part (gevent.pywsgi, tornado): as drainer.cpp
ends its own. In the thread of the worker's loop; nothing here waits.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import struct
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

BACKLOG_SECONDS = 0.1  # for connections that stand and have not spoken yet, when the server stops
IDLE_SECONDS = 0.5  # for requests that cross our decision to stop
LINGER_SECONDS = 0.5  # for those that cross our FIN: no RST for them
LAST_SECONDS = 1.0  # of graceful_timeout: to end what is left before the master kills
READ_BYTES = 1 << 16
READS_MAX = 16  # of one connection, a turn


def accept_at_once(sock: Any) -> None:
    """A TCP listener: connections are accepted when they stand, not when their first bytes come.
    Who has not spoken when the listener is closed would be reset."""
    if sock.family in (_socket.AF_INET, _socket.AF_INET6) and hasattr(_socket, "TCP_DEFER_ACCEPT"):
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_DEFER_ACCEPT, 0)


def last_seconds(graceful_timeout: float) -> float:
    """As the engine has it: of a short grace no more than a quarter."""
    return min(LAST_SECONDS, graceful_timeout / 4)


def has_unread(sock: Any) -> bool:
    """Whether the kernel holds bytes of the peer's that nobody has read."""
    try:
        count = fcntl.ioctl(sock.fileno(), termios.FIONREAD, b"\0" * 4)
    except OSError:
        return False  # closed meanwhile
    return bool(struct.unpack("i", count)[0])


class Parting:
    """Connections that have had our FIN. What their clients sent before they saw it is read and
    dropped: closing over unread bytes would be a reset, which can destroy the answer before it."""

    def __init__(self) -> None:
        self._left: list[tuple[_socket.socket, float]] = []

    def add(self, sock: Any) -> None:
        """Says FIN. The descriptor is a copy: whoever served the connection closes its own."""
        copy = _socket.socket(fileno=os.dup(sock.fileno()))
        copy.setblocking(False)
        try:
            copy.shutdown(_socket.SHUT_WR)
        except OSError:  # the peer has reset it
            return copy.close()
        self._left.append((copy, time.monotonic() + LINGER_SECONDS))

    def go_on(self) -> bool:
        """A turn; whether nobody is left."""
        now = time.monotonic()
        still = []
        for sock, until in self._left:
            if now < until and _drops(sock):
                still.append((sock, until))
            else:
                sock.close()
        self._left = still
        return not still


def _drops(sock: _socket.socket) -> bool:
    """Reads what is there; whether more may come."""
    try:
        return all(sock.recv(READ_BYTES) for _ in range(READS_MAX))
    except BlockingIOError:
        return True
    except OSError:
        return False

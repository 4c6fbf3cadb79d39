"""The socket behind environ["gunicorn.socket"]."""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# The descriptor stays non-blocking, because the engine shares it: a timeout makes Python wait in
# poll, which looks like a blocking socket. A day is for ever.
TIMEOUT_SECONDS = 86_400.0
STATUS_BYTES_MAX = 256

# What makes the connection the application's own. Those that read may only peek; the number is
# where their flags stand.
SPEAKS = ("send", "sendall", "sendmsg", "sendto")
READS = {
    "recv": 1, "recv_into": 2, "recvfrom": 1, "recvfrom_into": 2, "recvmsg": 2, "recvmsg_into": 2,
}  # fmt: skip
TAKES = ("sendfile", "makefile", "dup", "detach", "shutdown", "close")


class ClientSocket(socket.socket):
    """Tells when the application begins to use the connection by itself, and keeps the first bytes
    that it says there."""

    take: Callable[[], None]
    said = b""

    @property
    def status(self) -> str:
        """The status that it told its client; empty where it spoke no HTTP."""
        line = self.said.partition(b"\r\n")[0].decode("latin-1")
        version, _, status = line.partition(" ")
        return status if version.startswith("HTTP/") else ""


def _taking(name: str) -> Callable[..., Any]:
    plain = getattr(socket.socket, name)

    def method(self: ClientSocket, *args: Any, **kwargs: Any) -> Any:
        flags = args[READS[name]] if len(args) > READS.get(name, 99) else kwargs.get("flags", 0)
        if name not in READS or not flags & socket.MSG_PEEK:
            self.take()
        if name in SPEAKS and not self.said and args:
            data = b"".join(args[0]) if name == "sendmsg" else args[0]
            self.said = bytes(memoryview(data).cast("B")[:STATUS_BYTES_MAX])
        return plain(self, *args, **kwargs)

    return method


for _name in (*SPEAKS, *READS, *TAKES):
    setattr(ClientSocket, _name, _taking(_name))


def open_socket(fd: int, take: Callable[[], None]) -> socket.socket:
    """A socket object that owns `fd`, a duplicate of the engine's descriptor; take() is called when
    the application begins to use it."""
    opened = ClientSocket(fileno=fd)
    opened.take = take
    opened.settimeout(TIMEOUT_SECONDS)
    return opened

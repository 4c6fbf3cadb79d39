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
    that it says there. What its client sent right behind the request was read with it, and is what
    it hears first here."""

    take: Callable[[], None]
    said = b""
    ahead = b""

    def hear(self, count: int, peek: bool) -> bytes:
        """Of what is ahead."""
        heard = self.ahead[:count]
        if not peek:
            self.ahead = self.ahead[count:]
        return heard

    @property
    def status(self) -> str:
        """The status that it told its client; empty where it spoke no HTTP."""
        line = self.said.partition(b"\r\n")[0].decode("latin-1")
        version, _, status = line.partition(" ")
        return status if version.startswith("HTTP/") else ""


def _hear(self: ClientSocket, peek: bool, size: int, *_: Any, **__: Any) -> bytes:
    return self.hear(size, peek)


def _hear_into(
    self: ClientSocket, peek: bool, buffer: Any, nbytes: int = 0, *_: Any, **__: Any
) -> int:
    into = memoryview(buffer).cast("B")
    heard = self.hear(nbytes or len(into), peek)
    into[: len(heard)] = heard
    return len(heard)


def _hear_parts(
    self: ClientSocket, peek: bool, buffers: Any, *_: Any, **__: Any
) -> tuple[int, list[Any], int, None]:
    parts = [memoryview(buffer).cast("B") for buffer in buffers]
    heard = self.hear(sum(map(len, parts)), peek)
    at = 0
    for part in parts:
        piece = heard[at : at + len(part)]
        part[: len(piece)] = piece
        at += len(piece)
    return len(heard), [], 0, None


# What each reading method makes of it; a stream has no address.
HEARS: dict[str, Callable[..., Any]] = {
    "recv": _hear,
    "recv_into": _hear_into,
    "recvfrom": lambda *args, **kwargs: (_hear(*args, **kwargs), None),
    "recvfrom_into": lambda *args, **kwargs: (_hear_into(*args, **kwargs), None),
    "recvmsg": lambda *args, **kwargs: (_hear(*args, **kwargs), [], 0, None),
    "recvmsg_into": _hear_parts,
}


def _taking(name: str) -> Callable[..., Any]:
    plain = getattr(socket.socket, name)

    def method(self: ClientSocket, *args: Any, **kwargs: Any) -> Any:
        flags = args[READS[name]] if len(args) > READS.get(name, 99) else kwargs.get("flags", 0)
        peeks = name in READS and bool(flags & socket.MSG_PEEK)
        if not peeks:
            self.take()
        if name in READS and self.ahead:
            return HEARS[name](self, peeks, *args, **kwargs)
        if name in SPEAKS and not self.said and args:
            data = b"".join(args[0]) if name == "sendmsg" else args[0]
            self.said = bytes(memoryview(data).cast("B")[:STATUS_BYTES_MAX])
        return plain(self, *args, **kwargs)

    return method


for _name in (*SPEAKS, *READS, *TAKES):
    setattr(ClientSocket, _name, _taking(_name))


def open_socket(fd: int, take: Callable[[], None], ahead: bytes) -> socket.socket:
    """A socket object that owns `fd`, a duplicate of the engine's descriptor; take() is called when
    the application begins to use it. `ahead` was read from it already."""
    opened = ClientSocket(fileno=fd)
    opened.take = take
    opened.ahead = ahead
    opened.settimeout(TIMEOUT_SECONDS)
    return opened

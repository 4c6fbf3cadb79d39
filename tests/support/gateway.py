"""What a proxy says by PROXY protocol and uwsgi, byte by byte, and the servers that hear it."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

import pytest

from harness import Server

KINDS = {
    "sync": ("gateway_app:wsgi",),
    "gthread": ("-k", "gthread", "--threads", "4", "gateway_app:wsgi"),
    "gevent": ("-k", "gevent", "gateway_app:wsgi"),
    "asgi": ("-k", "asgi", "gateway_app:asgi"),
}
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


@contextlib.contextmanager
def served(kind: str, temporary: pytest.TempPathFactory, *options: str) -> Iterator[Server]:
    """One server of a kind of KINDS, with an access log."""
    *own, app = KINDS[kind]
    directory = temporary.mktemp(kind)
    more = (*own, *options, "--access-logfile", "-")
    with Server(app, *more, directory=directory) as server:
        yield server


def tlv(kind: int, value: bytes) -> bytes:
    """One vector of version 2."""
    return struct.pack(">BH", kind, len(value)) + value


def v2(*vectors: bytes, command: int = 0x21, family: int = 0x11) -> bytes:
    """A header of version 2: 192.0.2.1:4711 to 198.51.100.2:443, or their likes in IPv6."""
    six = family == 0x21
    hosts = ("2001:db8::1", "2001:db8::2") if six else ("192.0.2.1", "198.51.100.2")
    kind = socket.AF_INET6 if six else socket.AF_INET
    block = b"".join(socket.inet_pton(kind, host) for host in hosts)
    payload = block + struct.pack(">HH", 4711, 443) + b"".join(vectors)
    return SIGNATURE + struct.pack(">BBH", command, family, len(payload)) + payload


def packet(*more: tuple[str, str], body: bytes = b"", **variables: str) -> bytes:
    """A request by uwsgi; further pairs may repeat a name."""
    pairs = [*variables.items(), *more]
    if body:
        pairs.append(("CONTENT_LENGTH", str(len(body))))
    texts = [text.encode("latin-1") for pair in pairs for text in pair]
    block = b"".join(struct.pack("<H", len(text)) + text for text in texts)
    return struct.pack("<BHB", 0, len(block), 0) + block + body

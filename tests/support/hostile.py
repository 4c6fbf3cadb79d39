"""Hostile clients, a function a kind, and a program that lets them loose on a server until its
standard input ends:

    python tests/support/hostile.py 127.0.0.1:8000 malformed half_heads ...

Each function is called over and over by threads of its own, and returns how many connections it
has made. A server that closes, resets or refuses is what is expected. hostile_app.py has the paths.
"""

from __future__ import annotations

import base64
import contextlib
import os
import random
import socket
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

from patience import pace

Address = tuple[str, int]
HOST = b"Host: hostile\r\n"
AT_ONCE = 20  # connections that one kind holds open
HELD_S = 1.5  # for how long, where it is the time that hurts
THREADS = 2  # a kind
PAUSE_S = 0.02  # between bytes of a trickle
IO_S_MAX = 5.0
TROUBLE = (OSError, TimeoutError)

KINDS: dict[str, Callable[[Address], int]] = {}
NO_SOCKETS: set[str] = set()  # the kinds that need no WebSockets


def kind(function: Callable[[Address], int]) -> Callable[[Address], int]:
    KINDS[function.__name__] = function
    if not function.__name__.startswith("socket_"):
        NO_SOCKETS.add(function.__name__)
    return function


@contextlib.contextmanager
def connected(address: Address, data: bytes = b"") -> Iterator[socket.socket]:
    """One connection on which `data` has been sent."""
    with socket.create_connection(address, IO_S_MAX) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(data)
        yield sock


@contextlib.contextmanager
def crowd(address: Address, data: bytes, count: int = AT_ONCE) -> Iterator[list[socket.socket]]:
    """So many that have all sent the same."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connected(address, data)) for _ in range(count)]


def drain(sock: socket.socket, bytes_max: int = 1 << 30) -> int:
    """Reads until the server closes, or enough; how much there was."""
    got = 0
    with contextlib.suppress(*TROUBLE):
        while got < bytes_max and (data := sock.recv(65536)):
            got += len(data)
    return got


def trickle(socks: list[socket.socket], piece: bytes, seconds: float = HELD_S) -> None:
    """Each sends a piece now and then."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sock in socks:
            with contextlib.suppress(*TROUBLE):
                sock.sendall(piece)
        pace(PAUSE_S, "who comes again and again")


def reset(sock: socket.socket) -> None:
    """Ends it with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


MALFORMED = (
    b"BAD\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\nx",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"9" * 99,
    b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 200 + b"\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    bytes.fromhex("16030100c8010000c40303") + bytes(200),
    b"GET / HTTP/1.1\r\n folded\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X\0: y\r\n\r\n",
)


@kind
def malformed(address: Address) -> int:
    for data in (*MALFORMED, random.randbytes(500)):
        with connected(address, data) as sock:
            sock.shutdown(socket.SHUT_WR)
            drain(sock)
    return len(MALFORMED) + 1


@kind
def malformed_and_gone(address: Address) -> int:
    for data in MALFORMED:
        with connected(address, data):
            pass
    return len(MALFORMED)


def held(address: Address, head: bytes) -> int:
    """A crowd that says this much and waits."""
    with crowd(address, head):
        pace(HELD_S, "who holds what it has")
    return AT_ONCE


@kind
def silent(address: Address) -> int:
    return held(address, b"")


@kind
def half_heads(address: Address) -> int:
    with crowd(address, b"GET / HTTP/1.1\r\nX-Slow: ") as socks:
        trickle(socks, b"a")
    return AT_ONCE


@kind
def announced_bodies(address: Address) -> int:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
    return held(address, head)


@kind
def awaited_bodies(address: Address) -> int:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    return held(address, head)


@kind
def trickled_bodies(address: Address) -> int:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
    with crowd(address, head) as socks:
        trickle(socks, b"a")
    return AT_ONCE


@kind
def trickled_chunks(address: Address) -> int:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    with crowd(address, head) as socks:
        trickle(socks, b"1\r\na\r\n")
    return AT_ONCE


@kind
def unfinished_uploads(address: Address) -> int:
    """More than memory takes, and never the end."""
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Length: 900000\r\n\r\n"
    with crowd(address, head + b"x" * 300_000, AT_ONCE // 4):
        pace(HELD_S, "who holds what it has")
    return AT_ONCE // 4


@kind
def unread_answers(address: Address) -> int:
    with crowd(address, b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n", AT_ONCE // 4):
        pace(HELD_S, "who holds what it has")
    return AT_ONCE // 4


@kind
def resets(address: Address) -> int:
    """With a request whole, half, amid its answer, and with nothing said at all."""
    ask = b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n"
    for data in (b"", ask[:20], ask, ask):
        with connected(address, data) as sock:
            if data is ask and random.random() < 0.5:
                drain(sock, 1)
            reset(sock)
    return 4


@kind
def pipelined(address: Address) -> int:
    """A thousand requests at once, of which the client reads a part."""
    ask = b"GET /hello?1 HTTP/1.1\r\n" + HOST + b"\r\n"
    with connected(address, b"") as sock:
        with contextlib.suppress(*TROUBLE):
            sock.settimeout(HELD_S)
            sock.sendall(ask * 1000)
        drain(sock, random.choice([1, 50_000]))
    return 1


@kind
def late_threads(address: Address) -> int:
    """Applications that use what they were given when its request is over."""
    with connected(address, b"GET /late HTTP/1.1\r\n" + HOST + b"\r\n") as sock:
        drain(sock, 1)
        sock.sendall(b"GET /hello?1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        drain(sock)
    pace(PAUSE_S, "who comes again and again")
    return 1


# ---- WebSockets

OPENING = (
    b"GET /socket HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
FIN, DEFLATED = 0x80, 0x40


def frame(first: int, payload: bytes) -> bytes:
    """Masked with zeros, which leaves the payload as it is."""
    length = len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 65536:
        head = bytes([first, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-12)
    return (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMB = deflated(bytes(64 << 20))
BROKEN_FRAMES = (
    b"\x81\x05hello", b"\xf1\x80\0\0\0\0", frame(FIN | 3, b""), frame(PING, b"no fin"),
    frame(FIN | PING, b"x" * 126), frame(FIN | TEXT, b"\xff\xff"), frame(0x80, b"no start"),
    frame(FIN | CLOSE, b"\x03"), frame(FIN | DEFLATED | TEXT, b"\xff" * 99),
    bytes([FIN | BINARY, 0xFF]) + b"\xff" * 8 + bytes(4),
)  # fmt: skip


@contextlib.contextmanager
def opened(address: Address, path: bytes = b"/socket") -> Iterator[socket.socket]:
    with connected(address, OPENING.replace(b"/socket", path)) as sock:
        got = b""
        while b"\r\n\r\n" not in got:
            data = sock.recv(4096)
            if not data:
                raise ConnectionError("no WebSocket")
            got += data
        yield sock


@kind
def socket_frames(address: Address) -> int:
    for data in BROKEN_FRAMES:
        with opened(address) as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            drain(sock)
    return len(BROKEN_FRAMES)


@kind
def socket_bombs(address: Address) -> int:
    """64 MiB of zeros in 64 KiB, whole and unfinished."""
    for first in (FIN | DEFLATED | BINARY, DEFLATED | BINARY):
        with opened(address) as sock:
            sock.sendall(frame(first, BOMB))
            sock.settimeout(HELD_S)
            drain(sock, 1)
    return 2


@kind
def socket_unread_echoes(address: Address) -> int:
    with opened(address) as sock:
        sock.settimeout(HELD_S)
        with contextlib.suppress(*TROUBLE):
            for _ in range(200):
                sock.sendall(frame(FIN | BINARY, b"x" * 60_000))
    return 1


@kind
def socket_pings(address: Address) -> int:
    with opened(address) as sock:
        with contextlib.suppress(*TROUBLE):
            sock.sendall(frame(FIN | PING, b"ping") * 20_000)
        reset(sock)
    return 1


@kind
def socket_fragments(address: Address) -> int:
    with opened(address) as sock:
        with contextlib.suppress(*TROUBLE):
            sock.sendall(frame(TEXT, b"") + frame(0, b"a") * 20_000)
        drain(sock, 1)
    return 1


# ---- the program


def run(address: Address, name: str, stop: threading.Event, made: Counter[str]) -> None:
    while not stop.is_set():
        try:
            made[name] += KINDS[name](address)
        except TROUBLE:
            made["refused"] += 1
            pace(PAUSE_S, "who comes again and again")


def main() -> None:
    host, _, port = sys.argv[1].rpartition(":")
    stop, made = threading.Event(), Counter[str]()
    threads = [
        threading.Thread(target=run, args=((host, int(port)), name, stop, made))
        for name in sys.argv[2:] or NO_SOCKETS
        for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    while os.read(0, 1):
        pass
    stop.set()
    for thread in threads:
        thread.join()
    print(dict(made))


if __name__ == "__main__":
    main()

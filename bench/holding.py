"""What one client can make a worker hold, by the phase that its connection is in: makes so many of
them, and divides by their number what the worker has more then. `make measure-holding` prints the
table of docs/security.md. Memory is the worker's own, private pages; the kernel's buffers come on
top.

    python bench/holding.py [number of clients [word of the phases' names]]
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import hostile
from harness import Server, raise_file_limit, wait_for

COUNT = int(sys.argv[1]) if sys.argv[1:] else 300
WORD = sys.argv[2] if sys.argv[2:] else ""
SYNC = ("hostile_app:app", "--worker-connections", "5000")
GTHREAD = (*SYNC, "--threads", str(COUNT + 8))
GEVENT = (*SYNC, "-k", "gevent")
ASGI = ("hostile_app:asgi_app", "-k", "asgi", "--worker-connections", "5000")
SETTLE_S = 0.5
SETTLED_KIB = 64
PATIENCE_S = 60.0


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def post(length: int, body: bytes = b"") -> bytes:
    return f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode() + body


@dataclass
class Phase:
    """What each client sends, to what worker."""

    name: str
    server: tuple[str, ...]
    sends: bytes
    reads: bytes = b""  # waits until the answer ends so
    then: bytes = b""  # sent behind it
    busy: bytes = b""  # what one more client then keeps the only slot busy with


HELLO = get("/hello?x")
OPEN = hostile.OPENING
HALF_MESSAGE = bytes([hostile.BINARY | hostile.FIN, 0xFF]) + (1 << 20).to_bytes(8, "big") + bytes(4)
PHASES = [
    Phase("connected, silent", SYNC, b""),
    Phase("half a head, 100 bytes", SYNC, HELLO[:-2] + b"X: " + b"a" * 60),
    Phase("half a head, 60 KiB", SYNC, HELLO[:-2] + (b"X: " + b"a" * 4090 + b"\r\n") * 15),
    Phase("whole head, no body yet", SYNC, post(1_000_000)),
    Phase("60 KiB of a body", SYNC, post(1_000_000, b"x" * 60_000)),
    Phase("1 MiB of a body, in a file", SYNC, post(2_000_000, b"x" * 1_048_576)),
    Phase("body that streams, unread (asgi)", ASGI, post(9_000_000, b"x" * 1_048_576).replace(
        b"/echo", b"/wait")),
    Phase("waits for a slot, new connection", SYNC, b"", b"", HELLO, get("/wait")),
    Phase("waits for a slot, kept connection", SYNC, HELLO, b"\r\n\r\nx", HELLO, get("/wait")),
    Phase("runs, a thread (gthread)", GTHREAD, get("/wait")),
    Phase("runs, a greenlet (gevent)", GEVENT, get("/wait")),
    Phase("runs, a task (asgi)", ASGI, get("/wait")),
    Phase("runs, 60 KiB pipelined behind (asgi)", ASGI, get("/wait") + HELLO * 1500),
    Phase("8 MiB of an answer unread", SYNC, get("/big")),
    Phase("8 MiB of an answer unread (asgi)", ASGI, get("/big")),
    Phase("idle between requests", SYNC, HELLO, b"\r\n\r\nx"),
    Phase("idle between requests (asgi)", ASGI, HELLO, b"\r\n\r\nx"),
    Phase("refused, lingers", SYNC, b"BAD\r\n\r\n"),
    Phase("WebSocket, idle", ASGI, OPEN, b"\r\n\r\n"),
    Phase("WebSocket, half a message of 1 MiB", ASGI, OPEN, b"\r\n\r\n",
          HALF_MESSAGE + b"x" * 524_288),
    Phase("WebSocket, compressed before, idle", ASGI, OPEN, b"\r\n\r\n", hostile.frame(
        hostile.FIN | hostile.DEFLATED | hostile.BINARY, hostile.deflated(b"x" * 200))),
    Phase("WebSocket, 15 MiB inflated, unfinished", ASGI, OPEN, b"\r\n\r\n", hostile.frame(
        hostile.DEFLATED | hostile.BINARY, hostile.deflated(bytes(15 << 20)))),
]  # fmt: skip


@dataclass
class Held:
    """What a worker has."""

    kib: float
    descriptors: int
    disk_kib: float


def held_by(pid: int) -> Held:
    private = disk = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_"):
            private += int(line.split()[1])
    names = os.listdir(f"/proc/{pid}/fd")
    for name in names:
        path = f"/proc/{pid}/fd/{name}"
        with contextlib.suppress(OSError):
            if "(deleted)" in os.readlink(path) and "memfd" not in os.readlink(path):
                disk += os.stat(path).st_blocks / 2
    return Held(private, len(names), disk)


def settled(pid: int) -> Held:
    """Once it does not change any more."""
    before = held_by(pid)

    def still() -> Held | None:
        nonlocal before
        time.sleep(SETTLE_S)
        now = held_by(pid)
        same = abs(now.kib - before.kib) < SETTLED_KIB and now.disk_kib == before.disk_kib
        before = now
        return now if same else None

    return wait_for(still, "the worker's memory to settle", PATIENCE_S)


def read_until(sock: socket.socket, end: bytes) -> None:
    got = b""
    while not got.endswith(end):
        data = sock.recv(65536)
        assert data, got
        got += data


def push(sock: socket.socket, data: bytes) -> None:
    """As much as the server takes within a moment."""
    sock.settimeout(2.0)
    with contextlib.suppress(TimeoutError, BlockingIOError):
        sock.sendall(data)


@contextlib.contextmanager
def clients(server: Server, phase: Phase) -> Iterator[int]:
    """COUNT connections that are in the phase; how many there are."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(hostile.connected(server.address)) for _ in range(COUNT)]
        for sock in socks:
            push(sock, phase.sends)
        for sock in socks if phase.reads else []:
            read_until(sock, phase.reads)
        if phase.busy:
            stack.enter_context(hostile.connected(server.address, phase.busy))
            time.sleep(SETTLE_S)
        for sock in socks:
            push(sock, phase.then)
        yield len(socks)


def measure(phase: Phase) -> tuple[float, float, float]:
    """KiB, descriptors, and KiB on disk, of one client."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(*phase.server, directory=Path(directory)).start()
        try:
            (pid,) = server.worker_pids()
            with hostile.connected(server.address, HELLO) as first:
                read_until(first, b"\r\n\r\nx")
            before = settled(pid)
            with clients(server, phase) as count:
                after = settled(pid)
            return (
                (after.kib - before.kib) / count,
                (after.descriptors - before.descriptors) / count,
                (after.disk_kib - before.disk_kib) / count,
            )
        finally:
            server.kill()


def main() -> None:
    raise_file_limit()
    print("| the client's connection | KiB | descriptors | KiB in files |\n|---|---:|---:|---:|")
    for phase in (each for each in PHASES if WORD in each.name):
        kib, descriptors, disk_kib = measure(phase)
        print(f"| {phase.name} | {kib:.1f} | {descriptors:.1f} | {disk_kib:.0f} |", flush=True)


if __name__ == "__main__":
    main()

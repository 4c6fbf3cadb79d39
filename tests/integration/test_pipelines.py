"""What a client pipelines, by the megabyte, on a stack of 256 KiB: no crash, and others are served
meanwhile. The client reads as fast as it can, or the kernel would slow it down."""

from __future__ import annotations

import base64
import select
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Client, connect, fetch
from harness import IS_GUNICORN, Server

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="its own probes, its own WebSockets")

STACK_KIB = 256
MIB = 1 << 20
PROBE = b"GET /ready HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\n\r\n"
GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok"
BAD = b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n"
ANSWER = b"HTTP/1.1 200 OK"
OPENING = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n" % base64.b64encode(bytes(16))
)
PING = b"\x89\x81\0\0\0\0x"
MESSAGE = b"\x81\x81\0\0\0\0x"
CLASSES = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gevent": ("-k", "gevent"),
    "asgi": ("-k", "asgi"),
}


def start(kind: str, directory: Path, *args: str) -> Server:
    app = "asgi_sockets:app" if kind == "asgi" else "probe:app"
    options = [*CLASSES[kind], "--readiness-path", "/ready", "--keep-alive", "60", *args]
    server = Server(app, *options, directory=directory)
    small = f'ulimit -s {STACK_KIB}; exec "$@"'
    server.command = ["sh", "-c", small, "sh", *server.command]
    return server


@pytest.fixture(scope="module", params=CLASSES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    kind = str(request.param)
    with start(kind, tmp_path_factory.mktemp(kind)) as server:
        yield server


class Flood:
    """One connection that sends and reads at once. `answers` counts `word` in what comes."""

    def __init__(self, server: Server, word: bytes, opening: bytes = b"") -> None:
        self.server = server
        self.word = word
        self.answers = 0
        self.others = 0  # other clients that were served meanwhile
        self.ended = False
        self.tail = b""
        self.sock = connect(server.address)
        if opening:
            self.sock.sendall(opening)
            assert self.sock.recv(4096).startswith(b"HTTP/1.1 101")
        self.sock.setblocking(False)

    def run(self, stream: bytes, wanted: int) -> None:
        """Until so many answers have come, or the server has ended the connection."""
        rest = memoryview(stream)
        with self.sock:
            while self.answers < wanted and not self.ended:
                readable, writable, _ = select.select(
                    [self.sock], [self.sock] if rest else [], [], 30.0
                )
                assert readable or writable, f"nothing after {self.answers} answers"
                try:
                    if writable:
                        rest = rest[self.sock.send(rest[:MIB]) :]
                    if readable:
                        self._read()
                except (ConnectionResetError, BrokenPipeError):
                    self.ended = True
                # Whoever asks in the middle of it has an answer before it is over.
                if self.others == 0 and 0 < self.answers < wanted:
                    assert fetch(self.server.address, "/ready").status == 200
                    self.others += 1

    def _read(self) -> None:
        piece = self.sock.recv(4 * MIB)
        self.ended = not piece
        text = self.tail + piece
        self.answers += text.count(self.word)
        last = text.rfind(self.word)
        self.tail = text[-len(self.word) + 1 :] if last < 0 else text[last + len(self.word) :]


def worker(server: Server) -> int:
    (pid,) = server.worker_pids()
    return pid


@pytest.mark.parametrize(
    ("what", "mib"), [(PROBE, 12), (GET, 1), (POST, 1)], ids=["probes", "gets", "posts"]
)
def test_a_pipeline_ends_no_worker_and_keeps_nobody_waiting(
    server: Server, what: bytes, mib: int
) -> None:
    before = worker(server)
    flood = Flood(server, ANSWER)
    count = mib * MIB // len(what)
    flood.run(what * count, count)
    assert (flood.answers, flood.others) == (count, 1)
    assert worker(server) == before


def test_a_refusal_behind_a_pipeline(server: Server) -> None:
    before = worker(server)
    flood = Flood(server, b"HTTP/1.1 ")
    count = 4 * MIB // len(PROBE)
    flood.run(PROBE * count + BAD + GET * 3_000, count + 2)
    assert flood.ended
    assert (flood.answers, flood.others) == (count + 1, 1)
    assert worker(server) == before


@pytest.mark.parametrize(
    ("frame", "answer", "mib"),
    [(PING, b"\x8a\x01x", 12), (MESSAGE, b"\x81\x01x", 1)],
    ids=["pings", "messages"],
)
def test_frames_of_a_websocket(tmp_path: Path, frame: bytes, answer: bytes, mib: int) -> None:
    with start("asgi", tmp_path) as server:
        before = worker(server)
        flood = Flood(server, answer, OPENING)
        count = mib * MIB // len(frame)
        flood.run(frame * count, count)
        assert (flood.answers, flood.others) == (count, 1)
        assert worker(server) == before


def test_a_drain_amid_a_pipeline(tmp_path: Path) -> None:
    """The answer that is due closes the connection: the stop waits for nothing behind it."""
    with start("sync", tmp_path) as server, Client(server.address) as client:
        client.send(PROBE * 2_000)
        server.signal(signal.SIGTERM)
        got = b""
        while piece := client.sock.recv(MIB):
            got += piece
        assert got.count(b"HTTP/1.1 ") == got.count(b"Connection: ") >= 1
        assert server.wait() == 0

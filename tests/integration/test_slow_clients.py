"""One sync worker in a crowd: slow, silent and greedy clients cost a healthy one nothing.

Every healthy request opens a connection of its own and must be answered within a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from client import Client, Gone, connect, fetch, request
from conftest import StartServer
from harness import Server, rss_mib, wait_for

CROWD = 1000
STALLED = 20
HEALTHY_S = 1.5
HEALTHY_S_MAX = 1.0
ANSWER_MB = 20
SLOW = pytest.mark.beyond("a slow client holds the sync worker")

HEAD = request("/hello", headers={"X-Padding": "x" * 100})
BODY = request("/digest", "POST", body=b"b" * 150)


def assert_healthy(server: Server, duration_s: float = HEALTHY_S) -> None:
    """For a while, requests that must not notice the crowd."""
    worst, count, began = 0.0, 0, time.monotonic()
    while time.monotonic() - began < duration_s or count < 3:
        started = time.monotonic()
        count += 1
        with Client(server.address, timeout_s=5) as client:
            assert client.ask("/hello", headers={"Connection": "close"}).body == b"hello"
        worst = max(worst, time.monotonic() - started)
    assert worst < HEALTHY_S_MAX, f"{worst:.2f} s"


class Tricklers:
    """Clients that send `data` one byte a round, from one thread."""

    def __init__(self, server: Server, count: int, data: bytes) -> None:
        self._data = data
        self._sent = 0
        self._stop = threading.Event()
        self.socks = [connect(server.address, 30) for _ in range(count)]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._sent < len(self._data) - 1 and not self._stop.wait(0.02):
            for sock in self.socks:
                sock.sendall(self._data[self._sent : self._sent + 1])
            self._sent += 1

    def finish(self) -> list[bytes]:
        """Lets everyone send the rest, and returns the status lines in return."""
        self._stop.set()
        self._thread.join()
        assert self._sent < len(self._data), "not slow enough"
        for sock in self.socks:
            sock.sendall(self._data[self._sent :])
        return [sock.recv(65536).split(b"\r\n")[0] for sock in self.socks]

    def close(self) -> None:
        """Everyone leaves."""
        self._stop.set()
        self._thread.join()
        for sock in self.socks:
            sock.close()


@contextlib.contextmanager
def trickling(server: Server, count: int, data: bytes) -> Iterator[Tricklers]:
    """The crowd, for as long as the block lasts."""
    crowd = Tricklers(server, count, data)
    try:
        yield crowd
    finally:
        crowd.close()


@SLOW
@pytest.mark.parametrize("data", [HEAD, BODY], ids=["head", "body"])
def test_a_thousand_tricklers(serve: StartServer, data: bytes) -> None:
    server = serve(sync=True)
    with trickling(server, CROWD, data) as crowd:
        assert_healthy(server)
        assert set(crowd.finish()) == {b"HTTP/1.1 200 OK"}
    assert_healthy(server, 0)


@SLOW
def test_a_thousand_idle_connections(serve: StartServer) -> None:
    server = serve(sync=True)
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            stack.enter_context(connect(server.address))
        assert_healthy(server)


@SLOW
def test_idle_after_an_answer(serve: StartServer) -> None:
    """Kept-alive connections wait without holding anything either."""
    server = serve("probe:app", "--keep-alive", "30", sync=True)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(300)]
        for client in clients:
            assert client.ask("/hello").get("Connection") == "keep-alive"
        assert_healthy(server)
        for client in clients[::10]:
            assert client.ask("/hello").body == b"hello"


def stalled_reader(server: Server) -> Client:
    """Has asked for a large answer, read its head, and reads no more."""
    client = Client(server.address, timeout_s=10)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    client.send(request(f"/big?mb={ANSWER_MB}", headers={"Connection": "close"}))
    assert client.head().status == 200
    return client


@SLOW
def test_readers_that_stop_reading(serve: StartServer) -> None:
    server = serve(sync=True)
    (worker,) = server.worker_pids()
    assert_healthy(server, 0)
    before = rss_mib(worker)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(stalled_reader(server)) for _ in range(STALLED)]
        assert_healthy(server)
        assert rss_mib(worker) - before < 100, "what waits for readers must not fill the memory"
        expected = hashlib.sha256(bytes(range(256)) * 256 * 16 * ANSWER_MB).digest()
        for reader in readers[:5]:  # whoever goes on reading gets everything
            assert hashlib.sha256(reader.rest()).digest() == expected
        assert_healthy(server, 0)


@SLOW
def test_everybody_at_once(serve: StartServer) -> None:
    server = serve(sync=True)
    with contextlib.ExitStack() as stack:
        heads = stack.enter_context(trickling(server, CROWD // 2, HEAD))
        bodies = stack.enter_context(trickling(server, CROWD // 2, BODY))
        for _ in range(CROWD):
            stack.enter_context(connect(server.address))
        for _ in range(STALLED):
            stack.enter_context(stalled_reader(server))
        assert_healthy(server)
        assert set(heads.finish() + bodies.finish()) == {b"HTTP/1.1 200 OK"}


def test_clients_that_come_and_go(serve: StartServer) -> None:
    """Connections that are reset at any moment leave nothing behind."""
    server = serve(sync=True)
    for index in range(300):
        sock = connect(server.address)
        sock.sendall(BODY[: index % len(BODY)])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    with contextlib.suppress(Gone):
        assert fetch(server.address, "/hello").body == b"hello"
    assert_healthy(server, 0)
    assert "Traceback" not in server.log()


@pytest.mark.memory
@pytest.mark.parametrize("arguments", [(), ("--threads", "16"), ("-k", "gevent")])
@pytest.mark.beyond("memory of a burst stays", strict=False)
def test_the_memory_of_a_burst_is_given_back(
    serve: StartServer, arguments: tuple[str, ...]
) -> None:
    """Whatever thread has read: bodies that never became whole leave nothing behind."""
    server = serve("probe:app", *arguments)
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        client.ask("/hello")
    before = rss_mib(worker)
    almost = request("/digest", "POST", body=b"b" * 60_000)[:-1]
    with contextlib.ExitStack() as stack:
        for _ in range(500):
            stack.enter_context(connect(server.address)).sendall(almost)
        wait_for(lambda: rss_mib(worker) - before > 25, "the bodies")
    wait_for(lambda: rss_mib(worker) - before < 8, "the memory")

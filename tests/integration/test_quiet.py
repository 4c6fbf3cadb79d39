"""What clients, or the application, do wrong costs what it takes to say so, and no more: no class
of worker goes on using its core, or keeps others waiting until the main thread's next beat."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import invariants
from client import Client, fetch
from harness import IS_GUNICORN, Server

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

WINDOW_S = 0.3
KINDS: dict[str, list[str]] = {
    "sync": [],
    "gthread": ["--threads", "4"],
    "gevent": ["-k", "gevent"],
    "asgi": ["-k", "asgi"],
}
# Each leaves something in the engine's journal, or a level that somebody has to clear.
WRONG = {
    "malformed": b"BAD\r\n\r\n",
    "too large": b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "short answer": b"GET /short HTTP/1.1\r\nHost: a\r\n\r\n",
    "cut short": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
}
APP = """
def app(environ, start_response):
    length = "9" if environ["PATH_INFO"] == "/short" else "2"
    start_response("200 OK", [("Content-Length", length)])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    length = b"9" if scope["path"] == "/short" else b"2"
    head = {"type": "http.response.start", "status": 200}
    await send({**head, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    (folder / "wrong.py").write_text(APP)
    app = "wrong:asgi" if request.param == "asgi" else "wrong:app"
    with Server(app, *KINDS[request.param], directory=folder, cwd=folder) as running:
        yield running


@pytest.mark.parametrize("wrong", WRONG)
def test_what_goes_wrong_burns_no_core(server: Server, wrong: str) -> None:
    for _ in range(3):
        with socket.create_connection(server.address) as client:
            client.sendall(WRONG[wrong])
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            while client.recv(65536):
                pass
    invariants.check_rest(server.pid, WINDOW_S, 0)  # at once: a beat later it may be over
    assert fetch(server.address, "/").body == b"ok"


def test_signals_of_no_concern_burn_no_core(server: Server) -> None:
    (worker,) = server.worker_pids()
    with Client(server.address) as client:
        for number in (signal.SIGWINCH, signal.SIGUSR1, signal.SIGCHLD):
            os.kill(worker, number)
            assert client.ask("/").body == b"ok"
    invariants.check_rest(server.pid, WINDOW_S, 0)

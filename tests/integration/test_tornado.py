"""The tornado worker: tornado's own server, supervised by us."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import monoceros
from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, STUCK, Server, wait_for
from load import Load

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own tornado worker")

TORNADO = ("-k", "tornado")


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("native")
    with Server("tornado_app:app", *TORNADO, directory=directory) as server:
        yield server


@pytest.fixture(scope="module")
def wsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("wsgi")
    with Server("probe:app", *TORNADO, directory=directory) as server:
        yield server


def test_native_application(native: Server) -> None:
    with Client(native.address) as client:
        for _ in range(2):
            answer = client.ask("/")
            assert (answer.status, answer.body) == (200, b"hello from tornado")
        assert (answer.get("Server") or "").endswith(f"({monoceros.SERVER_SOFTWARE})")
        client.send(request("/stream"))
        assert client.response().chunks == [b"line %d\n" % index for index in range(5)]
    assert fetch(native.address, "/boom").status == 500
    native.wait_log("RuntimeError: boom in tornado")


def test_native_requests_run_side_by_side(native: Server) -> None:
    clients = [Client(native.address, timeout_s=60) for _ in range(10)]
    for client in clients:
        client.send(request("/meet?n=10"))
    for client in clients:
        assert client.response().body == b"met"
        client.sock.close()


def test_native_websocket(native: Server) -> None:
    async def talk() -> str:
        import websockets

        async with websockets.connect(f"ws{native.url[4:]}/ws") as socket:
            await socket.send("one")
            return str(await socket.recv())

    assert asyncio.run(talk()) == "echo one"


def test_wsgi_application(wsgi: Server) -> None:
    with Client(wsgi.address) as client:
        assert client.ask("/hello").body == b"hello"
        assert client.ask("/echo", "POST", body=b"abc").body == b"abc"
    assert fetch(wsgi.address, "/raise?kind=RuntimeError&token=t1").status == 500
    wsgi.wait_log("raised on purpose t1")


def test_wsgi_framework(serve: StartServer) -> None:
    server = serve("flask_app:app", *TORNADO)
    assert fetch(server.address, "/").body == b"hello from flask"


def test_unix_listener_and_tcp(serve: StartServer, tmp_path: Path) -> None:
    import socket

    path = tmp_path / "sock"
    serve("tornado_app:app", *TORNADO, binds=[f"unix:{path}"])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: sock.recv(65536), b"")).endswith(b"hello from tornado")


def test_no_keep_alive(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO, "--keep-alive", "0")
    with Client(server.address) as client:
        assert client.ask("/").body == b"hello from tornado"
        assert client.closed()


def test_term_finishes_what_is_in_flight(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO)
    with Client(server.address) as busy, Client(server.address) as idle:
        assert idle.ask("/").body == b"hello from tornado"
        busy.send(request("/sleep?s=0.8"))
        wait_for((server.directory / "sleeping").exists, "the application")
        server.signal(signal.SIGTERM)
        assert idle.closed()
        assert busy.response().body == b"slept"
        assert busy.closed()
    assert server.wait() == 0


def test_graceful_timeout(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO, "--graceful-timeout", "1")
    with Client(server.address) as busy:
        busy.send(request("/sleep?s=30"))
        wait_for((server.directory / "sleeping").exists, "the application")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began > 0.7  # it leaves a quarter before the kill


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop(serve: StartServer, signum: int) -> None:
    server = serve("tornado_app:app", *TORNADO)
    with Client(server.address) as busy:
        busy.send(request("/sleep?s=30"))
        wait_for((server.directory / "sleeping").exists, "the application")
        assert server.stop(signum) == 0  # in STOP_S_MAX, and the request takes longer
    assert "Traceback" not in server.log()


def test_load_over_a_reload(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO, workers=2)
    before = set(server.worker_pids())
    with Load(server.address, "/pid", count=4) as load:
        wait_for(lambda: load.count() > 50, "some requests")
        server.signal(signal.SIGHUP)
        wait_for(lambda: not before & set(server.worker_pids()), "other workers")
        enough = load.count() + 50
        wait_for(lambda: load.count() > enough, "more requests")
    assert not load.failures(), load.failures()[:3]


def test_max_requests(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO, "--max-requests", "30")
    with Load(server.address, "/pid", count=2) as load:
        wait_for(lambda: load.count() >= 100, "100 requests", 30)
    assert not load.failures(), load.failures()[:3]
    assert len(load.bodies()) >= 3
    server.wait_log("Autorestarting worker after current request.", 3)


def test_blocked_loop_is_noticed(serve: StartServer) -> None:
    server = serve("probe:app", *TORNADO, "--timeout", "2", expects=STUCK)
    (pid,) = server.worker_pids()
    with Client(server.address) as client:
        client.send(request("/spin"))
        server.wait_log(f"WORKER TIMEOUT (pid:{pid})", timeout_s=8)
        wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
    assert fetch(server.address, "/hello").body == b"hello"


def test_worker_that_dies_is_replaced(serve: StartServer) -> None:
    server = serve("tornado_app:app", *TORNADO)
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
    assert fetch(server.address, "/").body == b"hello from tornado"

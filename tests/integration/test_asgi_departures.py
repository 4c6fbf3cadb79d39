"""Clients that leave in the middle of what an ASGI application says: send() raises an OSError at
once (ASGI 2.4), and frameworks end what they were doing."""

from __future__ import annotations

import signal

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from client import Client, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from test_asgi import noted

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

APP = "asgi_departures:app"
STARLETTE = "asgi_departures:starlette"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["asgi", "uvicorn.workers.UvicornWorker"], ids=["asgi", "uvicorn"])
def options(request: pytest.FixtureRequest, loop: str) -> list[str]:
    """Nobody is cancelled while a test looks."""
    grace = ["--asgi-disconnect-grace-period", "60"]
    return ["-k", request.param, "--asgi-loop", loop, *grace, "--graceful-timeout", "2"]


def left(server: Server, target: str, headers: dict[str, str] | None = None) -> None:
    """A client is gone as soon as the application has noted that it is there."""
    with Client(server.address) as client:
        client.send(request(target, headers=headers or {}))
        noted(server, "present")


def raised(server: Server) -> list[str]:
    return noted(server, "raised").split()


def test_a_stream_to_nobody_ends(serve: StartServer, options: list[str]) -> None:
    server = serve(APP, *options)
    with Client(server.address) as client:
        client.send(request("/pour"))
        assert client.head().status == 200
        noted(server, "poured")
    assert "OSError" in raised(server)
    assert "Traceback" not in server.log()


def test_a_wait_for_a_slow_reader_ends(serve: StartServer, options: list[str]) -> None:
    server = serve(APP, *options)
    with Client(server.address) as client:
        client.send(request("/pour"))
        last = noted(server, "poured")

        def waits() -> bool:  # no more is taken
            nonlocal last
            before, last = last, noted(server, "poured")
            return before == last

        wait_for(waits, "the application to wait")
    assert "OSError" in raised(server)


@pytest.mark.parametrize("what", ["start", "more", "last", "hint"])
def test_each_message_after_the_departure(
    serve: StartServer, options: list[str], what: str
) -> None:
    server = serve(APP, *options)
    left(server, f"/once-left?what={what}")
    assert "OSError" in raised(server)
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("more", ["0", "1"])
def test_who_had_the_whole_answer_misses_nothing(
    serve: StartServer, options: list[str], more: str
) -> None:
    """An empty message behind the announced length, as Starlette's BaseHTTPMiddleware sends it."""
    server = serve(APP, *options, "--access-logfile", "-")
    with Client(server.address) as client:
        assert client.ask(f"/served?more={more}").body == b"whole"
    noted(server, "served")
    assert wait_for(server.access_lines, "a line")[0].count('" 200 5 ') == 1
    assert server.stop() == 0
    assert "[ERROR]" not in server.log()
    assert "answered 1 + refused 0 + aborted 0" in server.log()


def test_who_had_the_whole_answer_ends_no_work_behind_it(serve: StartServer) -> None:
    server = serve(APP, "-k", "asgi", "--asgi-disconnect-grace-period", "0")
    with Client(server.address) as client:
        assert client.ask("/served?more=0&s=0.5").body == b"whole"
    noted(server, "served")


def test_websocket_send_after_the_departure(serve: StartServer, options: list[str]) -> None:
    server = serve(APP, *options)
    left(server, "/socket", UPGRADE)
    assert "OSError" in raised(server)
    assert "Traceback" not in server.log()


def test_starlette_ends_its_stream_quietly(serve: StartServer, options: list[str]) -> None:
    server = serve(STARLETTE, *options)
    with Client(server.address) as client:
        client.send(request("/stream"))
        assert client.head().status == 200
    noted(server, "finally")
    assert server.stop() == 0
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("who", ["client", "worker"])
def test_an_echo_that_catches_nothing(serve: StartServer, options: list[str], who: str) -> None:
    """Each open socket would be a traceback at each deploy."""
    server = serve(STARLETTE, *options)
    with connect(f"ws://127.0.0.1:{server.port}/echo") as socket:
        socket.send("one")
        assert socket.recv() == "one"
        if who == "worker":
            server.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    if who == "client":
        server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert "Traceback" not in server.log()


def test_an_upload_that_ends_in_its_midst(serve: StartServer, options: list[str]) -> None:
    server = serve(STARLETTE, *options)
    with Client(server.address) as client:
        client.send(request("/upload", "POST", body=b"x" * 1000)[:-10])
        noted(server, "present")
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_starlette_ends_its_websocket(serve: StartServer, options: list[str]) -> None:
    server = serve(STARLETTE, *options)
    left(server, "/talk", UPGRADE)
    noted(server, "finally")
    assert server.stop() == 0
    assert "Traceback" not in server.log()


def test_a_fault_of_the_application_is_told_all_the_same(
    serve: StartServer, options: list[str]
) -> None:
    """Starlette answers 500 for it, which fails too: the client has gone."""
    server = serve(STARLETTE, *options)
    left(server, "/broken")
    server.wait_log("RuntimeError: broken on purpose")


def test_an_answer_to_nobody_is_no_fault(serve: StartServer, options: list[str]) -> None:
    server = serve(STARLETTE, *options, "--access-logfile", "-")
    left(server, "/late")
    wait_for(lambda: [line for line in server.access_lines() if "/late" in line], "a line")
    assert '"GET /late HTTP/1.1" 200 ' in server.output()
    assert "Traceback" not in server.log()

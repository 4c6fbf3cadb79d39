"""receive() and send() behave as the coroutine functions that ASGI applications take them for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest
import websockets

from client import Client, request
from harness import IS_GUNICORN, Server
from test_asgi import ASGI, BLOCK, forget, noted

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

GRACE = ("--asgi-disconnect-grace-period", "60")


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def waits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp(request.param)
    with Server("asgi_waits:app", *ASGI, request.param, *GRACE, directory=directory) as server:
        yield server
    log = server.log()
    assert log.count("Traceback") == log.count("RuntimeError: failed on purpose"), log


def post(server: Server, target: str, data: bytes = b"abc") -> bytes:
    with Client(server.address) as client:
        return client.ask(target, "POST", body=data).body


def test_what_can_be_answered_at_once_takes_no_future(waits: Server) -> None:
    assert post(waits, "/futures") == b"3 bytes, 0 futures"
    assert post(waits, "/futures", b"x" * 50_000) == b"50000 bytes, 0 futures"
    forget(waits, "waiting")
    with Client(waits.address) as client:
        client.send(request("/futures-for-waiting", "POST", {"Content-Length": "2"}))
        noted(waits, "waiting")
        client.send(b"ab")
        assert client.response().body == b"2 bytes, some: 1"


def test_they_become_tasks(waits: Server) -> None:
    assert post(waits, "/tasks") == b"abc!"


def test_other_threads_hand_them_to_the_loop(waits: Server) -> None:
    assert post(waits, "/threads") == b"abc!"
    with Client(waits.address) as client:
        client.send(request("/threads", "POST", {"Content-Length": "3"}) + b"a")
        client.trickle(b"bc", 0.1)
        assert client.response().body == b"abc!"


def test_each_request_is_a_task_with_a_context(waits: Server) -> None:
    for _ in range(3):
        assert post(waits, "/context") == b"['nothing', True, True, True, 'something', True]"


def test_what_nobody_awaits_does_nothing(waits: Server) -> None:
    assert post(waits, "/unawaited") == b"abc"


def test_each_is_good_for_one_await(waits: Server) -> None:
    assert b"already awaited" in post(waits, "/twice")


def test_a_watcher_beside_impatient_questions(waits: Server) -> None:
    """The one that waits longest is told of the departure, whatever others gave up."""
    forget(waits, "watcher", "asked")
    with Client(waits.address) as client:
        client.send(request("/watcher"))
        noted(waits, "asked")
    assert noted(waits, "watcher") == "http.disconnect"


@pytest.mark.parametrize("query", ["", "?fail"])
def test_who_still_waits_when_all_is_over_is_told(waits: Server, query: str) -> None:
    forget(waits, "watcher")
    with Client(waits.address) as client:
        client.send(request(f"/left-behind{query}"))
        assert client.response().status == (500 if query else 200)
    assert noted(waits, "watcher") == "http.disconnect"


def test_two_writers_wait_for_one_reader(waits: Server) -> None:
    forget(waits, "first", "second")
    with Client(waits.address, timeout_s=60) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(request("/two-writers", headers={"Connection": "close"}))
        assert len(client.response().body) == 256 * len(BLOCK)
    noted(waits, "first")
    noted(waits, "second")


def test_a_message_after_a_timeout_is_not_lost(waits: Server) -> None:
    forget(waits, "code")

    async def talk() -> None:
        async with websockets.connect(f"ws{waits.url[4:]}/socket") as sock:
            for number in range(3):
                assert await sock.recv() == "nothing yet"
                await sock.send(str(number))
                while (answer := await sock.recv()) == "nothing yet":
                    pass
                assert answer == f"echo {number}"

    asyncio.run(asyncio.wait_for(talk(), 30))
    assert noted(waits, "code") == "1000"


def test_a_socket_left_behind(waits: Server) -> None:
    forget(waits, "watcher")

    async def talk() -> None:
        async with websockets.connect(f"ws{waits.url[4:]}/socket-left-behind") as sock:
            await sock.wait_closed()

    asyncio.run(asyncio.wait_for(talk(), 30))
    assert noted(waits, "watcher") == "websocket.disconnect"

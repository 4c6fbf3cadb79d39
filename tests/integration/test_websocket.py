"""WebSockets through a real asgi worker on both loops; the client is the package websockets."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import hostile
from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, rss_mib, wait_for
from test_asgi import ASGI, BLOCK, forget, noted

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

APP = "asgi_sockets:app"
OPENING = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sockets(loop: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp(loop)
    with Server(APP, *ASGI, loop, directory=directory) as server:
        yield server
    log = server.log()
    assert log.count("Traceback") == log.count("RuntimeError: raised on purpose"), log


def talk(
    server: Server, target: str, *steps: Callable[[ClientConnection], Awaitable[None]], **more: Any
) -> ClientConnection:
    """Opens a WebSocket, takes the steps, closes it."""

    async def run() -> ClientConnection:
        async with ws_connect(f"ws{server.url[4:]}{target}", **more) as sock:
            for step in steps:
                await step(sock)
        return sock

    return asyncio.run(asyncio.wait_for(run(), 60))


async def until_closed(sock: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await sock.recv()


def refused(server: Server, target: str) -> Any:
    """The answer to a handshake that must fail."""
    with pytest.raises(InvalidStatus) as caught:
        talk(server, target)
    return caught.value.response


# The handshake


def test_scope(sockets: Server) -> None:
    async def look(sock: ClientConnection) -> None:
        text = re.sub(r"<monoceros\._core\.RequestTimes[^>]*>", "None", str(await sock.recv()))
        found = dict(eval(text))
        assert found.pop("state")["shared"] == []
        assert len(found["extensions"].pop("monoceros")["request_id"]) == 28
        assert found == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/dump",
            "raw_path": b"/dump",
            "query_string": b"a=b",
            "root_path": "",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }

    talk(sockets, "/dump?a=b", look)


def test_access_line(serve: StartServer) -> None:
    """One for each, when its application is done: 101, and the bytes of what was sent."""
    server = serve(APP, "-k", "asgi", "--access-logfile", "-")

    async def echo(sock: ClientConnection) -> None:
        for text in ("one", "three"):
            await sock.send(text)
            assert await sock.recv() == text

    talk(server, "/echo?logged", echo)
    (line,) = wait_for(server.access_lines, "the access line")
    assert '"GET /echo?logged HTTP/1.1" 101 8 ' in line


def test_subprotocol_and_fields(sockets: Server) -> None:
    sock = talk(sockets, "/choose", subprotocols=["one", "two"])
    assert sock.subprotocol == "two"
    assert sock.response is not None
    assert sock.response.headers["x-own"] == "1"
    assert sock.response.headers.get_all("set-cookie") == ["a=1", "b=2"]


def test_refusals_of_the_application(sockets: Server) -> None:
    forget(sockets, "forbidden")
    assert refused(sockets, "/forbid").status_code == 403
    assert noted(sockets, "forbidden") == "websocket.disconnect"
    assert refused(sockets, "/leave-before").status_code == 403
    assert refused(sockets, "/raise-before").status_code == 500
    denied = refused(sockets, "/deny")
    assert (denied.status_code, denied.body) == (401, b"who? who? ")
    assert denied.headers["www-authenticate"] == "Basic"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Sec-WebSocket-Version": "12"}, 426),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
    ],
)
def test_handshakes_that_are_wrong(sockets: Server, fields: dict[str, str], status: int) -> None:
    with Client(sockets.address) as client:
        client.send(request("/echo", headers={**OPENING, **fields}))
        answer = client.response()
        assert answer.status == status
        if status == 426:
            assert answer.get("Sec-WebSocket-Version") == "13"
        assert client.closed()


def test_another_upgrade_is_a_plain_request(sockets: Server) -> None:
    with Client(sockets.address) as client:
        assert client.ask("/hello", headers={**OPENING, "Upgrade": "h2c"}).body == b"hello"


# Messages


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages(sockets: Server, compression: str | None) -> None:
    async def echo(sock: ClientConnection) -> None:
        for message in ("", "a", "\u20ac" * 1000, b"", bytes(range(256)), "x" * 100_000, BLOCK * 8):
            await sock.send(message)
            assert await sock.recv() == message
        await sock.send(["in ", "frag", "ments"])
        assert await sock.recv() == "in fragments"
        await sock.send([BLOCK, BLOCK])
        assert await sock.recv() == BLOCK * 2
        await asyncio.wait_for(await sock.ping(), 10)

    sock = talk(sockets, "/echo", echo, compression=compression)
    assert sock.response is not None
    agreed = sock.response.headers.get("Sec-WebSocket-Extensions", "")
    assert ("permessage-deflate" in agreed) == (compression is not None)


def test_many_messages_in_order(sockets: Server) -> None:
    async def pump(sock: ClientConnection) -> None:
        async def send() -> None:
            for number in range(2000):
                await sock.send(str(number))

        sending = asyncio.create_task(send())
        assert [await sock.recv() for _ in range(2000)] == [str(n) for n in range(2000)]
        await sending

    talk(sockets, "/echo", pump)


def test_wrong_messages(sockets: Server) -> None:
    async def look(sock: ClientConnection) -> None:
        assert await sock.recv() == "RuntimeError RuntimeError RuntimeError RuntimeError"

    talk(sockets, "/wrong", look)


# The end


@pytest.mark.parametrize(
    ("target", "code", "reason"),
    [
        ("/close", 1000, ""),
        ("/close?code=4001&reason=bye", 4001, "bye"),
        ("/close?code=1013", 1013, ""),
        ("/leave-after", 1000, ""),
        ("/raise-after", 1011, ""),
    ],
)
def test_the_application_closes(sockets: Server, target: str, code: int, reason: str) -> None:
    forget(sockets, "late")
    sock = talk(sockets, target, until_closed)
    assert (sock.close_code, sock.close_reason) == (code, reason)
    if target.startswith("/close"):
        assert noted(sockets, "late") == "OSError"


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4002, "enough")])
def test_the_client_closes(sockets: Server, code: int, reason: str) -> None:
    forget(sockets, "disconnect")
    talk(sockets, "/echo", lambda sock: sock.close(code, reason))
    assert noted(sockets, "disconnect") == f"{code} {reason}"


def test_a_client_that_says_it_all_at_once(sockets: Server) -> None:
    """Handshake, message and Close in one piece: the application gets all of it. One that answers
    meets an OSError, which is no error of its own and is not logged as one."""
    forget(sockets, "disconnect")
    frames = b"\x81\x83\0\0\0\0one" + b"\x88\x82\0\0\0\0\x03\xe8"
    for target in ("/collect", "/echo"):
        with Client(sockets.address) as client:
            client.send(request(target, headers=OPENING) + frames)
            assert client.head().status == 101
            assert client.rest() == b"\x88\x02\x03\xe8"
    assert noted(sockets, "disconnect") == "1000 ['one']"


def test_a_message_in_front_of_a_broken_frame_is_answered(sockets: Server) -> None:
    forget(sockets, "disconnect")
    message, reserved_opcode = b"\x81\x83\0\0\0\0one", b"\x83\x80\0\0\0\0"
    with Client(sockets.address) as client:
        client.send(request("/echo", headers=OPENING))
        assert client.head().status == 101
        client.send(message + reserved_opcode)
        assert client.exactly(5) == b"\x81\x03one"
        close = client.rest()
        assert (close[:1], close[2:4]) == (b"\x88", (1002).to_bytes(2, "big"))
    assert noted(sockets, "disconnect").startswith("1006")


def test_the_client_is_lost(sockets: Server) -> None:
    forget(sockets, "disconnect")

    async def vanish(sock: ClientConnection) -> None:
        sock.transport.abort()

    talk(sockets, "/echo", vanish)
    assert noted(sockets, "disconnect").startswith("1006")


PING = b"\x89\0"
PONG = b"\x8a\x80\0\0\0\0"


def test_a_client_that_does_not_answer_pings(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--ws-ping-interval", "1", "--ws-ping-timeout", "1")
    with Client(server.address) as client:
        client.send(request("/echo", headers=OPENING))
        assert client.head().status == 101
        assert client.exactly(2) == PING
        close = client.rest()
        assert (close[:1], close[2:4]) == (b"\x88", (1011).to_bytes(2, "big"))
    assert noted(server, "disconnect").startswith("1006")


def test_a_client_that_answers_pings(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--ws-ping-interval", "1", "--ws-ping-timeout", "2")
    with Client(server.address) as client:
        client.send(request("/echo", headers=OPENING))
        assert client.head().status == 101
        for _ in range(4):  # longer than interval and timeout together
            assert client.exactly(2) == PING
            client.send(PONG)
        client.send(b"\x81\x83\0\0\0\0one")
        assert client.exactly(5) == b"\x81\x03one"


def test_no_pings(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--ws-ping-interval", "0")
    with Client(server.address) as client:
        client.send(request("/echo", headers=OPENING))
        assert client.head().status == 101
        client.sock.settimeout(2)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)


def test_size_limit(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--websocket-max-message-size", "1000")

    async def exceed(sock: ClientConnection) -> None:
        await sock.send("x" * 1000)
        assert await sock.recv() == "x" * 1000
        await sock.send("x" * 1001)
        await until_closed(sock)

    for compression in ("deflate", None):
        forget(server, "disconnect")
        sock = talk(server, "/echo", exceed, compression=compression)
        assert sock.close_code == 1009
        assert noted(server, "disconnect").startswith("1006")


# Backpressure


def test_a_client_faster_than_the_application(sockets: Server) -> None:
    """The sender is held back: what the application has not read does not fill the memory."""
    (worker,) = sockets.worker_pids()
    forget(sockets, "deaf")

    async def pour(sock: ClientConnection) -> None:
        await asyncio.to_thread(noted, sockets, "deaf")
        before, sent = rss_mib(worker), 0

        async def send() -> None:
            nonlocal sent
            for _ in range(512):
                await sock.send(BLOCK)
                sent += 1
            await sock.send("end")

        sending = asyncio.create_task(send())
        await asyncio.sleep(1)
        assert sent < 500, "the sender is to wait"
        assert rss_mib(worker) - before < 16
        assert await asyncio.to_thread(lambda: fetch(sockets.address, "/hello").body) == b"hello"
        assert await sock.recv() == "512"
        await sending

    talk(sockets, "/deaf?s=2", pour, compression=None)


def test_an_application_faster_than_the_client(sockets: Server) -> None:
    (worker,) = sockets.worker_pids()
    forget(sockets, "sent")
    before = rss_mib(worker)
    with Client(sockets.address, timeout_s=60) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(request("/flood?n=1024", headers=OPENING))
        assert client.head().status == 101
        noted(sockets, "sent")
        for _ in range(50):
            assert fetch(sockets.address, "/hello").body == b"hello"
        assert int(noted(sockets, "sent")) < 900, "the application is to wait"
        assert rss_mib(worker) - before < 16
        for _ in range(1024):
            assert client.exactly(10) == b"\x82\x7f" + len(BLOCK).to_bytes(8, "big")
            assert client.exactly(len(BLOCK)) == BLOCK


# The worker


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_drain(serve: StartServer, loop: str, signum: int) -> None:
    server = serve(APP, *ASGI, loop)

    async def end(sock: ClientConnection) -> None:
        await sock.send("one")
        assert await sock.recv() == "one"
        server.signal(signum)
        await until_closed(sock)

    sock = talk(server, "/echo", end)
    assert sock.close_code == 1012
    assert noted(server, "disconnect").startswith("1012")
    if signum == signal.SIGTERM:
        assert server.wait() == 0
    assert "Traceback" not in server.log()
    assert "still open" not in server.log()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("name", ["asgi", "uvicorn.workers.UvicornWorker"])
def test_drain_beside_a_request(serve: StartServer, loop: str, name: str, signum: int) -> None:
    """They are told when the drain begins, not when everything else is done."""
    server = serve("asgi_sockets:app", "-k", name, "--asgi-loop", loop)
    with Client(server.address) as busy:
        busy.send(request("/until-go"))
        noted(server, "waiting")

        async def end(sock: ClientConnection) -> None:
            server.signal(signum)
            await until_closed(sock)

        assert talk(server, "/echo", end).close_code == 1012
        (server.directory / "go").write_text("x")
        assert busy.response().body == b"go"
    if signum == signal.SIGTERM:
        assert server.wait() == 0


def test_they_do_not_count_for_max_requests(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--max-requests", "5")
    server.announce(descriptors=2)  # the worker is a new one
    for _ in range(8):
        talk(server, "/leave-after", until_closed)
    assert "Autorestarting" not in server.log()
    for _ in range(5):
        fetch(server.address, "/hello")
    server.wait_log("Autorestarting worker after current request.")


def test_more_sockets_than_worker_connections_by_default(serve: StartServer, loop: str) -> None:
    """Without a limit that was asked for, open sockets leave room for other requests."""
    server = serve(APP, *ASGI, loop)
    with contextlib.ExitStack() as stack:
        for _ in range(1100):
            client = stack.enter_context(Client(server.address))
            client.send(request("/echo", headers=OPENING))
            assert client.head().status == 101
        assert fetch(server.address, "/hello").body == b"hello"


def test_worker_connections_when_asked_for(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--worker-connections", "2")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(2)]
        for client in clients:
            client.send(request("/echo", headers=OPENING))
            assert client.head().status == 101
        third = stack.enter_context(Client(server.address))
        third.send(request("/hello"))
        third.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            third.sock.recv(1)
        third.sock.settimeout(15)
        clients[0].sock.close()
        assert third.response().body == b"hello"


def test_a_worker_that_dies_takes_its_sockets_with_it(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop)
    (pid,) = server.worker_pids()

    async def kill(sock: ClientConnection) -> None:
        os.kill(pid, signal.SIGKILL)
        await until_closed(sock)

    assert talk(server, "/echo", kill).close_code == 1006


@pytest.mark.memory
def test_an_unfinished_bomb_weighs_what_was_sent(loop: str, serve: StartServer) -> None:
    """15 KiB that stand for 15 MiB, and no end: of thirty clients."""
    server = serve(APP, *ASGI, loop)
    fetch(server.address, "/hello")
    (worker,) = server.worker_pids()
    before = rss_mib(worker)
    bomb = hostile.frame(hostile.DEFLATED | hostile.BINARY, hostile.deflated(bytes(15 << 20)))
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            sock = stack.enter_context(hostile.opened(server.address, b"/echo"))
            sock.sendall(bomb + hostile.frame(hostile.FIN | hostile.PING, b"read"))
            assert sock.recv(6) == b"\x8a\x04read", "what came before has been read"
        assert rss_mib(worker) < before + 40

"""What the client of a connection sees when its worker leaves, in each class: an answer, or a FIN
that crosses nothing; never a reset."""

from __future__ import annotations

import signal
import socket

import pytest

from client import Client, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from load import Load
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn resets such connections")

CLASSES: dict[str, tuple[str, ...]] = {
    "sync": ("probe:app",),
    "gthread": ("probe:app", "--threads", "4"),
    "gevent": ("probe:app", "-k", "gevent"),
    "asyncio": ("asgi_probe:app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("asgi_probe:app", "-k", "asgi", "--asgi-loop", "uvloop"),
    "tornado": ("probe:app", "-k", "tornado"),
    "tornado-native": ("drained_tornado:app", "-k", "tornado"),
    "pywsgi": ("probe:app", "-k", "green_socket.Handled"),
    "server-class": ("probe:app", "-k", "green_socket.Served"),
    "gevent-websocket": (
        "probe:app",
        "-k",
        "geventwebsocket.gunicorn.workers.GeventWebSocketWorker",
    ),
}
kinds = pytest.mark.parametrize("kind", CLASSES)


def serving(serve: StartServer, kind: str, *args: str, workers: int = 1) -> Server:
    app, *words = CLASSES[kind]
    return serve(app, *words, "--graceful-timeout", "15", *args, workers=workers)


def leave(server: Server, signum: signal.Signals) -> None:
    """Sent, and heard by the workers that go."""
    server.signal(signum)
    server.wait_log(f"Handling signal: {'term' if signum == signal.SIGTERM else 'hup'}")


@kinds
def test_a_connection_that_has_not_spoken_yet(serve: StartServer, kind: str) -> None:
    """It stands in the kernel's queue, where nobody looks until its first bytes come."""
    server = serving(serve, kind)
    with Client(server.address) as client:
        leave(server, signal.SIGTERM)
        client.send(request("/hello"))
        # The worker may not have heard of the stop yet: then the connection ends a moment later.
        assert client.response().status == 200
        assert client.closed()
    assert server.wait(15) == 0


@kinds
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_a_request_that_crosses_the_end(
    serve: StartServer, kind: str, signum: signal.Signals
) -> None:
    """On a kept connection: the worker has decided to go, the client does not know it."""
    server = serving(serve, kind)
    with Client(server.address) as client:
        assert client.ask("/hello").get("Connection") in (None, "keep-alive")
        leave(server, signum)
        client.send(request("/hello"))
        answer = client.response()
        assert answer.status == 200
        if answer.get("Connection") == "close":
            assert client.closed()
    if signum == signal.SIGTERM:
        assert server.wait(15) == 0


@kinds
def test_a_request_that_crosses_the_fin(serve: StartServer, kind: str) -> None:
    """No reset, which could destroy an answer that the client has not read yet."""
    server = serving(serve, kind)
    with Client(server.address) as slow, Client(server.address) as client:
        slow.send(b"GET /hello HTTP/1.1\r\n")  # keeps the worker
        assert client.ask("/hello").status == 200
        leave(server, signal.SIGTERM)
        assert client.sock.recv(1) == b""
        client.send(request("/hello"))
        client.sock.shutdown(socket.SHUT_WR)
        wait_for(lambda: is_acknowledged(client.sock), "the server's kernel")
        assert client.sock.recv(1) == b""
        slow.send(b"Host: testing\r\n\r\n")
        answer = slow.response()
        assert (answer.status, answer.get("Connection")) == (200, "close")
    assert server.wait(15) == 0


def is_acknowledged(sock: socket.socket) -> bool:
    """Whether all that was sent has arrived, the FIN as well; or the connection is broken."""
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state in (7, 6)  # CLOSE (broken, or both are done), TIME_WAIT


@kinds
def test_an_old_client_is_not_promised_to_stay(serve: StartServer, kind: str) -> None:
    """HTTP/1.0 with keep-alive."""
    server = serving(serve, kind)
    old = request("/hello", headers={"Connection": "keep-alive"}, version="1.0")
    with Client(server.address) as client:
        client.send(old)
        assert (client.response().get("Connection") or "").lower() == "keep-alive"
        leave(server, signal.SIGTERM)
        connection = "keep-alive"
        while connection == "keep-alive":  # until the worker has heard of it, too
            client.send(old)
            answer = client.response()
            assert answer.status == 200
            connection = (answer.get("Connection") or "close").lower()
        assert connection == "close"
        assert client.closed()
    assert server.wait(15) == 0


@kinds
def test_kept_connections_over_reloads(serve: StartServer, kind: str) -> None:
    """Clients that never look whether their connection has ended before they ask."""
    server = serving(serve, kind, workers=2)
    with Load(server.address, "/hello", count=4, keep=True) as load:
        for _ in range(3):
            before = set(server.worker_pids())
            wanted = load.count() + 20
            wait_for(lambda: load.count() > wanted, "some requests")  # noqa: B023
            server.signal(signal.SIGHUP)
            wait_for(lambda: not before & set(server.worker_pids()), "others", 60)  # noqa: B023
    assert not load.failures(), load.failures()[:3]
    assert server.stop() == 0


FOREIGN = ("pywsgi", "server-class", "gevent-websocket", "tornado")


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_slow_clients_are_waited_for(serve: StartServer, kind: str, signum: signal.Signals) -> None:
    """Slow with the head, with the body, and to read: each gets all of its answer."""
    server = serving(serve, kind)
    old = set(server.worker_pids())
    body = request("/echo", "POST", body=b"0123456789")
    clients = [Client(server.address) for _ in range(3)]
    with clients[0] as head, clients[1] as sender, clients[2] as reader:
        head.send(b"GET /hello HTTP")
        sender.send(body[:-5])
        reader.send(request("/big?mb=8"))
        assert reader.head().status == 200
        leave(server, signum)
        pace(1.0, "slow clients take longer than idle connections have")
        sender.send(body[-5:])
        assert sender.response().body == b"0123456789"
        head.send(b"/1.1\r\nHost: testing\r\n\r\n")
        assert head.response().body == b"hello"
        assert len(reader.exactly(8 << 20)) == 8 << 20
    if signum == signal.SIGTERM:
        assert server.wait(15) == 0
    else:
        wait_for(lambda: not old & set(server.worker_pids()), "others", 30)
    assert "still open" not in server.log()


@pytest.mark.parametrize("kind", FOREIGN)
def test_clients_that_never_end(serve: StartServer, kind: str) -> None:
    """The time is over: nobody is told lies, and the log has no traceback."""
    app, *words = CLASSES[kind]
    server = serve(app, *words, "--graceful-timeout", "4")
    clients = [Client(server.address) for _ in range(3)]
    with clients[0] as head, clients[1] as sender, clients[2] as reader:
        head.send(b"GET /hello HTTP")
        sender.send(request("/echo", "POST", body=b"0123456789")[:-5])
        reader.send(request("/big?mb=64"))
        assert reader.head().status == 200
        assert server.stop(timeout_s=15) == 0
        assert b"200 OK" not in head.rest() + sender.rest()
        assert len(reader.rest()) < 64 << 20
    server.wait_log("connections were still open after graceful_timeout.")

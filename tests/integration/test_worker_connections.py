"""worker_connections: what one worker holds at most, in each class; others wait in the kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from client import Client, request
from conftest import StartServer
from harness import Server

CLASSES = {
    "sync": ("probe:app",),
    "gthread": ("probe:app", "--threads", "4"),
    "gevent": ("probe:app", "-k", "gevent"),
    "asgi": ("asgi_hello:app", "-k", "asgi"),
    "tornado": ("probe:app", "-k", "tornado"),
}


@contextlib.contextmanager
def half_heads(server: Server, count: int) -> Iterator[list[Client]]:
    """Clients that have begun a request and are served by nobody yet."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address)) for _ in range(count)]
        for client in clients:
            client.send(b"GET /hello HTTP/1.1\r\n")
        yield clients


@pytest.mark.parametrize("kind", CLASSES)
def test_no_more_than_that(serve: StartServer, kind: str) -> None:
    server = serve(*CLASSES[kind], "--worker-connections", "3")
    with half_heads(server, 3) as clients, Client(server.address) as fourth:
        fourth.send(request("/hello"))
        fourth.sock.settimeout(1)
        with pytest.raises(TimeoutError):
            fourth.sock.recv(1)
        fourth.sock.settimeout(15)
        clients[0].send(b"Host: a\r\nConnection: close\r\n\r\n")
        assert clients[0].response().status == 200
        assert fourth.response().status == 200
        clients[1].send(b"Host: a\r\n\r\n")
        assert clients[1].response().status == 200


@pytest.mark.parametrize("kind", CLASSES)
def test_idle_clients_make_room(serve: StartServer, kind: str) -> None:
    server = serve(*CLASSES[kind], "--worker-connections", "3")
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            client = stack.enter_context(Client(server.address))
            assert client.ask("/hello").status == 200


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_another_worker_takes_them(serve: StartServer, kind: str) -> None:
    server = serve(*CLASSES[kind], "--worker-connections", "2", workers=2)
    with half_heads(server, 3), Client(server.address) as fourth, Client(server.address) as fifth:
        fourth.send(request("/hello"))
        assert fourth.response().status == 200
        fourth.sock.close()
        fifth.send(request("/hello"))
        assert fifth.response().status == 200


def test_none_but_that_of_descriptors_unless_asked_for(serve: StartServer) -> None:
    server = serve("probe:app")
    with half_heads(server, 1050), Client(server.address) as last:
        assert last.ask("/hello").status == 200

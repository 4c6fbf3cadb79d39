"""Whatever an application does wrong is its own matter: the worker lives, and no other request,
before, beside or after it, is answered with anything but its own answer."""

from __future__ import annotations

import contextlib
import os

import pytest

from client import Client, Gone, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, can_import
from test_websocket import OPENING

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own core")

CLASSES: dict[str, tuple[str, ...]] = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gevent": ("-k", "gevent"),
}
ASGI = {
    "asyncio": ("-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("-k", "asgi", "--asgi-loop", "uvloop"),
}
ROUNDS = int(os.environ.get("MONO_MISUSE_ROUNDS", "1"))


def names_of(address: tuple[str, int]) -> list[str]:
    names = fetch(address, "/names").text.split()
    assert len(names) > 50
    return names


def ask_and_go_on(address: tuple[str, int], name: str, number: int) -> None:
    """The wrong request, with the next one behind it on the same connection. An answer may be cut,
    which shows in its framing; whoever is behind it gets his own answer or none."""
    target = f"/after-{name}-{number}"
    with Client(address, 30.0) as client:
        try:
            client.send(request(f"/{name}", "POST", body=b"a body\nof lines\n"))
            first = client.response("POST")
            assert first.status >= 200, name
            if first.get("Connection") == "close":
                return
            client.send(request(target))
            second = client.response()
        except (Gone, BrokenPipeError, ConnectionResetError):
            return
    assert (second.status, second.text) == (200, target[1:]), name


@pytest.mark.parametrize("name", CLASSES)
def test_wsgi(name: str, serve: StartServer) -> None:
    if name == "gevent" and not can_import("gevent"):
        pytest.skip("no gevent there")
    server = serve("misuse:app", *CLASSES[name])
    server.announce("Error handling request")
    (worker,) = server.worker_pids()
    for number in range(ROUNDS):
        for kind in names_of(server.address):
            ask_and_go_on(server.address, kind, number)
            assert fetch(server.address, f"/well-{kind}").text == f"well-{kind}"
            assert server.worker_pids() == [worker], f"it died of {kind}:\n{server.log()[-4000:]}"
    names_of(server.address)  # which collects what the application has left in circles


def open_socket(address: tuple[str, int], name: str) -> None:
    """The handshake, and whatever comes of it up to a Close frame or the end."""
    with Client(address, 30.0) as client, contextlib.suppress(Gone):
        client.send(request(f"/{name}", headers=OPENING))
        client.until(b"\x88")


@pytest.mark.parametrize("name", ASGI)
def test_asgi(name: str, serve: StartServer) -> None:
    if name == "uvloop" and not can_import("uvloop"):
        pytest.skip("no uvloop there")
    server = serve("asgi_misuse:app", *ASGI[name])
    server.announce("Error handling request", "never retrieved", "Exception in callback")
    (worker,) = server.worker_pids()
    for number in range(ROUNDS):
        for kind in names_of(server.address):
            if kind.startswith("socket-"):
                open_socket(server.address, kind)
            else:
                ask_and_go_on(server.address, kind, number)
            assert fetch(server.address, f"/well-{kind}").text == f"well-{kind}"
            assert server.worker_pids() == [worker], f"it died of {kind}:\n{server.log()[-4000:]}"

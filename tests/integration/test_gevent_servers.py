"""gevent workers whose class names a handler or a server: gevent.pywsgi over our sockets."""

from __future__ import annotations

import re
import signal

import pytest
from websockets.sync.client import connect

from client import Client, fetch, request
from conftest import StartServer
from harness import Server, wait_for

SOCKETS = ["-k", "geventwebsocket.gunicorn.workers.GeventWebSocketWorker"]
HANDLED = ["-k", "green_socket.Handled"]


def serve_sockets(serve: StartServer, *args: str, **options: object) -> Server:
    return serve("green_socket:app", *args, **options)  # type: ignore[arg-type]


def wait_sleeping(server: Server, count: int) -> None:
    """Until the application has got as many requests for /sleep."""
    place = server.directory / "sleeping"
    wait_for(
        lambda: place.exists() and len(place.read_text().splitlines()) >= count, "the application"
    )


def echo(server: Server, *words: str) -> list[str | bytes]:
    with connect(f"ws://127.0.0.1:{server.port}/") as socket:
        heard: list[str | bytes] = []
        for word in words:
            socket.send(word)
            heard.append(socket.recv())
        return heard


def test_websockets_of_gevent_websocket(serve: StartServer) -> None:
    server = serve_sockets(serve, *SOCKETS)
    assert echo(server, "one", "two") == ["one", "two"]
    assert fetch(server.address, "/plain").body == b"/plain"
    assert "GeventWebSocketWorker is served by gevent's own server" in server.log()


def test_it_reloads_and_stops_as_all_do(serve: StartServer) -> None:
    server = serve_sockets(serve, *SOCKETS, "--graceful-timeout", "10", workers=2)
    old = server.worker_pids()
    with Client(server.address) as idle, Client(server.address) as busy:
        assert idle.ask("/").status == 200
        busy.send(request("/sleep2"))
        wait_sleeping(server, 1)
        server.signal(signal.SIGHUP)
        assert busy.response().body == b"/sleep2"
        wait_for(lambda: not set(old) & set(server.worker_pids()), "new workers")
        assert idle.closed()
    assert echo(server, "again") == ["again"]
    with Client(server.address) as idle, Client(server.address) as busy:
        assert idle.ask("/").status == 200
        busy.send(request("/sleep2"))
        wait_sleeping(server, 2)
        server.signal(signal.SIGTERM)
        answer = busy.response()
        assert (answer.body, answer.get("Connection")) == (b"/sleep2", "close")
        assert server.wait(8) == 0
    assert "still open" not in server.log()


def test_an_open_socket_ends_with_the_grace(serve: StartServer) -> None:
    server = serve_sockets(serve, *SOCKETS, "--graceful-timeout", "1")
    with connect(f"ws://127.0.0.1:{server.port}/") as socket:
        socket.send("open")
        assert socket.recv() == "open"
        assert server.stop(timeout_s=10) == 0
    assert "1 connections were still open after graceful_timeout." in server.log()


@pytest.mark.parametrize("name", ["Handled", "Served"])
def test_the_handler_writes_the_access_log(serve: StartServer, name: str) -> None:
    server = serve_sockets(serve, "-k", f"green_socket.{name}", "--access-logfile", "-")
    body = fetch(server.address, "/environ?q").body.decode()
    assert "RAW_URI=/environ?q" in body
    assert re.search(r"SERVER_SOFTWARE=gevent/\S+ monoceros/\S+ ", body), body
    assert "wsgi.multithread=True" in body
    assert "gunicorn.sock=<gevent._socket3.socket" in body
    lines = wait_for(server.access_lines, "a line")
    assert '"GET /environ?q HTTP/1.1" 200 ' in lines[0]


def test_max_requests(serve: StartServer) -> None:
    server = serve_sockets(serve, *HANDLED, "--max-requests", "5")
    server.announce(descriptors=3)  # the worker is a new one
    first = fetch(server.address, "/pid").body
    for _ in range(4):
        assert fetch(server.address, "/").status == 200
    server.wait_log("Autorestarting worker after current request.")
    wait_for(lambda: fetch(server.address, "/pid").body != first, "another worker")


def test_worker_connections(serve: StartServer) -> None:
    server = serve_sockets(serve, *HANDLED, "--worker-connections", "2")
    with Client(server.address) as one, Client(server.address) as two:
        for client in (one, two):
            assert client.ask("/").status == 200
        with Client(server.address) as third:
            third.send(request("/third"))
            third.sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                third.sock.recv(1)
            third.sock.settimeout(15)
            one.sock.close()
            assert third.response().body == b"/third"


def test_a_failure_and_a_fork(serve: StartServer) -> None:
    server = serve_sockets(serve, *HANDLED)
    server.announce("LookupError")
    assert fetch(server.address, "/fails").status == 500
    assert fetch(server.address, "/forks").body == b"/forks"
    assert fetch(server.address, "/").status == 200


def test_settings_that_it_cannot_keep_are_named(serve: StartServer) -> None:
    server = serve_sockets(serve, *HANDLED, "--request-timeout", "5")
    assert "request_timeout has no effect on Handled." in server.log()

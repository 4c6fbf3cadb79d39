"""Applications that take environ["gunicorn.socket"]: the connection is theirs, however they end."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from apps.taker import ENDINGS, SAID
from client import Client, fetch, request
from conftest import StartServer
from harness import wait_for

CLASSES = {
    "sync": [],
    "gthread": ["--threads", "2"],
    "gevent": ["-k", "gevent", "--worker-connections", "10"],
}
MORE = {"/behind": SAID + b", and more", "/reads": b""}
ALONE = [path for path in ENDINGS if path != "/hears"]
HINTS = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@pytest.mark.parametrize("kind", CLASSES)
def test_nothing_is_said_behind_an_application_that_took_its_client(
    serve: StartServer, kind: str
) -> None:
    server = serve("taker:app", *CLASSES[kind], "--access-logfile", "-")
    for path in ALONE:
        with Client(server.address) as client:
            client.send(request(path))
            if path == "/reads":
                client.until(HINTS)
                client.send(b"ping")
            assert client.rest() == MORE.get(path, SAID), path
    # One that only asks for it gets its answer sent as any other.
    assert fetch(server.address, "/asks").body == b"127.0.0.1"
    assert fetch(server.address, "/").body == b"plain"
    lines = wait_for(lambda: len(server.access_lines()) == len(ALONE) + 2, "log") and [
        line.split('"')[1:3] for line in server.access_lines()
    ]
    logged = {line.split()[1]: rest.split()[0] for line, rest in lines}
    unknown = dict.fromkeys(("/unheard", "/reads"), "-")
    assert logged == {**dict.fromkeys(ALONE, "101"), **unknown, "/asks": "200", "/": "200"}
    assert server.log().count("Traceback") == 1, server.log()
    assert server.stop() == 0
    count = len(ALONE) + 2
    assert f"accepted {count} = answered {count} + refused 0 + aborted 0" in server.log()


@pytest.mark.parametrize("kind", CLASSES)
def test_what_its_client_sent_behind_the_request(serve: StartServer, kind: str) -> None:
    """As a client does that does not wait for the handshake's answer."""
    server = serve("taker:app", *CLASSES[kind])
    with Client(server.address) as client:
        client.send(request("/hears") + b"abcdefghijklmn")
        client.until(HINTS)
        client.send(b"op")
        assert client.rest() == b"ab ab cd e fg hi jklm nop"
    with Client(server.address) as client:
        client.send(request("/reads") + b"ping")
        client.until(HINTS)
        assert client.rest() == b""
    assert "[ERROR]" not in server.log()


@pytest.mark.parametrize("kind", CLASSES)
def test_hooks_and_python_loggers_hear_what_it_said(
    serve: StartServer, kind: str, tmp_path: Path
) -> None:
    conf = tmp_path / "conf.py"
    conf.write_text(
        "def post_request(worker, req, environ, resp):\n"
        "    worker.log.info('heard %s %r', req.path, resp.status)\n"
    )
    server = serve("taker:app", *CLASSES[kind], "-c", str(conf))
    for path in ("/stops", "/reads"):
        with Client(server.address) as client:
            client.send(request(path))
            client.until(SAID if path == "/stops" else HINTS)
            client.send(b"ping")
            client.rest()
    server.wait_log("heard /stops '101 Switching Protocols'")
    server.wait_log("heard /reads ''")


def test_no_deadline_speaks_behind_it(serve: StartServer) -> None:
    """The request is over its time, and interrupted perhaps; its client is told by nobody else."""
    server = serve("taker_slow:app", "--request-timeout", "1", "--threads", "2")
    with Client(server.address) as client:
        client.send(request("/"))
        client.until(SAID)
        client.sock.settimeout(2.5)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)
        client.send(b"end")
        assert client.rest() == b"bye"


def test_who_leaves_is_no_failure(serve: StartServer) -> None:
    server = serve("taker_slow:app")
    with Client(server.address) as client:
        client.send(request("/"))
        client.until(SAID)
        client.sock.shutdown(socket.SHUT_RDWR)
    assert fetch(server.address, "/plain").body == b"plain"
    assert server.stop() == 0
    assert "accepted 2 = answered 2 " in server.log()


@pytest.mark.parametrize("kind", CLASSES)
def test_flask_sock(serve: StartServer, kind: str) -> None:
    """Whoever closes: the log is quiet, and each socket is a line of the access log."""
    server = serve("flask_sockets:app", *CLASSES[kind], "--access-logfile", "-")
    url = f"ws://127.0.0.1:{server.port}"
    for number in range(3):
        with connect(f"{url}/echo") as client:
            for word in ("one", "two"):
                client.send(word)
                assert client.recv() == word
        with connect(f"{url}/once") as client:
            client.send("only")
            assert client.recv() == "only"
            with pytest.raises(ConnectionClosed) as closed:
                client.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1000
        assert fetch(server.address, "/").body == b"plain"
        lines = 3 * (number + 1)
        wait_for(lambda lines=lines: len(server.access_lines()) == lines, "the access log")
    logged = [line.split('"')[1:3] for line in server.access_lines()]
    statuses = sorted((line.split()[1], rest.split()[0]) for line, rest in logged)
    assert statuses == sorted([("/", "200"), ("/echo", "101"), ("/once", "101")] * 3)
    assert "[ERROR]" not in server.log()
    with connect(f"{url}/fails") as client:
        client.send("x")
        assert client.recv() == "x"
        with pytest.raises(ConnectionClosed):
            client.recv()
    server.wait_log("LookupError: on purpose")
    assert server.stop() == 0
    assert "accepted 10 = answered 10 " in server.log()

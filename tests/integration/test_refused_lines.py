"""Each answer has its line in the access log, also those that no application gave, also where
Python writes it: refusals and readiness probes, in every worker class."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from client import Client
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn has no lines of these")

CLASSES = {
    "sync": ("log_taker:app", []),
    "gthread": ("log_taker:app", ["--threads", "2"]),
    "gevent": ("log_taker:app", ["-k", "gevent"]),
    "asgi": ("log_taker:aapp", ["-k", "asgi"]),
}
LIMITS = [
    "--limit-request-field_size", "300", "--limit-request-body", "100",
    "--client-header-timeout", "1", "--readiness-path", "/-/ready",
]  # fmt: skip
HOST = b"Host: a\r\n"
# What is sent, and its line: status, request line, whether it has bytes, Host, the scheme.
REQUESTS: dict[str, tuple[bytes, str]] = {
    "400": (b"BAD\r\n\r\n", "400 - - http"),
    "400 in a field": (b"GET /f HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n", "400 GET /f HTTP/1.1 a"),
    "413": (
        b"PUT /b HTTP/1.1\r\n" + HOST + b"Content-Length: 200\r\n\r\n",
        "413 PUT /b HTTP/1.1 a",
    ),
    "431": (
        b"GET /h HTTP/1.1\r\n" + HOST + b"X: " + b"y" * 400 + b"\r\n\r\n",
        "431 GET /h HTTP/1.1 a",
    ),
    "408": (b"GET /slow HTTP/1.1\r\nHo", "408"),
    "probe": (b"GET /-/ready HTTP/1.1\r\n" + HOST + b"\r\n", "200 GET /-/ready HTTP/1.1 a"),
    "run": (b"GET /run HTTP/1.1\r\n" + HOST + b"\r\n", "200 GET /run HTTP/1.1 a"),
}
FORMAT = "%(s)s %(r)s %({host}i)s %({wsgi.url_scheme}e)s %(h)s"


def ask(server: Server, request: bytes) -> bytes:
    """The status line."""
    with socket.create_connection(server.address, 10) as client:
        client.sendall(request)
        answer = b""
        while b"\r\n" not in answer:
            data = client.recv(65536)
            if not data:
                break
            answer += data
    return answer.partition(b"\r\n")[0]


@pytest.mark.parametrize("name", CLASSES)
def test_answers_that_no_application_gave_have_lines(
    serve: StartServer, tmp_path: Path, name: str
) -> None:
    app, options = CLASSES[name]
    access = tmp_path / "access.log"
    server = serve(
        app, *options, *LIMITS, "--access-logfile", str(access), "--access-logformat", FORMAT
    )
    for number, (request, expected) in enumerate(REQUESTS.values(), 1):
        status = ask(server, request).split()[1].decode()
        assert status == expected.split()[0]
        lines = wait_for(
            lambda number=number: (
                (found := access.read_text().splitlines())[number - 1 :] and found
            ),
            f"the line of {request!r}",
        )
        assert len(lines) == number, lines
        words = lines[-1].split()
        assert words[-2:] == ["http", "127.0.0.1"], lines[-1]
        if status != "408":
            assert lines[-1].startswith(expected), lines[-1]
    assert "Traceback" not in server.log()


def test_both_writers_tell_the_same(serve: StartServer, tmp_path: Path) -> None:
    """But for what only Python knows, at the line's end, and for the order: Python writes the lines
    of requests that no application saw at the next look into the journal."""
    pattern = (
        '%(h)s %(l)s %(u)s "%(r)s" %(m)s %(U)s %(q)s %(H)s %(s)s %(b)s "%(f)s" "%(a)s" %({x}o)s'
    )
    found = []
    for more in ("", " %({wsgi.url_scheme}e)s"):
        access = tmp_path / f"access{len(more)}.log"
        server = serve(
            "log_taker:app", *LIMITS, "--access-logfile", str(access),
            "--access-logformat", pattern + more,
        )  # fmt: skip
        for request, _ in REQUESTS.values():
            ask(server, request)
        wait_for(lambda log=access: log.read_text().count("\n") == len(REQUESTS), "all lines")
        found.append([line.removesuffix(" http") for line in access.read_text().splitlines()])
        assert server.stop() == 0
    core, python = found
    assert sorted(python) == sorted(core)


@pytest.mark.parametrize("raises", [False, True])
def test_a_logger_class_of_the_user_is_asked_for_each(
    serve: StartServer, tmp_path: Path, raises: bool
) -> None:
    (tmp_path / "own.py").write_text(
        "from monoceros.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def access(self, resp, req, environ, request_time):\n"
        f"        if {raises}: raise KeyError('on purpose')\n"
        "        self.access_log.info('%s %s %s %s %s', req.method, req.path, resp.status_code,\n"
        "                             environ['PATH_INFO'], req.version)\n"
    )
    access = tmp_path / "access.log"
    server = serve(
        "log_taker:app", *LIMITS, "--access-logfile", str(access), "--logger-class", "own.Own",
        "--pythonpath", str(tmp_path),
    )  # fmt: skip
    server.announce("on purpose")
    ask(server, REQUESTS["400"][0])
    ask(server, REQUESTS["413"][0])
    if raises:
        server.wait_log("KeyError: 'on purpose'", 2)
        assert ask(server, REQUESTS["run"][0]).endswith(b"200 OK")
    else:
        wait_for(lambda: access.read_text().count("\n") == 2, "the lines")
        assert access.read_text() == "- - 400 - (0, 0)\nPUT /b 413 /b (1, 1)\n"


def test_statsd_counts_them(serve: StartServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(10)
        host = f"127.0.0.1:{statsd.getsockname()[1]}"
        server = serve("log_taker:app", "--statsd-host", host)
        ask(server, REQUESTS["400"][0])
        seen = ""
        while not re.search(r"gunicorn\.request\.status\.400:1", seen):
            seen += statsd.recv(65536).decode() + "\n"


def test_a_refusal_from_the_queue(serve: StartServer, tmp_path: Path) -> None:
    access = tmp_path / "access.log"
    server = serve(
        "stuck:app", "--queue-timeout", "1", "--access-logfile", str(access),
        "--access-logformat", FORMAT,
    )  # fmt: skip
    # The other's connection is the worker's already: it would not accept one more while it is busy.
    with Client(server.address, timeout_s=60) as kept, Client(server.address) as busy:
        assert kept.ask("/").status == 200
        busy.send(b"GET /sleep?5 HTTP/1.1\r\n" + HOST + b"\r\n")
        wait_for(lambda: kept.ask("/late").status == 503, "a refusal", 30)
        wait_for(lambda: "503 GET /late HTTP/1.1 " in access.read_text(), "the line")

"""Worker classes that override gunicorn's methods: requests go through them, or it is said."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from client import Client, fetch
from conftest import StartServer
from harness import Server

HERE = "own_workers"


def serve_with(serve: StartServer, name: str, *args: str) -> Server:
    return serve(f"{HERE}:app", "-k", f"{HERE}.{name}", "--access-logfile", "-", *args)


@pytest.mark.parametrize("name", ["Sync", "Thread", "Gevent"])
def test_handle_request_brackets_each_request(serve: StartServer, name: str) -> None:
    server = serve_with(serve, name)
    with Client(server.address) as client:
        for path in ("/one", "/two", "/three"):
            assert client.ask(path).body == path.encode()  # on one connection
        for path in ("/one", "/two", "/three"):
            log = server.wait_log(f"after {path}")
            assert f"before GET {path} from 127.0.0.1 at {server.port}" in log
    assert server.log().index("after /one") < server.log().index("before GET /two")
    assert "is never called" not in server.log()
    assert server.stop() == 0
    assert "accepted 3 = answered 3 " in server.log()
    assert [line.split('"')[2].split()[0] for line in server.access_lines()] == ["200"] * 3


@pytest.mark.parametrize("name", ["Sync", "Thread", "Gevent"])
def test_a_failure_passes_through_it(serve: StartServer, name: str) -> None:
    server = serve_with(serve, name)
    assert fetch(server.address, "/fails").status == 500
    log = server.wait_log("Error handling request GET /fails")
    assert log.count("Traceback") == 1
    assert "after /fails" in log
    assert fetch(server.address, "/").status == 200


@pytest.mark.parametrize("name", ["HandlesSync", "HandlesThread", "HandlesGevent"])
def test_handle_is_called_for_each_request(serve: StartServer, name: str) -> None:
    server = serve_with(serve, name)
    for number in range(2):
        assert fetch(server.address, "/x").body == b"/x"
        server.wait_log("handle True 127.0.0.1", number + 1)


@pytest.mark.parametrize("name", ["ReportsSync", "ReportsThread", "ReportsGevent"])
def test_handle_error_hears_of_failures_and_may_answer(serve: StartServer, name: str) -> None:
    server = serve_with(serve, name)
    assert fetch(server.address, "/fails").status == 500
    answer = fetch(server.address, "/fails?page")
    assert (answer.status, answer.body) == (503, b"sorry")
    log = server.wait_log("reported LookupError('on purpose') of /fails", 2)
    assert log.count("Traceback") == 1
    assert log.count("Error handling request GET /fails (request id ") == 1


REFUSED = {
    "InvalidRequestLine": (b"GET /\r\n\r\n", 400),
    "InvalidRequestMethod": (b"g@t / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "InvalidHeaderName": (b"GET / HTTP/1.1\r\nHost: a\r\na b: c\r\n\r\n", 400),
    "LimitRequestLine": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
}


@pytest.mark.parametrize("name", ["RefusalsSync", "RefusalsThread", "RefusalsGevent"])
def test_handle_error_hears_of_what_cannot_be_read(serve: StartServer, name: str) -> None:
    server = serve_with(serve, name)
    for kind, (sent, status) in REFUSED.items():
        with Client(server.address) as client:
            client.send(sent)
            assert client.response().status == status
        server.wait_log(f"refused {kind} None of 127.0.0.1")
    assert server.stop() == 0
    assert "Error handling request" not in server.log()
    assert [int(line.split('"')[2].split()[0]) for line in server.access_lines()] == [
        status for _, status in REFUSED.values()
    ]


def test_one_that_does_not_answer(serve: StartServer) -> None:
    server = serve_with(serve, "Swallows")
    server.announce("came back without an answer")
    assert fetch(server.address, "/").body == b"/"
    assert fetch(server.address, "/itself").body == b"itself"
    assert fetch(server.address, "/fails").status == 500
    assert fetch(server.address, "/never").status == 500
    server.wait_log("handle_request() came back without an answer", 2)
    assert server.stop() == 0
    assert "accepted 4 = answered 4 " in server.log()


def test_a_time_limit_of_its_own(serve: StartServer) -> None:
    server = serve_with(serve, "Timed", "--threads", "2")
    server.announce("TooLate")
    began = time.monotonic()
    assert fetch(server.address, "/slow").status == 500
    assert time.monotonic() - began < 15
    assert fetch(server.address, "/").body == b"/"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Odd", "accept (use the hook pre_request), is_parent_alive (use the hook worker_exit)"),
        (
            "OddThread",
            "enqueue_req (use handle_request), murder_keepalived (use the setting keepalive)",
        ),
        ("OddGevent", "timeout_ctx (use the setting keepalive)"),
    ],
)
def test_what_is_never_called_is_said_once(serve: StartServer, name: str, words: str) -> None:
    server = serve_with(serve, name)
    line = f"[WARNING] The worker class {name} overrides what is never called: {words}."
    assert server.log().count(line) == 1, server.log()
    assert fetch(server.address, "/x").body == b"/x"


def test_one_with_a_loop_of_its_own_calls_them_itself(serve: StartServer) -> None:
    server = serve_with(serve, "OwnRun")
    assert "never called" not in server.log()


def test_other_kinds_of_workers(serve: StartServer, tmp_path: Path) -> None:
    (tmp_path / "kinds.py").write_text(
        "from gunicorn.workers.gtornado import TornadoWorker\n"
        "from gunicorn.workers.gasgi import ASGIWorker\n"
        "from asgi_hello import app\n"
        "class Tornado(TornadoWorker):\n"
        "    def handle_request(self):\n"
        "        self.log.info('one more')\n"
        "        super().handle_request()\n"
        "class Asgi(ASGIWorker):\n"
        "    def handle_request(self, req, conn):\n"
        "        raise AssertionError\n"
    )
    env = {"PYTHONPATH": str(tmp_path)}
    server = serve("probe:app", "-k", "kinds.Tornado", env=env)
    assert fetch(server.address, "/hello").status == 200
    server.wait_log("one more")
    server = serve("asgi_hello:app", "-k", "kinds.Asgi", env=env)
    server.wait_log("handle_request (use the hooks pre_request and post_request)")
    assert fetch(server.address, "/").status == 200

"""Request ids and times: from a real nginx, of the server's own making, and where they show."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from client import Client, fetch
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from nginx import Front, nginx

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn has neither")

KINDS = {
    "sync": ("identity_app:wsgi",),
    "gthread": ("-k", "gthread", "--threads", "4", "identity_app:wsgi"),
    "gevent": ("-k", "gevent", "identity_app:wsgi"),
    "asgi": ("-k", "asgi", "identity_app:asgi"),
}
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OWN_ID = re.compile(r"[0-9a-f]{28}")
LEGS = ("balancer_us", "read_us", "queue_us", "app_us")
LOG = ("--access-logfile", "-", "--access-logformat", "json")


@pytest.fixture(scope="module", params=KINDS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Two workers of each kind that say it all."""
    directory = tmp_path_factory.mktemp(request.param)
    *options, app = KINDS[request.param]
    options += [*LOG, "--server-timing", "--request-id-header", "X-Request-ID"]
    with Server(app, *options, directory=directory, workers=2) as server:
        yield server


def ask(server: Server, target: str = "/", **fields: str) -> Any:
    return json.loads(fetch(server.address, target, **fields).body)


def line_of(server: Server, request_id: str) -> dict[str, Any]:
    """The access line of one request, once it is there."""

    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in server.access_lines() if line.startswith("{")]
        return [line for line in lines if line["request_id"] == request_id]

    (line,) = wait_for(found, f"the access line of {request_id}")
    return line


def test_behind_nginx(told: Server, tmp_path: Path) -> None:
    """Its id and its stamp arrive everywhere: application, answer and access log."""
    front = Front(keep_alive=True, stamps=True)
    before_s = time.time()
    with nginx(told.binds[0], tmp_path / "nginx", front) as port, requests.Session() as session:
        for _ in range(5):
            answer = session.get(f"http://127.0.0.1:{port}/", timeout=20)
            found = answer.json()
            seen = answer.headers["X-Seen-ID"]
            assert re.fullmatch("[0-9a-f]{32}", seen)
            assert (found["request_id"], found["field"]) == (seen, seen)
            assert answer.headers["X-Request-ID"] == seen
            times = list(found["times"].values())
            assert times[0] > 0
            assert times == sorted(times)
            timing = answer.headers["Server-Timing"]
            assert re.fullmatch(r"balancer;dur=[\d.]+, queue;dur=[\d.]+, app;dur=[\d.]+", timing)
            line = line_of(told, seen)
            assert all(isinstance(line[leg], int) for leg in LEGS), line
            assert line["balancer_us"] == times[1] - times[0]
            assert line["queue_us"] == times[4] - times[3]
            assert all(0 <= line[leg] <= (time.time() - before_s) * 1e6 for leg in LEGS)


def test_ids_of_our_own_never_repeat(told: Server) -> None:
    def several(_: int) -> list[str]:
        with Client(told.address) as client:
            return [json.loads(client.ask("/").body)["request_id"] for _ in range(25)]

    with ThreadPoolExecutor(8) as pool:
        ids = [one for some in pool.map(several, range(8)) for one in some]
    assert len(set(ids)) == 200
    assert all(OWN_ID.fullmatch(one) for one in ids)


def test_nothing_is_forged(told: Server) -> None:
    """Without a field of the request's there is none in environ or scope."""
    found = ask(told)
    assert (found["field"], found["trace_id"], found["times"]["balancer_us"]) == (None, None, 0)
    line = line_of(told, found["request_id"])
    assert (line["balancer_us"], line["trace_id"]) == (None, None)


def test_a_trace_goes_beside_the_id(told: Server) -> None:
    found = ask(told, traceparent=TRACEPARENT)
    assert found["trace_id"] == TRACE
    assert OWN_ID.fullmatch(found["request_id"])
    assert line_of(told, found["request_id"])["trace_id"] == TRACE


@pytest.mark.parametrize("bad", ["x" * 65, "a b", 'a"b', "a,b", "caf\u00e9"])
def test_an_id_that_is_none(told: Server, bad: str) -> None:
    assert OWN_ID.fullmatch(ask(told, X_Request_ID=bad)["request_id"])


@pytest.mark.parametrize("stamp", ["soon", "t=1", "99999999999"])
def test_a_stamp_that_is_none(told: Server, stamp: str) -> None:
    assert ask(told, X_Request_Start=stamp)["times"]["balancer_us"] == 0


@pytest.mark.parametrize("unit", ["seconds", "ms", "us"])
def test_every_kind_of_stamp(told: Server, unit: str) -> None:
    then = time.time() - 3
    stamp = {"seconds": f"t={then:.3f}", "ms": f"{then * 1e3:.0f}", "us": f"{then * 1e6:.0f}"}[unit]
    times = ask(told, X_Queue_Start=stamp)["times"]
    assert 2_900_000 < times["accepted_us"] - times["balancer_us"] < 600_000_000


def test_the_applications_own_header_wins(told: Server) -> None:
    answer = fetch(told.address, "/own", X_Request_ID="given")
    assert answer.get("X-Request-ID") == "own"


def test_an_application_that_fails(told: Server) -> None:
    """The client's 500 and the traceback's line have the same id."""
    answer = fetch(told.address, "/raise", X_Request_ID="failing-one")
    assert (answer.status, answer.get("X-Request-ID")) == (500, "failing-one")
    told.wait_log("Error handling request GET /raise (request id failing-one)")


def test_a_refusal(told: Server) -> None:
    with Client(told.address) as client:
        client.send(b"GET / HTTP/1.1\r\nX-Request-ID: refused-one\r\nHost : a\r\n\r\n")
        answer = client.response()
    assert (answer.status, answer.get("X-Request-ID")) == (400, "refused-one")
    told.wait_log("request id refused-one]")


def test_others_are_not_believed(serve: StartServer) -> None:
    options = ("--forwarded-allow-ips", "10.1.2.3")
    server = serve("identity_app:wsgi", *options, *LOG)
    fields = {"X_Request_ID": "mine", "X_Request_Start": f"t={time.time() - 1:.3f}"}
    found = ask(server, traceparent=TRACEPARENT, **fields)
    assert OWN_ID.fullmatch(found["request_id"])
    assert (found["field"], found["trace_id"]) == ("mine", TRACE)
    assert found["times"]["balancer_us"] == 0


def test_nothing_is_added_unless_asked_for(serve: StartServer) -> None:
    for app in ("identity_app:wsgi", "identity_app:asgi"):
        answer = fetch(serve(app).address, "/")
        assert answer.all("X-Request-ID") == answer.all("Server-Timing") == []


def test_scopes_share_nothing(serve: StartServer) -> None:
    server = serve("identity_app:asgi", "-k", "asgi")
    with Client(server.address) as client:
        for _ in range(3):
            found = json.loads(client.ask("/spoil").body)
            assert OWN_ID.fullmatch(found["request_id"])


@pytest.mark.parametrize("kind", ["sync", "asgi"])
def test_python_writes_the_same_atoms(serve: StartServer, kind: str, tmp_path: Path) -> None:
    """A hook of the user's makes Python log, as a logger class does."""
    (tmp_path / "own_logger.py").write_text(
        "from monoceros.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def access(self, *args):\n"
        "        super().access(*args)\n"
    )
    *options, app = KINDS[kind]
    own = ("--pythonpath", str(tmp_path), "--logger-class", "own_logger.Own")
    server = serve(app, *options, *LOG, *own)
    stamp = f"t={time.time() - 1:.3f}"
    found = ask(server, X_Request_ID="by-python", X_Request_Start=stamp, traceparent=TRACEPARENT)
    line = line_of(server, "by-python")
    times = found["times"]
    assert line["trace_id"] == TRACE
    assert line["balancer_us"] == times["accepted_us"] - times["balancer_us"]
    assert line["queue_us"] == times["dispatched_us"] - times["ready_us"]
    assert line["read_us"] == times["ready_us"] - times["accepted_us"]
    assert line["app_us"] >= 0

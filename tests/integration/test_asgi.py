"""The asgi worker, on both of its loops: messages, bodies both ways, departures and the end."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client, chunked, connect, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, rss_mib, wait_for
from patience import quiet_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")

ASGI = ("-k", "asgi", "--asgi-loop")
BLOCK = bytes(range(256)) * 256
APP = "asgi_probe:app"


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def asgi(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker with the probe application, on either loop."""
    directory = tmp_path_factory.mktemp(request.param)
    options = ["--access-logfile", "-", "--root-path", "/mount"]
    with Server(APP, *ASGI, request.param, *options, directory=directory) as server:
        server.loop_name = request.param  # type: ignore[attr-defined]
        yield server


def ask(server: Server, target: str, method: str = "GET", **more: str) -> Any:
    """The JSON of one answer."""
    return json.loads(fetch(server.address, target, method, **more).body)


def noted(server: Server, name: str, timeout_s: float = 10.0) -> str:
    """What the application noted, once it is there."""
    path = server.directory / name
    return wait_for(lambda: path.exists() and path.read_text(), f"the note {name}", timeout_s)


def forget(server: Server, *names: str) -> None:
    for name in names:
        (server.directory / name).unlink(missing_ok=True)


# Scope


def test_a_scope_is_of_its_request_alone(asgi: Server) -> None:
    with Client(asgi.address) as client:
        for _ in range(2):
            assert b"meddled" not in client.ask("/meddle").body.replace(b'"/meddle"', b"")


def test_the_loop_is_the_one_asked_for(asgi: Server) -> None:
    found = fetch(asgi.address, "/loop").body.decode()
    wanted = "uvloop" if asgi.loop_name == "uvloop" else "asyncio"  # type: ignore[attr-defined]
    assert found.startswith(wanted)


def test_scope(asgi: Server) -> None:
    with Client(asgi.address) as client:
        fields = {"X-One": "a", "x-one": "b", "X-Two": "c", "X_Under": "dropped"}
        answer = client.ask("/d%C3%A9j%C3%A0/%2Fvu?q=%20&b", "PATCH", fields)
        peer = client.sock.getsockname()
    found = json.loads(answer.body)
    kinds = found.pop("KINDS")
    assert kinds == {"raw_path": "bytes", "query_string": "bytes", "headers": "list", "path": "str"}
    assert "shared" in found.pop("state")
    assert found.pop("extensions") is not None
    assert found == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "PATCH",
        "scheme": "http",
        "path": "/d\u00e9j\u00e0//vu",
        "raw_path": "/d%C3%A9j%C3%A0/%2Fvu",
        "query_string": "q=%20&b",
        "root_path": "/mount",
        "headers": [["host", "testing"], ["x-one", "a"], ["x-one", "b"], ["x-two", "c"]],
        "server": list(asgi.address),
        "client": list(peer),
    }


def test_authority_of_the_target_replaces_host(asgi: Server) -> None:
    with Client(asgi.address) as client:
        fields = {"Host": "evil.example", "A": "b"}
        found = json.loads(client.ask("https://good.example/dump", headers=fields).body)
        assert found["headers"] == [["host", "good.example"], ["a", "b"]]
        assert (found["scheme"], found["path"]) == ("http", "/dump")
        client.send(b"GET http://old.example/dump HTTP/1.0\r\nA: b\r\n\r\n")
        found = json.loads(client.response().body)
        assert found["headers"] == [["a", "b"], ["host", "old.example"]]


def test_later_minor_versions(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(request("/dump", version="1.9"))
        answer = client.response()
        assert answer.version == "HTTP/1.1"
        assert json.loads(answer.body)["http_version"] == "1.1"  # of those that ASGI knows


def test_path_that_is_no_utf8(asgi: Server) -> None:
    assert ask(asgi, "/a%FFb")["path"] == "/a\ufffdb"


def test_scheme_from_a_trusted_proxy(asgi: Server) -> None:
    assert ask(asgi, "/x", X_Forwarded_Proto="https")["scheme"] == "https"


def test_http_1_0(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(b"GET /dump HTTP/1.0\r\n\r\n")
        answer = client.response()
        assert json.loads(answer.body)["http_version"] == "1.0"
        assert client.closed()
    with Client(asgi.address) as client:
        client.send(b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc")
        answer = client.response()
        assert answer.get("Transfer-Encoding") is None
        assert answer.body == b"abc"


def test_state_is_a_shallow_copy(asgi: Server) -> None:
    first = fetch(asgi.address, "/state").body.split()
    second = fetch(asgi.address, "/state").body.split()
    assert first[0] == second[0] == b"1"
    assert int(second[1]) == int(first[1]) + 1


def test_unix_listener(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "sock"
    serve(APP, "-k", "asgi", binds=[f"unix:{path}"])
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(path))
        sock.sendall(b"GET /dump HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    found = json.loads(data.partition(b"\r\n\r\n")[2])
    assert (found["server"], found["client"]) == ([str(path), None], None)


# receive


def test_no_body(asgi: Server) -> None:
    assert ask(asgi, "/messages") == [{"type": "http.request", "body": "", "more_body": False}]


def test_whole_body_in_one_message(asgi: Server) -> None:
    with Client(asgi.address) as client:
        got = json.loads(client.ask("/messages", "POST", body=b"abc").body)
    assert got == [{"type": "http.request", "body": "abc", "more_body": False}]


def test_body_arrives_as_it_is_sent(asgi: Server) -> None:
    """Each part comes back before the next is sent: nothing waits for the end."""
    with Client(asgi.address) as client:
        client.send(request("/echo", "POST", {"Transfer-Encoding": "chunked"}))
        for part in (b"one", b"two", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(part), part))
            if part == b"one":
                assert client.head().status == 200
            assert client.until(b"\r\n") == b"%x\r\n" % len(part)
            assert client.exactly(len(part) + 2) == part + b"\r\n"
        client.send(b"0\r\n\r\n")
        assert client.until(b"\r\n") == b"0\r\n"
        assert client.until(b"\r\n") == b"\r\n"
        assert client.closed(), "announced when the end of the body was not yet known"


def test_lazy_continue(asgi: Server) -> None:
    forget(asgi, "go", "waiting")
    with Client(asgi.address) as client:
        fields = {"Expect": "100-continue", "Content-Length": "5"}
        client.send(request("/unread-until-told", "POST", fields))
        noted(asgi, "waiting")
        client.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sock.recv(1)  # nobody has asked for the body
        client.sock.settimeout(10)
        (asgi.directory / "go").write_text("x")
        assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"12345")
        assert json.loads(client.response().body)["size"] == 5


def test_no_continue_after_a_final_status(asgi: Server) -> None:
    with Client(asgi.address) as client:
        fields = {"Expect": "100-continue", "Content-Length": "5"}
        client.send(request("/ignore", "POST", fields))
        answer = client.response()
        assert (answer.status, answer.body) == (200, b"ignored")


def test_unread_body(asgi: Server) -> None:
    with Client(asgi.address) as client:
        assert client.ask("/ignore", "POST", body=b"x" * 1000).body == b"ignored"
        assert client.ask("/hello").body == b"hello"


def test_receive_after_the_answer(asgi: Server) -> None:
    forget(asgi, "after")
    fetch(asgi.address, "/receive-after")
    assert noted(asgi, "after") == "http.disconnect"


def upload(server: Server, target: str, megabytes: int, watch: int) -> tuple[Any, float]:
    """Sends a large body; the answer, and by how many MiB process `watch` grew meanwhile."""
    before, most = rss_mib(watch), 0.0
    with Client(server.address, timeout_s=60) as client:
        client.send(request(target, "POST", {"Content-Length": str(megabytes << 20)}))
        for _ in range(megabytes * 4):
            client.sock.sendall(BLOCK * 4)
            most = max(most, rss_mib(watch) - before)
        return json.loads(client.response().body), most


@pytest.mark.memory
def test_upload_faster_than_it_is_read(asgi: Server) -> None:
    """The sender is held back: memory does not grow with the body."""
    (worker,) = asgi.worker_pids()
    found, grown = upload(asgi, "/digest?pause=0.002", 48, worker)
    assert found["size"] == 48 << 20
    assert found["sha256"] == hashlib.sha256(BLOCK * 16 * 48).hexdigest()
    assert grown < 16, f"{grown} MiB"


# send


def test_head_and_statuses_without_body(asgi: Server) -> None:
    with Client(asgi.address) as client:
        for method, code in (("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)):
            client.send(request(f"/status?code={code}", method))
            answer = client.response(method)
            assert (answer.status, answer.body, answer.get("X-Own")) == (code, b"", "1")
            if code == 204:
                assert answer.get("Content-Length") is None
            assert answer.get("Transfer-Encoding") is None
        assert client.ask("/hello").body == b"hello"


def test_headers(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(request("/headers"))
        head = client.until(b"\r\n\r\n").decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "X-Case: Kept\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n" in head
    assert head.lower().count("server:") == head.lower().count("date:") == 1


def test_early_hints(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(request("/hints"))
        for name in (b"a", b"b"):
            head = client.until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 103 Early Hints\r\n")
            assert b"link: </%b.css>" % name in head
        assert client.response().body == b"hinted"


def test_bytes_like_bodies(asgi: Server) -> None:
    assert fetch(asgi.address, "/memory").body == b"abcdef"


def test_reader_slower_than_the_application(asgi: Server) -> None:
    """send() waits: neither memory nor a file takes up the answer."""
    forget(asgi, "sent")
    (worker,) = asgi.worker_pids()
    before = rss_mib(worker)
    with Client(asgi.address, timeout_s=60) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(request("/big?mb=64", headers={"Connection": "close"}))
        assert client.head().status == 200
        quiet_for(0.5, "the application goes on no further than its reader")
        sent = asgi.directory / "sent"
        taken = int(sent.read_text()) if sent.exists() else 0
        assert taken < 64 * 16 / 2, "the application is to wait for its reader"
        assert rss_mib(worker) - before < 16
        assert fetch(asgi.address, "/hello").body == b"hello"
        assert hashlib.sha256(client.rest()).digest() == hashlib.sha256(BLOCK * 16 * 64).digest()


@pytest.mark.parametrize(
    ("what", "raised", "status"),
    [
        ("start-twice", "RuntimeError", 200),
        ("body-first", "RuntimeError", 500),
        ("body-after-end", "RuntimeError", 200),
        ("hint-after-start", "RuntimeError", 200),
        ("unknown", "RuntimeError", 500),
        ("no-type", "RuntimeError", 500),
        ("bad-status", "TypeError", 500),
        ("bad-header", "RuntimeError", 500),
        ("bad-name", "RuntimeError", 500),
        ("text-header", "TypeError", 500),
        ("text-body", "TypeError", 200),
    ],
)
def test_wrong_messages(asgi: Server, what: str, raised: str, status: int) -> None:
    name = f"wrong-{what}"
    forget(asgi, name)
    with Client(asgi.address) as client:
        client.send(request(f"/wrong?what={what}"))
        assert client.head().status == status
    assert noted(asgi, name) == raised


def test_exception_before_the_start(asgi: Server) -> None:
    answer = fetch(asgi.address, "/raise-before")
    assert answer.status == 500
    assert b"on purpose" not in answer.body
    log = asgi.wait_log("raised on purpose before")
    assert "Error handling request GET /raise-before" in log


def test_exception_after_the_start(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(request("/raise-after"))
        assert client.head().status == 200
        rest = client.rest()
    assert b"some" in rest and not rest.endswith(b"0\r\n\r\n"), "the answer must not look whole"
    asgi.wait_log("raised on purpose after")


def test_return_without_an_answer(asgi: Server) -> None:
    assert fetch(asgi.address, "/return-before").status == 500
    asgi.wait_log("GET /return-before without a complete response")
    with Client(asgi.address) as client:
        client.send(request("/return-after"))
        assert client.head().status == 200
        assert client.rest() == b"some"
    asgi.wait_log("GET /return-after without a complete response")


def test_access_lines(asgi: Server) -> None:
    fetch(asgi.address, "/hello?access=1")
    lines = wait_for(
        lambda: [line for line in asgi.access_lines() if "access=1" in line], "an access line"
    )
    assert '"GET /hello?access=1 HTTP/1.1" 200 5 ' in lines[0]


# Connections


def test_keep_alive_and_pipelining(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(
            request("/sleep?s=0.1") + request("/echo", "POST", body=b"abc") + request("/hello")
        )
        assert [client.response().body for _ in range(3)] == [b"slept", b"abc", b"hello"]
        began = time.monotonic()
        for _ in range(50):
            assert client.ask("/hello").body == b"hello"
        one_by_one_s = time.monotonic() - began
        client.send(request("/hello") * 50)
        assert [client.response().body for _ in range(50)] == [b"hello"] * 50
        assert time.monotonic() - began < 11 * max(one_by_one_s, 0.05), "they wait for no tick"


def test_background_work_does_not_hold_the_connection(asgi: Server) -> None:
    forget(asgi, "done")
    with Client(asgi.address) as client:
        assert client.ask("/background?s=0.5").body == b"answered"
        assert client.ask("/hello").body == b"hello"
        assert not (asgi.directory / "done").exists()
    noted(asgi, "done")


@pytest.mark.parametrize("target", ["/crowd", "/crowd?behind=1"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_pipelined_requests_make_no_crowd(serve: StartServer, loop: str, target: str) -> None:
    """One connection runs one request at a time. Work behind the answers does not hold it, but
    counts for the limit that was asked for."""
    server = serve(APP, *ASGI, loop, "--worker-connections", "3")
    with Client(server.address) as client:
        client.send(request(target) * 30)
        most = [int(client.response().body) for _ in range(30)][-1]
    assert most == (3 if "behind" in target else 1)


def test_background_work_outlives_the_client(asgi: Server) -> None:
    forget(asgi, "done")
    assert fetch(asgi.address, "/background?s=0.3").body == b"answered"
    noted(asgi, "done")


# Departures


def left_during(server: Server, target: str) -> float:
    """When a client left that had asked for this."""
    forget(server, "present", "disconnect", "again", "cancelled")
    with Client(server.address) as client:
        client.send(request(target))
        noted(server, "present")
    return time.monotonic()


@pytest.mark.parametrize("grace", [0, 1])
def test_departure(serve: StartServer, grace: int) -> None:
    server = serve(APP, "-k", "asgi", "--asgi-disconnect-grace-period", str(grace))
    left = left_during(server, "/deaf")
    assert grace - 0.2 < float(noted(server, "cancelled")) - left < grace + 1.5
    left = left_during(server, "/departure")
    if grace:
        assert float(noted(server, "disconnect")) - left < 1
        assert noted(server, "again") == "http.disconnect"
    assert float(noted(server, "cancelled")) - left < grace + 1.5
    assert "Traceback" not in server.log()
    assert fetch(server.address, "/hello").body == b"hello"


def test_departure_in_the_middle_of_a_body(serve: StartServer) -> None:
    server = serve(APP, "-k", "asgi", expects=["ConnectionError: the client left"])
    with Client(server.address) as client:
        client.send(request("/unread-until-told", "POST", {"Content-Length": "100"}) + b"x")
        noted(server, "waiting")
    (server.directory / "go").write_text("x")
    server.wait_log("ConnectionError: the client left")
    assert fetch(server.address, "/hello").body == b"hello"


def test_departures_before_anybody_looks(serve: StartServer) -> None:
    """Clients that leave, or break their body, while their request waits for its turn."""
    server = serve(APP, "-k", "asgi", expects=["ConnectionError: the client left"])
    (pid,) = server.worker_pids()
    coded = request("/echo", "POST", {"Transfer-Encoding": "chunked"})
    for index in range(300):
        with connect(server.address) as sock:
            if index % 2:
                sock.sendall(request("/echo", "POST", {"Content-Length": "100"}) + b"x")
            else:
                sock.sendall(coded + b"1\r\nx\r\nzz\r\n")
        if index % 10 == 0:
            assert fetch(server.address, "/hello").body == b"hello"
    assert int(fetch(server.address, "/pid").body) == pid
    log = server.log()
    assert log.count("Traceback") == log.count("ConnectionError: the client left")


# Limits


def test_body_limits(serve: StartServer) -> None:
    server = serve(APP, "-k", "asgi", "--limit-request-body", "1000")
    server.announce("the client left")
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Content-Length": "1001"}))
        assert client.response().status == 413
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Transfer-Encoding": "chunked"}))
        client.send(chunked(b"x" * 600, b"x" * 600))
        assert client.response().status == 413
    with Client(server.address) as client:
        assert json.loads(client.ask("/digest", "POST", body=b"x" * 1000).body)["size"] == 1000


def test_broken_chunk(asgi: Server) -> None:
    with Client(asgi.address) as client:
        client.send(request("/digest", "POST", {"Transfer-Encoding": "chunked"}) + b"zz\r\n")
        assert client.response().status == 400

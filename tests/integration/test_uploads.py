"""request_buffering: bodies that stream to the application, in each worker class."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from client import Client, Gone, chunked, fetch, request
from conftest import StartServer
from harness import Server, rss_mib, wait_for
from nginx import Front, nginx
from patience import pace, quiet_for
from test_wsgi_input import BODY, SCRIPTS

pytestmark = pytest.mark.beyond("has no such setting", strict=False)

KINDS = {
    "sync": ("-k", "sync"),
    "gthread": ("-k", "gthread", "--threads", "4"),
    "gevent": ("-k", "gevent"),
}
SETTINGS = ("--request-buffering", "off", "--access-logfile", "-", "--client-body-timeout", "1")
ASKS = {"Expect": "100-continue"}


@pytest.fixture(scope="module", params=KINDS)
def off(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A worker of each class, whose application reads bodies as they come."""
    kind = KINDS[request.param]
    directory = tmp_path_factory.mktemp("off")
    with Server("uploads:app", *kind, *SETTINGS, directory=directory) as server:
        yield server


def told(server: Server, name: str) -> str:
    """What the application has noted."""
    path = server.directory / name
    return path.read_text() if path.exists() else ""


def ask(client: Client, target: str, length: int | None, **fields: str) -> None:
    """The head of a POST, and its 100 Continue: the application has begun to read."""
    framing = (
        {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    )
    client.send(request(target, "POST", {**ASKS, **framing, **fields}))
    assert client.head().status == 100


def spills(pid: int) -> list[str]:
    """The unnamed files that a worker has open."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(fd))
        except FileNotFoundError:
            continue
    return [path for path in found if path.endswith("(deleted)") and "monoceros" not in path]


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("index", range(len(SCRIPTS)))
def test_reading(off: Server, index: int, coded: bool) -> None:
    """Every way of reading, with the body coming in pieces behind the application's first look."""
    steps, expected = SCRIPTS[index]
    with Client(off.address) as client:
        target = "/input?" + "&".join(f"do={quote(step)}" for step in steps)
        if steps[0].endswith(":0"):
            client.send(request(target, "POST", {"Content-Length": str(len(BODY))}))
        else:
            ask(client, target, None if coded else len(BODY))
        coded = coded and not steps[0].endswith(":0")
        for at in range(0, len(BODY), 7):
            client.send(chunked(BODY[at : at + 7])[:-5] if coded else BODY[at : at + 7])
        if coded:
            client.send(b"0\r\n\r\n")
        response = client.response()
        assert json.loads(response.body) == expected
        if response.get("Connection") == "keep-alive":  # the application took all of it
            assert client.ask("/hello").body == b"hello"


@pytest.mark.memory
def test_a_large_body_takes_no_memory_and_no_disk(off: Server) -> None:
    (pid,) = off.worker_pids()
    fetch(off.address, "/hello")
    before = rss_mib(pid)
    block = bytes(range(256)) * 1024
    hashed = hashlib.sha256()
    for framing in ({"Content-Length": str(400 * len(block))}, {"Transfer-Encoding": "chunked"}):
        coded = "Transfer-Encoding" in framing
        hashed = hashlib.sha256()
        with Client(off.address) as client:
            client.send(request("/digest", "POST", framing))
            for index in range(400):
                hashed.update(block)
                client.send(chunked(block)[:-5] if coded else block)
                if index == 200:
                    assert rss_mib(pid) - before < 8 and not spills(pid)
            client.send(b"0\r\n\r\n" if coded else b"")
            assert client.response().text == f"{400 * len(block)} {hashed.hexdigest()}"


def test_the_sender_waits_for_the_application(off: Server) -> None:
    (off.directory / "go").unlink(missing_ok=True)
    with Client(off.address) as client:
        client.send(request("/first?bytes=5", "POST", {"Content-Length": "900000000"}), b"hello")
        wait_for(lambda: "hello" in told(off, "first"), "the application to read")
        client.sock.settimeout(0.3)
        sent, block = 0, b"x" * 65536
        with pytest.raises(TimeoutError):
            while sent < 100_000_000:
                sent += client.sock.send(block)
        assert sent < 20_000_000  # what the kernel's two buffers and ours hold
        quiet_for(1.0, "nobody is refused, past client_body_timeout: the client is not slow")
        (off.directory / "go").write_text("x")
        client.sock.settimeout(15)
        response = client.response()
    (off.directory / "go").unlink()
    assert (response.body, response.get("Connection")) == (b"hello", "close")


def test_who_is_refused_is_not_asked_to_continue(off: Server) -> None:
    with Client(off.address) as client:
        client.send(request("/ignore", "POST", {**ASKS, "Content-Length": "5000000000"}))
        response = client.head()
        assert (response.status, response.get("Connection")) == (200, "close")
        assert client.exactly(7) == b"ignored" and client.closed()


def test_unread_body_is_no_request(off: Server) -> None:
    evil = b"GET /hello HTTP/1.1\r\nHost: evil\r\n\r\n"
    for rest in (evil * 3, evil * 20_000):
        with Client(off.address) as client:
            client.send(request("/ignore", "POST", {"Content-Length": str(len(rest) + 9)}))
            assert client.response().body == b"ignored"
            try:
                client.send(rest)
            except OSError:
                pass
            assert client.rest() == b""


def test_pipelined_behind_a_body(off: Server) -> None:
    with Client(off.address) as client:
        for length in (10, None):
            ask(client, "/digest", length)
            body = b"0123456789" if length else chunked(b"01234", b"56789")
            client.send(body + request("/pid") + request("/hello"))
            size, digest = client.response().text.split()
            assert (size, digest) == ("10", hashlib.sha256(b"0123456789").hexdigest())
            assert client.response().body.isdigit()
            assert client.response().body == b"hello"


def test_a_dialogue(off: Server) -> None:
    """An answer that goes out while the body comes in."""
    with Client(off.address) as client:
        ask(client, "/lines", None)
        for line in (b"one\n", b"two\n"):
            client.send(b"%x\r\n%b\r\n" % (len(line), line))
            while line not in client.buffer:
                client.fill()
        client.send(b"0\r\n\r\n")
        assert client.response().body == b"one\ntwo\n"


@pytest.mark.parametrize("step", [10, 0x10000])
@pytest.mark.parametrize("length", [1000, None])
def test_a_client_that_leaves(off: Server, length: int | None, step: int) -> None:
    (off.directory / "raised").unlink(missing_ok=True)
    tracebacks = off.log().count("Traceback")
    lines = sum(" 400 " in line for line in off.access_lines())
    with Client(off.address) as client:
        ask(client, f"/digest?step={step}", length)
        client.send(b"a" * 40 if length else b"40\r\n" + b"a" * 40)
    story = wait_for(lambda: told(off, "raised"), "the application to hear of it")
    assert story.startswith("ClientDisconnected/ConnectionResetError/ConnectionError/OSError/")
    assert "the client left after 40 bytes" in story
    assert fetch(off.address, "/hello").body == b"hello"
    assert off.log().count("Traceback") == tracebacks
    wait_for(
        lambda: sum(" 400 " in line for line in off.access_lines()) == lines + 1, "its access line"
    )


def test_a_body_that_goes_wrong(off: Server) -> None:
    (off.directory / "raised").unlink(missing_ok=True)
    with Client(off.address) as client:
        ask(client, "/digest", None)
        client.send(b"3\r\nabcX")
        response = client.response()
        assert (response.status, response.get("Connection")) == (400, "close")
    story = wait_for(lambda: told(off, "raised"), "the application to hear of it")
    assert "A chunk's data is not followed by CRLF" in story
    off.wait_log("[chunk-end at byte")
    assert fetch(off.address, "/hello").body == b"hello"


def test_a_sender_that_trickles(off: Server) -> None:
    (off.directory / "raised").unlink(missing_ok=True)
    with Client(off.address) as client:
        client.send(request("/digest", "POST", {"Content-Length": "500"}))
        client.drip(20)
        assert client.response().status == 408
    assert "more slowly" in wait_for(lambda: told(off, "raised"), "the application to hear of it")


def test_many_at_once(off: Server) -> None:
    """More senders than slots: each waits its turn; the connections of others do not suffer."""
    answers: list[str] = []

    def send(number: int) -> None:
        body = bytes([number]) * 300_000
        with Client(off.address) as client:
            client.send(request("/digest", "POST", {"Content-Length": str(len(body))}))
            for at in range(0, len(body), 60_000):
                client.send(body[at : at + 60_000])
            if client.response().text == f"{len(body)} {hashlib.sha256(body).hexdigest()}":
                answers.append("right")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 20


def test_a_thread_that_reads_on(off: Server) -> None:
    (off.directory / "late").unlink(missing_ok=True)
    (off.directory / "late-begun").unlink(missing_ok=True)
    with Client(off.address) as client:
        client.send(request("/late", "POST", {"Content-Length": "100"}))
        assert client.response().body == b"answered"
    assert wait_for(lambda: told(off, "late"), "the thread") in ("ValueError\n", "got b''\n")
    assert fetch(off.address, "/hello").body == b"hello"


def test_threads_that_read_together(off: Server) -> None:
    """Every byte is read once."""
    body = b"".join(b"%016d" % number * 4096 for number in range(40))
    with Client(off.address) as client:
        ask(client, "/shared-input", len(body))
        client.send(body)
        got = client.response().body
    assert len(got) == len(body)
    assert sorted(got[at : at + 16] for at in range(0, len(got), 16)) == sorted(
        body[at : at + 16] for at in range(0, len(body), 16)
    )


# Real clients


def test_curl(off: Server, tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(os.urandom(3_000_000))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    curl = ["curl", "-sS", "--expect100-timeout", "20", "-w", " %{http_code}", "-T", str(file)]
    for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]):
        done = subprocess.run(
            [*curl, *more, f"{off.url}/digest"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert done.stdout == f"3000000 {digest} 200", done
    refused = subprocess.run(
        [*curl, f"{off.url}/ignore"], capture_output=True, text=True, timeout=20, check=False
    )
    assert refused.stdout == "ignored 200", refused


def test_requests(off: Server) -> None:
    requests = pytest.importorskip("requests")
    block = b"0123456789" * 1000
    with requests.Session() as session:
        for _ in range(2):
            answer = session.post(f"{off.url}/digest", data=(block for _ in range(300)), timeout=20)
            assert answer.text == f"3000000 {hashlib.sha256(block * 300).hexdigest()}"
        answer = session.post(f"{off.url}/digest", data=block * 300, timeout=20)
        assert answer.text == f"3000000 {hashlib.sha256(block * 300).hexdigest()}"
        assert session.get(f"{off.url}/hello", timeout=20).text == "hello"


@pytest.mark.parametrize("keep_alive", [False, True])
def test_behind_nginx(off: Server, tmp_path: Path, keep_alive: bool) -> None:
    front = Front(keep_alive=keep_alive, request_buffering=False)
    block = os.urandom(1 << 20)
    with nginx(f"127.0.0.1:{off.port}", tmp_path, front) as port:
        address = ("127.0.0.1", port)
        (off.directory / "read").unlink(missing_ok=True)
        with Client(address) as client:
            client.send(request("/digest", "POST", {"Content-Length": str(8 << 20)}), block)
            wait_for(lambda: told(off, "read"), "the application to read what is there")
            for _ in range(7):
                client.send(block)
            assert client.response().text == f"{8 << 20} {hashlib.sha256(block * 8).hexdigest()}"
            assert client.ask("/hello").body == b"hello"
            assert client.ask("/ignore", "POST", body=block).body == b"ignored"
        with Client(address) as client:
            client.send(request("/digest", "POST", {"Content-Length": "900"}), b"x")
        assert fetch(address, "/hello").body == b"hello"


# Beside the worker's other duties


@pytest.mark.parametrize("kind", KINDS)
def test_a_late_request(serve: StartServer, kind: str) -> None:
    """request_timeout goes on from the head: 504, and the worker lives."""
    server = serve("uploads:app", *KINDS[kind], *SETTINGS[:2], "--request-timeout", "1")
    (pid,) = server.worker_pids()
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Content-Length": "100"}), b"half")
        assert client.response().status == 504
    # A read that waits ends with the answer, or by the interruption: whichever comes first.
    wait_for(
        lambda: (
            "did not answer in time" in told(server, "raised")
            or "Request timed out: POST /digest" in server.log()
        ),
        "the application's end",
    )
    assert fetch(server.address, "/pid").body == b"%d" % pid


def test_a_slow_upload_is_a_sign_of_life(serve: StartServer) -> None:
    """The sync worker's heart beats while the application waits for its client."""
    server = serve("uploads:app", *SETTINGS[:2], "--timeout", "1")
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Content-Length": "30"}))
        for _ in range(30):
            client.send(b"x")
            pace(0.1, "a slow upload")
        assert client.response().text.startswith("30 ")
    assert "WORKER TIMEOUT" not in server.log()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_waits_for_an_upload(serve: StartServer, kind: str) -> None:
    server = serve("uploads:app", *KINDS[kind], *SETTINGS[:2], "--max-requests", "50")
    with Client(server.address) as client:
        ask(client, "/digest", 6)
        client.send(b"abc")
        server.signal(signal.SIGTERM)
        server.wait_log("Handling signal: term")
        quiet_for(0.2, "the stop does not cut it off")
        client.send(b"def")
        response = client.response()
        assert (response.text[:2], response.get("Connection")) == ("6 ", "close")
    assert server.wait() == 0
    assert "accepted 1 = answered 1 + refused 0 + aborted 0" in server.log()


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_are_counted(serve: StartServer, kind: str) -> None:
    """What a sibling may take over is whole: a streamed request stays. The ledger adds up."""
    server = serve("uploads:app", *KINDS[kind], *SETTINGS, workers=2)
    for _ in range(3):
        with Client(server.address) as client:
            client.send(request("/digest", "POST", {"Content-Length": "50"}), b"half")
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Transfer-Encoding": "chunked"}), b"3\r\nabcX")
        assert client.response().status == 400
    uploads = [Client(server.address) for _ in range(6)]
    for client in uploads:
        client.send(request("/digest", "POST", {"Content-Length": "50"}), b"h")
    for client in reversed(uploads):
        client.send(b"h" * 49)
    for client in uploads:
        assert client.response().text.startswith("50 ")
        client.sock.close()
    assert server.stop() == 0
    assert "accepted 10 = answered 6 + refused 1 + aborted 3" in server.log()


# Rules


def test_a_size_is_the_bound(serve: StartServer) -> None:
    server = serve("uploads:app", "--threads", "2", "--request-buffering", "/up=20K")
    for target, length, early in (
        ("/up/digest", 20_481, True),
        ("/up/digest", 20_480, False),
        ("/digest", 900_000, False),
    ):
        with Client(server.address) as client:
            client.send(request(target, "POST", {**ASKS, "Content-Length": str(length)}))
            assert client.head().status == 100
            assert bool(told(server, "begun")) == early
            client.send(b"x" * length)
            assert client.response().text.startswith(f"{length} ")
        (server.directory / "begun").unlink()


def test_rules_that_are_none(launch: StartServer) -> None:
    server = launch("uploads:app", "--request-buffering", "/up=perhaps")
    assert server.wait() == 1
    assert "request_buffering must be on, off or a number of bytes" in server.log()


def test_tornado_says_that_it_has_its_own_way(serve: StartServer) -> None:
    pytest.importorskip("tornado")
    server = serve("uploads:app", "-k", "tornado", "--request-buffering", "off")
    assert "request_buffering has no effect on tornado workers" in server.log()
    with Client(server.address) as client:
        assert client.ask("/digest", "POST", body=b"12345").text.startswith("5 ")


# ASGI: streams unless told otherwise


@pytest.mark.parametrize("rule", ["on", "off", "100K", ""])
def test_asgi(serve: StartServer, rule: str) -> None:
    more = ("--request-buffering", rule) if rule else ()
    server = serve("asgi_probe:app", "-k", "asgi", *more)
    body = os.urandom(300_000)
    streams = rule != "on"
    with Client(server.address) as client:
        client.send(request("/digest", "POST", {"Content-Length": str(len(body))}))
        client.send(body[:1000])
        pace(0.1, "the body comes in two pieces")
        client.send(body[1000:])
        found = client.response()
        assert hashlib.sha256(body).hexdigest() in found.text
        for small in (b"tiny", b"x" * 70_000):
            answer = client.ask("/digest", "POST", {"Transfer-Encoding": "chunked"}, chunked(small))
            assert hashlib.sha256(small).hexdigest() in answer.text
            answer = client.ask("/digest", "POST", body=small)
            assert hashlib.sha256(small).hexdigest() in answer.text
        # Who is asked to go on by the server has not been heard by the application.
        client.send(request("/hello", "POST", {**ASKS, "Content-Length": "200000"}))
        assert client.head().status == (200 if streams else 100)


def test_asgi_begins_when_the_body_is_there(serve: StartServer) -> None:
    server = serve(
        "asgi_probe:app", "-k", "asgi", "--request-buffering", "on", "--access-logfile", "-"
    )
    with Client(server.address) as client, pytest.raises(Gone):
        client.send(request("/digest", "POST", {"Content-Length": "10"}), b"half")
        client.sock.shutdown(socket.SHUT_WR)
        client.response()
    assert fetch(server.address, "/hello").body == b"hello"
    assert server.stop() == 0
    assert "accepted 1 = answered 1" in server.log()

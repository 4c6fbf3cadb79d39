"""Every limit and refusal on the live socket: status, short body, one line in each log."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Iterator

import pytest

from client import Client, chunked, fetch, request
from harness import Server, is_established, wait_for
from patience import pace

SETTINGS = [
    *("--limit-request-line", "200"),
    *("--limit-request-fields", "10"),
    *("--limit-request-field_size", "300"),
    *("--access-logfile", "-"),
]
OUR_SETTINGS = [
    *("--limit-request-body", "1000"),
    *("--limit-request-head", "1500"),
    *("--client-header-timeout", "1"),
    *("--client-body-timeout", "1"),
    *("--send-timeout", "1"),
    *("--access-logfile", "-"),
]
COMPLAINT = re.compile(r"^\[[^]]+\] \[\d+\] \[(?:WARNING|ERROR)\] .*$", re.MULTILINE)
NO_LINE = pytest.mark.beyond("logs no access line for what it could not parse")
OURS = pytest.mark.beyond("has no such setting")


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """gunicorn's limits, low."""
    directory = tmp_path_factory.mktemp("limited")
    with Server("probe:app", *SETTINGS, directory=directory) as server:
        yield server


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The settings that gunicorn does not have, low."""
    directory = tmp_path_factory.mktemp("ours")
    with Server("probe:app", *OUR_SETTINGS, directory=directory) as server:
        yield server


def get(*lines: str, first: str = "GET /hello HTTP/1.1") -> bytes:
    """A request with these field lines after Host."""
    return "\r\n".join([first, "Host: a", *lines, "", ""]).encode("latin-1")


def post(*lines: str, body: bytes = b"") -> bytes:
    """A POST with these field lines and this body."""
    return get(*lines, first="POST /echo HTTP/1.1") + body


CODED = "Transfer-Encoding: chunked"
REFUSALS: dict[str, tuple[int, bytes]] = {
    "line-too-long": (414, get(first=f"GET /{'x' * 200} HTTP/1.1")),
    "line-without-end": (414, b"GET /" + b"x" * 4000),
    "fields-too-many": (431, get(*(f"X-{index}: 1" for index in range(10)))),
    "field-too-long": (431, get(f"X-Long: {'x' * 300}")),
    "two-words": (400, b"GET /hello\r\nHost: a\r\n\r\n"),
    "four-words": (400, b"GET /hello x HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower-case-method": (400, b"get /hello HTTP/1.1\r\nHost: a\r\n\r\n"),
    "version-2": (400, b"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n"),
    "version-word": (400, b"GET /hello HTTX/1.1\r\nHost: a\r\n\r\n"),
    "target-8-bit": (400, b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "target-relative": (400, b"GET hello HTTP/1.1\r\nHost: a\r\n\r\n"),
    "asterisk-get": (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    "bare-lf": (400, b"GET /hello HTTP/1.1\nHost: a\n\n"),
    "tls-hello": (400, bytes.fromhex("16030100c8010000c40303") + b"\n\r\n\r\n"),
    "name-with-space": (400, get("X Bad: 1")),
    "space-before-colon": (400, get("X-Bad : 1")),
    "no-colon": (400, get("nonsense")),
    "empty-name": (400, get(": 1")),
    "nul-in-value": (400, get("X-Bad: a\0b")),
    "cr-in-value": (400, get("X-Bad: a\rb")),
    "folding": (400, get("X-Fold: a", " b")),
    "two-hosts": (400, get("Host: b")),
    "length-sign": (400, post("Content-Length: +3", body=b"abc")),
    "length-negative": (400, post("Content-Length: -1")),
    "length-list": (400, post("Content-Length: 3, 3", body=b"abc")),
    "length-twice": (400, post("Content-Length: 3", "Content-Length: 3", body=b"abc")),
    "length-and-chunked": (400, post("Content-Length: 3", CODED, body=chunked(b"abc"))),
    "chunked-twice": (400, post(CODED, CODED, body=chunked(b"abc"))),
    "coding-after-chunked": (400, post("Transfer-Encoding: chunked, gzip")),
    "expectation": (417, post("Content-Length: 1", "Expect: 200-ok", body=b"x")),
    "coding-unknown": (501, post("Transfer-Encoding: bogus, chunked", body=chunked(b"abc"))),
    "chunk-size": (400, post(CODED, body=b"x\r\n\r\n")),
    "chunk-size-sign": (400, post(CODED, body=b"+3\r\nabc\r\n0\r\n\r\n")),
    "chunk-extension": (400, post(CODED, body=b"3;=\r\nabc\r\n0\r\n\r\n")),
    "chunk-end": (400, post(CODED, body=b"3\r\nabcdef\r\n0\r\n\r\n")),
    "trailer-forbidden": (400, post(CODED, body=chunked(b"x", trailers=b"Host: b\r\n"))),
}
BEYOND_64_BITS = {
    "length": post("Content-Length: 18446744073709551617", body=b"x"),
    "chunk": post(CODED, body=b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
}


def refuse(server: Server, data: bytes, status: int) -> None:
    """Sends the bytes; demands the status, a short page and a closed connection."""
    with Client(server.address) as client:
        client.send(data)
        response = client.response()
        assert response.status == status, response
        assert response.get("Connection") == "close"
        assert response.get("Content-Length") == str(len(response.body))
        assert 0 < len(response.body) < 1024
        assert client.closed()


def settle(server: Server) -> None:
    """Returns when the access log has caught up with earlier tests."""
    mark = uuid.uuid4().hex
    fetch(server.address, f"/hello?{mark}")
    wait_for(lambda: any(mark in line for line in server.access_lines()), "the access log", 5)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal(limited: Server, name: str) -> None:
    """Refused as it should be, while the connection beside it stays alive."""
    status, data = REFUSALS[name]
    with Client(limited.address) as beside:
        assert beside.ask("/hello").body == b"hello"
        refuse(limited, data, status)
        assert beside.ask("/hello").body == b"hello"


# What another protocol begins with is said once in ten seconds only.
@pytest.mark.parametrize("name", [name for name in REFUSALS if name != "tls-hello"])
def test_refusal_has_one_reason_in_the_error_log(limited: Server, name: str) -> None:
    status, data = REFUSALS[name]
    before = len(limited.log())
    refuse(limited, data, status)
    limited_log = wait_for(lambda: COMPLAINT.findall(limited.log()[before:]), "a reason")
    fetch(limited.address, "/hello")
    (line,) = COMPLAINT.findall(limited.log()[before:])
    assert limited_log == [line]
    if status != 501:
        assert "[WARNING] Invalid request from ip=127.0.0.1: " in line
    assert len(line) < 500 and line.isprintable()


@NO_LINE
@pytest.mark.parametrize("name", ["line-too-long", "field-too-long", "two-words", "bare-lf"])
def test_refusal_has_one_access_line(limited: Server, name: str) -> None:
    status, data = REFUSALS[name]
    settle(limited)
    before = len(limited.access_lines())
    refuse(limited, data, status)
    wait_for(lambda: len(limited.access_lines()) > before, "the access-log line", 2)
    fetch(limited.address, "/hello")
    wait_for(lambda: len(limited.access_lines()) > before + 1, "the next access-log line", 2)
    lines = limited.access_lines()[before:]
    assert [line.split('"')[2].split()[0] for line in lines] == [str(status), "200"]


@pytest.mark.beyond("lingers two seconds in its main loop")
def test_refused_client_that_stays_costs_nothing(limited: Server) -> None:
    """Whoever keeps the refused connection open on his side holds nobody up."""
    with Client(limited.address) as stays:
        stays.send(REFUSALS["two-words"][1])
        assert stays.response().status == 400
        started = time.monotonic()
        assert fetch(limited.address, "/hello").body == b"hello"
        assert time.monotonic() - started < 1


@pytest.mark.beyond("counts without end", strict=False)
@pytest.mark.parametrize("name", BEYOND_64_BITS)
def test_beyond_64_bits(limited: Server, name: str) -> None:
    refuse(limited, BEYOND_64_BITS[name], 400)


def test_at_the_limits(limited: Server) -> None:
    """One less than too much is fine."""
    line = "GET /status?line=200&x={} HTTP/1.1"
    line = line.format("x" * (200 - len(line) + 2))
    assert len(line) == 200
    fields = [f"X-{index}: 1" for index in range(8)]
    field = f"X-Long: {'x' * (298 - len('X-Long: '))}"
    with Client(limited.address) as client:
        client.send(get(*fields, field, first=line))
        assert client.response().status == 200


@OURS
def test_body_too_large_by_its_length(ours: Server) -> None:
    """Refused by the head alone, before any of it came."""
    refuse(ours, post("Content-Length: 1001"), 413)
    refuse(ours, post("Content-Length: 1001", "Expect: 100-continue"), 413)


@OURS
def test_body_too_large_in_chunks(ours: Server) -> None:
    refuse(ours, post(CODED, body=chunked(b"x" * 600, b"x" * 600)), 413)
    refuse(ours, post(CODED, body=b"ffffff\r\n"), 413)


@OURS
def test_body_just_small_enough(ours: Server) -> None:
    with Client(ours.address) as client:
        assert len(client.ask("/echo", "POST", body=b"x" * 1000).body) == 1000
        coded = {"Transfer-Encoding": "chunked"}
        assert len(client.ask("/echo", "POST", coded, chunked(b"x" * 999, b"y")).body) == 1000


@OURS
def test_head_too_large(ours: Server) -> None:
    refuse(ours, get(*(f"X-{index}: {'x' * 200}" for index in range(8))), 431)
    refuse(ours, b"GET / HTTP/1.1\r\n" + b"X-A: 1\r\n" * 99 + b"X-" * 400, 431)


@OURS
def test_head_timeout(ours: Server) -> None:
    """From the head's first byte; trickling does not extend it."""
    started = time.monotonic()
    with Client(ours.address) as client:
        client.send(b"GET /hello HT")
        response = client.response()
        assert response.status == 408 and response.get("Connection") == "close"
        assert client.closed()
    assert 0.8 < time.monotonic() - started < 4


@OURS
def test_head_timeout_of_a_trickler(ours: Server) -> None:
    started = time.monotonic()
    with Client(ours.address) as client, pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.trickle(get(*["X-Slow: " + "x" * 200] * 3), 0.05)
    assert time.monotonic() - started < 5


@OURS
def test_body_timeout(ours: Server) -> None:
    started = time.monotonic()
    refuse(ours, post("Content-Length: 10", body=b"half"), 408)
    refuse(ours, post(CODED, body=b"5\r\nhal"), 408)
    assert 1.6 < time.monotonic() - started < 8


@OURS
@pytest.mark.parametrize("head", [f"{CODED}\r\n\r\n190\r\n", "Content-Length: 400\r\n\r\n"])
def test_body_that_trickles(ours: Server, head: str) -> None:
    """Each piece comes in time, but all of them together slower than body_rate_min."""
    with Client(ours.address) as client:
        client.send(f"POST /echo HTTP/1.1\r\nHost: a\r\n{head}".encode())
        client.drip(20)
        response = client.response()
    assert (response.status, response.get("Connection")) == (408, "close")
    ours.wait_log("[body-too-slow at byte ")
    assert ours.access_lines()[-1].split('"')[2].split()[0] == "408"


@OURS
def test_send_timeout(ours: Server) -> None:
    """Who stops reading is dropped; the answer then ends too early."""
    with Client(ours.address) as client:
        client.send(request("/big?mb=20"))
        length = client.head().get("Content-Length")
        port = client.sock.getsockname()[1]
        assert is_established(ours.port, port)
        wait_for(lambda: not is_established(ours.port, port), "the drop", 8)
        assert len(client.rest()) < int(length or 0)


@OURS
def test_send_timeout_spares_who_reads_slowly(ours: Server) -> None:
    """Twice the timeout in all, but always some progress."""
    with Client(ours.address) as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(request("/big?mb=20"))
        length = int(client.head().get("Content-Length") or 0)
        got = 0
        for _ in range(8):
            got += len(client.exactly(length // 10))
            pace(0.25, "a slow reader")
        assert got + len(client.exactly(length - got)) == length


@OURS
def test_refusals_of_ours_are_logged(ours: Server) -> None:
    settle(ours)
    before, lines = len(ours.log()), len(ours.access_lines())
    refuse(ours, post("Content-Length: 5000"), 413)

    def refused() -> list[str]:
        return [
            line for line in ours.access_lines()[lines:] if '"POST /echo HTTP/1.1" 413 ' in line
        ]

    assert len(wait_for(refused, "the access-log line", 2)) == 1
    (line,) = wait_for(lambda: COMPLAINT.findall(ours.log()[before:]), "a reason", 2)
    assert "Invalid request from ip=127.0.0.1: " in line

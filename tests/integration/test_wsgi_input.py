"""wsgi.input: every way of reading, with a length and chunked, small and large."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

import pytest

from client import Client, chunked, request
from harness import Server

BODY = b"first\nsecond line\n\nthird without end"
LINES = ["first\n", "second line\n", "\n", "third without end"]
TEXT = BODY.decode()

SCRIPTS: list[tuple[list[str], list[object]]] = [
    (["read"], [TEXT]),
    (["read:None"], [TEXT]),
    (["read:-1"], [TEXT]),
    (["read:0", "read"], ["", TEXT]),
    (["read:5", "read:3", "read"], [TEXT[:5], TEXT[5:8], TEXT[8:]]),
    (["read:9999", "read", "read:1"], [TEXT, "", ""]),
    (["readline", "readline", "readline", "readline", "readline"], [*LINES, ""]),
    (["readline:3", "readline:3", "readline"], ["fir", "st\n", LINES[1]]),
    (["readline:-1", "readline:None"], [LINES[0], LINES[1]]),
    (["readline:0", "readline"], ["", LINES[0]]),
    (["readline:9999"], [LINES[0]]),
    (["readlines"], [LINES]),
    (["iter"], [LINES]),
    (["read:3", "readline", "iter"], ["fir", "st\n", LINES[1:]]),
    (["readline", "readlines", "read"], [LINES[0], LINES[1:], ""]),
    (["iter", "iter", "read"], [LINES, [], ""]),
]


def run_script(server: Server, steps: list[str], data: bytes) -> list[object]:
    """What the steps gave."""
    target = "/input?" + "&".join(f"do={quote(step)}" for step in steps)
    head, _, body = data.partition(b"\r\n\r\n")
    with Client(server.address) as client:
        client.send(head.replace(b"TARGET", target.encode(), 1), b"\r\n\r\n", body)
        response = client.response()
        assert client.ask("/hello").body == b"hello"  # and the connection is in step
    assert response.status == 200
    found = json.loads(response.body)
    assert isinstance(found, list)
    return found


FRAMINGS = {
    "length": request("TARGET", "POST", body=BODY),
    "chunked-one": request("TARGET", "POST", {"Transfer-Encoding": "chunked"}, chunked(BODY)),
    "chunked-bytes": request(
        "TARGET",
        "POST",
        {"Transfer-Encoding": "chunked"},
        chunked(*(BODY[index : index + 1] for index in range(len(BODY)))),
    ),
    "chunked-frills": request(
        "TARGET",
        "POST",
        {"Transfer-Encoding": "Chunked", "Trailer": "X-Sum"},
        b'00D;a="b\\"c";d\r\n' + BODY[:13] + b"\r\n" + chunked(BODY[13:], trailers=b"X-Sum: 1\r\n"),
    ),
}


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("index", range(len(SCRIPTS)))
def test_reading(probe: Server, framing: str, index: int) -> None:
    steps, expected = SCRIPTS[index]
    assert run_script(probe, steps, FRAMINGS[framing]) == expected


@pytest.mark.parametrize("step", ["read", "readline", "readlines", "iter"])
def test_no_body(probe: Server, step: str) -> None:
    expected: object = "" if step in ("read", "readline") else []
    assert run_script(probe, [step], request("TARGET")) == [expected]
    empty = request("TARGET", "POST", {"Transfer-Encoding": "chunked"}, chunked())
    assert run_script(probe, [step], empty) == [expected]


def test_readlines_may_take_a_hint(probe: Server) -> None:
    (lines,) = run_script(probe, ["readlines:7"], FRAMINGS["length"])
    assert isinstance(lines, list)
    assert len(lines) >= 2 and lines == LINES[: len(lines)]


def test_size_must_be_a_number(probe: Server) -> None:
    with Client(probe.address) as client:
        response = client.ask("/input?do=read:1,2", "POST", body=BODY)
    (found,) = json.loads(response.body)
    assert "TypeError" in found["raised"]


@pytest.mark.parametrize("size", [65_536, 1_048_577, 20_000_003])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_large_body(probe: Server, size: int, framing: str) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    headers = {}
    sent = body
    if framing == "chunked":
        step = 50_021
        headers = {"Transfer-Encoding": "chunked"}
        sent = chunked(*(body[index : index + step] for index in range(0, size, step)))
    with Client(probe.address) as client:
        found = json.loads(client.ask("/digest", "POST", headers, sent).body)
    assert found == {"size": size, "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize("size", [1, 100 * 64 * 1024])
def test_body_that_threads_share(probe: Server, size: int) -> None:
    """Every byte is read once, from memory and from a file."""
    body = b"".join(b"%016d" % number * 4096 for number in range(size // 65_536)) or b"x"
    with Client(probe.address) as client:
        got = client.ask("/shared-input", "POST", body=body).body
    step = len(body) if size == 1 else 65_536
    assert sorted(got[at : at + step] for at in range(0, len(got), step)) == [
        body[at : at + step] for at in range(0, len(body), step)
    ]


def test_trickled_body(probe: Server) -> None:
    data = FRAMINGS["chunked-frills"].replace(b"TARGET", b"/echo", 1)
    with Client(probe.address) as client:
        client.trickle(data)
        assert client.response().body == BODY


def test_unread_body_is_no_request(probe: Server) -> None:
    """What the application leaves of a body must never be taken for the next request."""
    evil = b"GET /hello HTTP/1.1\r\nHost: evil\r\n\r\n"
    with Client(probe.address) as client:
        client.send(request("/ignore", "POST", body=evil), request("/pid"))
        assert client.response().body == b"ignored"
        assert client.response().body.isdigit()


def test_client_that_leaves_in_its_body(probe: Server) -> None:
    before = probe.log().count("Traceback")
    with Client(probe.address) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    with Client(probe.address) as client:
        assert client.ask("/hello").body == b"hello"
    assert probe.log().count("Traceback") == before


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_100_continue(probe: Server, version: str) -> None:
    headers = {"Expect": "100-Continue", "Content-Length": "4"}
    with Client(probe.address) as client:
        client.send(request("/echo", "POST", headers, version=version))
        if version == "1.1":
            interim = client.head()
            assert (interim.status, interim.headers) == (100, [])
        client.send(b"late")
        response = client.head()
        assert response.status == 200
        assert client.exactly(4) == b"late"


def test_100_continue_with_the_body_already_there(probe: Server) -> None:
    with Client(probe.address) as client:
        assert client.ask("/echo", "POST", {"Expect": "100-continue"}, b"now").body == b"now"
        assert client.ask("/hello").body == b"hello"


def test_100_continue_before_a_chunked_body(probe: Server) -> None:
    headers = {"Expect": "100-continue", "Transfer-Encoding": "chunked"}
    with Client(probe.address) as client:
        client.send(request("/echo", "POST", headers))
        assert client.head().status == 100
        client.send(chunked(b"in ", b"pieces"))
        assert client.response().body == b"in pieces"

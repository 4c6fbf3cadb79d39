"""start_response, write(), close() and everything that an application may return or raise."""

from __future__ import annotations

import json
import re
import uuid
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from client import Client, Gone, Response, fetch, request
from conftest import StartServer
from harness import SERVER, Server, wait_for

REFUSED = b"Internal Server Error"
NEGATIVE = pytest.mark.beyond("passes a negative length on")
HEAD_FIRST = pytest.mark.beyond("sends the head before it looks at the first item")
OS_ERRORS = pytest.mark.beyond("takes every OSError for the client's leaving")


def beyond(mark: pytest.MarkDecorator, *values: str) -> list[object]:
    """Parameters that carry a mark."""
    return [pytest.param(value, marks=mark) for value in values]


@pytest.fixture
def token() -> str:
    """A word that nobody else logs."""
    return uuid.uuid4().hex


def closings(server: Server, token: str) -> list[str]:
    """How often close() was called for `token`, with the number of items taken each time."""
    path = Path(server.directory) / "closed"
    text = path.read_text() if path.exists() else ""
    return [line.split()[1] for line in text.splitlines() if line.startswith(token)]


def wait_closed(server: Server, token: str) -> str:
    """Waits for close(), and checks after another request that it stays the only one."""
    wait_for(lambda: closings(server, token), "close()")
    fetch(server.address, "/hello")
    (taken,) = closings(server, token)
    return taken


def broken(server: Server, target: str) -> tuple[Response, bytes]:
    """Head and raw rest of an answer that the server must break off by closing."""
    with Client(server.address) as client:
        client.send(request(target))
        response = client.head()
        return response, client.rest()


def assert_500(server: Server, target: str) -> Response:
    """The server's own page, a closed connection, and a server that goes on."""
    server.announce(f" {target} (request id")
    with Client(server.address) as client:
        response = client.ask(target)
        assert response.status == 500, response
        assert response.reason == "Internal Server Error"
        assert response.get("Connection") == "close"
        assert REFUSED in response.body and len(response.body) < 1024
        assert client.closed()
    assert fetch(server.address, "/hello").body == b"hello"
    return response


# The head


def test_own_fields(probe: Server) -> None:
    response = fetch(probe.address, "/hello")
    assert (response.version, response.status, response.reason) == ("HTTP/1.1", 200, "OK")
    assert response.get("Server") == SERVER
    date = response.get("Date")
    assert date is not None and re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert parsedate_to_datetime(date) is not None
    assert response.get("Connection") == "close"
    assert response.get("Content-Type") == "text/plain"


def test_order_of_the_head(probe: Server) -> None:
    names = [name for name, _ in fetch(probe.address, "/lazy").headers]
    assert names == ["Server", "Date", "Connection", "Transfer-Encoding", "Content-Type"]


def test_hop_by_hop_fields_are_dropped(probe: Server) -> None:
    with Client(probe.address) as client:
        response = client.ask("/headers?kind=hop")
        assert client.ask("/hello").body == b"hello"
    assert response.body == b"ok"
    assert response.get("X-Mine") == "stays"
    assert response.get("Server") == SERVER
    assert response.get("Date") != "never"
    assert response.get("Connection") == "keep-alive"
    for name in ("Keep-Alive", "Proxy-Authenticate", "TE", "Transfer-Encoding", "Upgrade"):
        assert response.get(name) is None


def test_repeated_fields_keep_their_order(probe: Server) -> None:
    headers = fetch(probe.address, "/headers?kind=cookies").headers
    assert headers[-4:-1] == [
        ("Set-Cookie", "a=1"),
        ("X-Between", "b"),
        ("set-cookie", "c=2; Path=/"),
    ]


def test_latin_1_fields(probe: Server) -> None:
    response = fetch(probe.address, "/headers?kind=latin")
    assert response.get("X-Latin") == "caf\xe9"
    assert response.get("X-Empty") == ""
    assert b"X-Blank: around\r\n" in response.head


@pytest.mark.parametrize("line", ["200", "299 Odd", "404 Not Found", "200 two  blanks", "599 x"])
def test_status_lines(probe: Server, line: str) -> None:
    response = fetch(probe.address, f"/status?line={line.replace(' ', '%2520')}")
    assert f"{response.status} {response.reason}".strip() == line
    assert response.body == b"body"


@pytest.mark.parametrize(
    "query",
    [
        "line=200OK",
        "line=abc",
        "line=20",
        "line=2000%2520x",
        "line=200%2520a%250d%250aX-Evil:%25201",
        "line=200%2520a%250aX-Evil:1",
        "line=200%2520a%2500",
        "line=%2520200",
        "line=200&int=1",
        "line=",
    ],
)
def test_bad_status_line(probe: Server, query: str) -> None:
    response = assert_500(probe, f"/status?{query}&length=4")
    assert b"X-Evil" not in response.head + response.body


def test_what_is_wrong_with_a_head_is_said(probe: Server) -> None:
    assert_500(probe, "/status?line=abc&length=4")
    probe.wait_log("ValueError: the status is not three digits, a space and a reason")


@pytest.mark.parametrize(
    "kind",
    [
        "crlf-value",
        "lf-value",
        "cr-value",
        "nul-value",
        "crlf-name",
        "space-name",
        "colon-name",
        "empty-name",
        "bytes-name",
        "int-value",
        "bytes-value",
        "none-value",
        "wide-value",
        "tuple",
    ],
)
def test_bad_field(probe: Server, kind: str) -> None:
    response = assert_500(probe, f"/headers?kind={kind}")
    assert b"X-Evil" not in response.head + response.body


# start_response and write()


def test_lazy_start(probe: Server) -> None:
    assert fetch(probe.address, "/lazy").body == b"lazy"


def test_start_twice(probe: Server) -> None:
    response = fetch(probe.address, "/twice")
    assert (response.status, response.body) == (200, b"AssertionError")


@pytest.mark.beyond("adds the second fields to the first ones")
def test_exc_info_before_the_head(probe: Server) -> None:
    response = fetch(probe.address, "/exc-info-before")
    assert (response.status, response.body) == (503, b"sorry")
    assert response.get("X-Second") == "2"
    assert response.get("X-First") is None and response.get("Content-Length") != "999"


def test_exc_info_after_the_head(probe: Server, token: str) -> None:
    response, rest = broken(probe, f"/exc-info-after?token={token}")
    assert response.status == 200
    assert rest == b"4\r\npart\r\n"  # no last chunk: the client can tell
    text = (probe.directory / "reraised").read_text()
    assert f"{token} RuntimeError" in text
    probe.wait_log(f"RuntimeError: raised on purpose {token}")


def test_never_started(probe: Server) -> None:
    assert_500(probe, "/never-started")


@pytest.mark.parametrize("what", ["length", "chunked"])
def test_write(probe: Server, what: str) -> None:
    with Client(probe.address) as client:
        assert client.ask(f"/write?what={what}").body == b"one two last"
        assert client.ask("/hello").body == b"hello"


@HEAD_FIRST
def test_first_write_wants_bytes(probe: Server) -> None:
    assert_500(probe, "/write-bad")


def test_later_write_wants_bytes(probe: Server) -> None:
    probe.announce("/write?what=text")
    _, rest = broken(probe, "/write?what=text")
    assert b"one " in rest and b"three" not in rest and not rest.endswith(b"0\r\n\r\n")


# What is returned


@pytest.mark.parametrize(
    "kind", ["list", "tuple", "generator", "set", "dict", "map", "empty-parts", "octets"]
)
def test_iterable(probe: Server, kind: str) -> None:
    with Client(probe.address) as client:
        assert client.ask(f"/iterable?kind={kind}").body == b"ab"
        assert client.ask("/hello").body == b"hello"


def test_old_sequence_protocol(probe: Server) -> None:
    assert fetch(probe.address, "/iterable?kind=indexed").body == b"012"


def test_list_that_another_thread_empties(probe: Server) -> None:
    """What was sent until then is whole, and the worker lives on."""
    (pid,) = probe.worker_pids()
    for _ in range(5):
        lines = fetch(probe.address, "/shrinking").body.split(b"\n")[:-1]
        assert lines == [b"%06d" % number for number in range(len(lines))]
    assert probe.worker_pids() == [pid]


@pytest.mark.parametrize("kind", ["empty-list", "empty-generator", "only-empty"])
def test_empty_iterable(probe: Server, kind: str) -> None:
    with Client(probe.address) as client:
        response = client.ask(f"/iterable?kind={kind}")
        assert (response.status, response.body) == (200, b"")
        assert response.get("Content-Type") == "text/plain"
        assert client.ask("/hello").body == b"hello"


@pytest.mark.parametrize(
    "kind",
    [
        *beyond(HEAD_FIRST, "str", "str-itself", "text", "bytes-itself", "bytearray"),
        *beyond(HEAD_FIRST, "none-inside"),
        "none",
        "only-length",
        "number",
    ],
)
def test_bad_iterable(probe: Server, kind: str) -> None:
    assert_500(probe, f"/iterable?kind={kind}")


def test_parts_are_sent_as_they_come(probe: Server, token: str) -> None:
    """PEP 3333: a server must not hold a part back until the next one."""
    with Client(probe.address) as client:
        client.send(request(f"/two-steps?token={token}"))
        response = client.head()
        assert response.get("Transfer-Encoding") == "chunked"
        assert client.until(b"first ")
        (probe.directory / token).touch()
        assert b"second" in client.until(b"0\r\n\r\n")


# close()


def test_close_after_a_whole_body(probe: Server, token: str) -> None:
    assert fetch(probe.address, f"/watched?how=whole&token={token}").body == b"one two"
    assert wait_closed(probe, token) == "2"


def test_close_after_head_request(probe: Server, token: str) -> None:
    fetch(probe.address, f"/watched?how=whole&token={token}", "HEAD")
    wait_closed(probe, token)


def test_close_after_first_item_raised(probe: Server, token: str) -> None:
    assert_500(probe, f"/watched?how=raise-first&token={token}")
    assert wait_closed(probe, token) == "0"
    probe.wait_log(f"RuntimeError: raised on purpose {token}")


@pytest.mark.parametrize("how", ["raise-later", "not-bytes"])
def test_close_after_later_item_failed(probe: Server, token: str, how: str) -> None:
    response, rest = broken(probe, f"/watched?how={how}&token={token}")
    assert response.status == 200
    assert rest == b"4\r\none \r\n"
    wait_closed(probe, token)
    if how == "raise-later":
        probe.wait_log(f"RuntimeError: raised on purpose {token}")


def test_close_after_the_client_left(probe: Server, token: str) -> None:
    with Client(probe.address) as client:
        client.send(request(f"/watched?how=endless&token={token}"))
        client.until(b"one ")
    wait_closed(probe, token)


@pytest.mark.parametrize("how", ["later", "from-start", "write"])
@pytest.mark.beyond("goes on for ever", strict=False, run=False)
def test_close_of_a_mute_iterable_after_the_client_left(
    probe: Server, token: str, how: str
) -> None:
    """It writes nothing, and so is never told that nobody listens."""
    with Client(probe.address) as client:
        client.send(request(f"/mute?how={how}&token={token}"))
        if how != "from-start":
            client.until(b"one")
    wait_closed(probe, token)
    assert f"how={how}&token={token}" not in probe.log()  # no error: clients leave


@pytest.mark.beyond("writes behind the last chunk", strict=False)
def test_write_behind_the_end(probe: Server, token: str) -> None:
    with Client(probe.address) as client:
        for _ in range(2):
            assert client.ask(f"/late-write?token={token}").body == b"one two"
        assert client.ask("/hello").body == b"hello"
    probe.wait_log("gave bytes behind its end; they were dropped", 2)


def test_close_when_the_length_is_reached(probe: Server, token: str) -> None:
    fetch(probe.address, f"/length?say=4&give=4&token={token}")
    wait_closed(probe, token)


def test_close_that_raises(probe: Server, token: str) -> None:
    with Client(probe.address) as client:
        assert client.ask(f"/close-raises?token={token}").body == b"fine"
    probe.wait_log(f"RuntimeError: raised on purpose {token}")
    wait_closed(probe, token)


# Lengths


def test_too_much_body_is_cut(probe: Server) -> None:
    with Client(probe.address) as client:
        for parts in ("1", "2", "5"):
            response = client.ask(f"/length?say=5&give=10&parts={parts}")
            assert response.body == b"xxxxx"
        assert client.ask("/hello").body == b"hello"


@pytest.mark.beyond("keeps a connection whose response was too short")
def test_too_little_body_closes(probe: Server) -> None:
    with Client(probe.address, timeout_s=1.2) as client:
        client.send(request("/length?say=10&give=4&parts=2"))
        with pytest.raises(Gone) as gone:
            client.response()
    assert gone.value.got == b"xxxx"


@pytest.mark.parametrize("value", ["abc", "1.5", "4, 4", pytest.param("-1", marks=NEGATIVE)])
def test_length_that_is_none(probe: Server, value: str) -> None:
    assert_500(probe, f"/status?line=200%2520OK&length={value.replace(' ', '%20')}")


def test_without_length_chunked(probe: Server) -> None:
    response = fetch(probe.address, "/iterable?kind=empty-parts")
    assert response.get("Transfer-Encoding") == "chunked"
    assert b"".join(response.chunks) == b"ab"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("length", ["", "&length=4"])
def test_statuses_without_body(probe: Server, status: str, length: str) -> None:
    line = status.replace(" ", "%2520")
    with Client(probe.address) as client:
        response = client.ask(f"/status?line={line}{length}")
        assert f"{response.status} {response.reason}" == status
        assert response.get("Transfer-Encoding") is None
        kept = "4" if length and response.status == 304 else None
        assert response.get("Content-Length") == kept
        assert client.ask("/hello").body == b"hello"


@pytest.mark.parametrize("target", ["/hello", "/lazy", "/iterable?kind=list", "/big?mb=1"])
def test_head_request(probe: Server, target: str) -> None:
    with Client(probe.address) as client:
        whole = client.ask(target)
        response = client.ask(target, "HEAD")
        assert client.ask("/hello").body == b"hello"
    assert response.status == 200
    assert response.get("Content-Length") == whole.get("Content-Length")


# Exceptions


@pytest.mark.parametrize("kind", ["RuntimeError", *beyond(OS_ERRORS, "OSError")])
def test_exception(probe: Server, token: str, kind: str) -> None:
    assert_500(probe, f"/raise?kind={kind}&token={token}")
    log = probe.wait_log(f"{kind}: raised on purpose {token}")
    assert f"Error handling request GET /raise?kind={kind}&token={token}" in log
    tail = log[log.index(f"token={token}") :]
    assert "Traceback (most recent call last)" in tail and "probe.py" in tail


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_exception_that_is_no_error(serve: StartServer, token: str, kind: str) -> None:
    """The client is told, the server survives, and the next request is answered."""
    server = serve(sync=True)
    response = fetch(server.address, f"/raise?kind={kind}&token={token}")
    assert response.status == 500
    assert fetch(server.address, "/hello").body == b"hello"
    assert server.code() is None
    server.worker_pids()


# Early hints


def test_early_hints(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hints"))
        first, second, final = client.head(), client.head(), client.response()
    assert (first.status, second.status, final.status) == (103, 103, 200)
    assert first.headers == [("Link", "</a.css>; rel=preload")]
    assert second.headers == [("Link", "</b.css>; rel=preload"), ("X-Bytes", "too")]
    assert final.body == b"hinted"


def test_early_hints_to_http_1_0(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hints", version="1.0"))
        assert client.head().status == 200


def test_early_hints_cannot_inject(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hints-bad"))
        response = client.head()  # not a 103
        assert response.status == 200 and b"X-Evil" not in response.head
        assert client.exactly(int(response.get("Content-Length") or 0)) != b"accepted"


def test_access_log_counts_bytes(probe: Server) -> None:
    mark = uuid.uuid4().hex
    fetch(probe.address, f"/hello?{mark}")
    fetch(probe.address, f"/iterable?kind=list&{mark}")

    def lines() -> list[str]:
        found = [line for line in probe.access_lines() if mark in line]
        return found if len(found) == 2 else []

    first, second = wait_for(lines, "two access-log lines")
    assert f'"GET /hello?{mark} HTTP/1.1" 200 5 ' in first
    assert " 200 2 " in second
    assert first.startswith("127.0.0.1 - - [")


@pytest.mark.beyond("imports them", strict=False)
def test_no_modules_that_nobody_asked_for(probe: Server) -> None:
    """A worker's memory is what it imported: these are not for serving hello."""
    loaded = set(json.loads(fetch(probe.address, "/modules").body))
    assert "probe" in loaded
    assert not loaded & {"asyncio", "ssl", "logging.config", "concurrent.futures.thread"}

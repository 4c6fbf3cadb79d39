"""HTTP/1 on the wire: persistence, pipelining, versions, forms of the target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from client import Client, chunked, request
from conftest import StartServer
from harness import Server, wait_for


def test_keep_alive(probe: Server) -> None:
    with Client(probe.address) as client:
        for _ in range(20):
            response = client.ask("/hello")
            assert response.body == b"hello"
            assert response.get("Connection") == "keep-alive"


@pytest.mark.parametrize(
    "value",
    [
        "close",
        "Close",
        pytest.param("close, te", marks=pytest.mark.beyond("reads the value as one word")),
        pytest.param("te , CLOSE", marks=pytest.mark.beyond("reads the value as one word")),
    ],
)
def test_close_as_asked(probe: Server, value: str) -> None:
    with Client(probe.address) as client:
        response = client.ask("/hello", headers={"Connection": value})
        assert response.get("Connection") == "close"
        assert client.closed()


def test_http_1_0_closes(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hello", version="1.0"))
        response = client.response()
        assert (response.version, response.body) == ("HTTP/1.0", b"hello")
        assert response.get("Connection") == "close"
        assert client.closed()


def test_http_1_0_keep_alive(probe: Server) -> None:
    with Client(probe.address) as client:
        for _ in range(3):
            client.send(request("/hello", headers={"Connection": "Keep-Alive"}, version="1.0"))
            response = client.response()
            assert response.body == b"hello"
            assert response.get("Connection") == "keep-alive"


def test_http_1_0_never_chunked(probe: Server) -> None:
    """Without a length the end of an HTTP/1.0 answer is the end of the connection."""
    headers = {"Connection": "keep-alive"}
    with Client(probe.address) as client:
        client.send(request("/iterable?kind=list", headers=headers, version="1.0"))
        head = client.head()
        assert head.get("Transfer-Encoding") is None
        assert head.get("Connection") == "close"
        assert client.rest() == b"ab"


def test_pipelining(probe: Server) -> None:
    targets = [f"/status?line=200%2520OK&body=answer{index}" for index in range(30)]
    with Client(probe.address) as client:
        client.send(*(request(target) for target in targets))
        for index in range(30):
            assert client.response().body == b"answer%d" % index


def test_pipelined_bodies(probe: Server) -> None:
    coded = {"Transfer-Encoding": "chunked"}
    with Client(probe.address) as client:
        client.send(
            request("/echo", "POST", body=b"one"),
            request("/hello"),
            request("/echo", "POST", coded, chunked(b"t", b"wo")),
            request("/hello", "HEAD"),
            request("/echo", "PUT", body=b"three"),
            request("/status?line=204"),
            request("/hello", headers={"Connection": "close"}),
            request("/never"),
        )
        assert client.response().body == b"one"
        assert client.response().body == b"hello"
        assert client.response().body == b"two"
        assert client.response("HEAD").get("Content-Length") == "5"
        assert client.response().body == b"three"
        assert client.response().status == 204
        assert client.response().body == b"hello"
        assert client.closed()


def test_pipelined_request_in_pieces(probe: Server) -> None:
    data = request("/echo", "POST", body=b"abc") + request("/hello")
    for cut in range(1, len(data), 7):
        with Client(probe.address) as client:
            client.send(data[:cut])
            client.send(data[cut:])
            assert client.response().body == b"abc"
            assert client.response().body == b"hello"


def test_pipelined_error_after_a_good_request(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hello"), b"BAD LINE\r\n\r\n", request("/hello"))
        assert client.response().body == b"hello"
        assert client.response().status == 400
        assert client.closed()


def test_one_empty_line_first(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(b"\r\n", request("/hello"))
        assert client.response().body == b"hello"


def test_byte_by_byte(probe: Server) -> None:
    with Client(probe.address) as client:
        client.trickle(request("/echo", "POST", {"X-Field": "value"}, b"body"))
        assert client.response().body == b"body"


def test_half_closed_client_gets_its_answer(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("/hello"))
        client.sock.shutdown(1)
        assert client.response().body == b"hello"


def test_absolute_form(probe: Server) -> None:
    with Client(probe.address) as client:
        found = json.loads(client.ask("http://testing/environ?x=1").body)
    assert found["PATH_INFO"] == "/environ" and found["QUERY_STRING"] == "x=1"
    assert found["RAW_URI"] == "http://testing/environ?x=1"
    assert found["HTTP_HOST"] == "testing"


@pytest.mark.beyond("ignores the authority (RFC 9112 section 3.2.2)")
@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_authority_of_the_target_replaces_host(serve: StartServer, scheme: str) -> None:
    server = serve("probe:app", "--access-logfile", "-", "--access-logformat", "%({host}i)s")
    with Client(server.address) as client:
        found = json.loads(
            client.ask(f"{scheme}://good.example:81/environ", headers={"Host": "evil.example"}).body
        )
        assert found["HTTP_HOST"] == "good.example:81"
        assert found["SERVER_NAME"] == server.address[0]
        assert found["wsgi.url_scheme"] == "http"  # what the connection is, not what a client says
        client.send(b"GET http://old.example/environ HTTP/1.0\r\n\r\n")
        assert json.loads(client.response().body)["HTTP_HOST"] == "old.example"
    wait_for(lambda: server.access_lines() == ["good.example:81", "old.example"], "both lines")


@pytest.mark.beyond("splits Host")
def test_authority_of_the_target_names_the_server_on_a_unix_socket(
    serve: StartServer, tmp_path: Path
) -> None:
    serve("probe:app", binds=[f"unix:{tmp_path}/sock"])
    fields = {"Host": "evil.example:1"}
    with Client(f"{tmp_path}/sock") as client:
        found = json.loads(client.ask("http://good.example:81/environ", headers=fields).body)
    assert (found["SERVER_NAME"], found["SERVER_PORT"]) == ("good.example", "81")


@pytest.mark.beyond("accepts it")
def test_absolute_form_without_host(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(b"GET http://good.example/hello HTTP/1.1\r\n\r\n")
        assert client.response().status == 400
        assert client.closed()


@pytest.mark.beyond("echoes the version (RFC 9110 section 2.5)")
@pytest.mark.parametrize("minor", [2, 5, 9])
def test_later_minor_versions(probe: Server, minor: int) -> None:
    """They are served as HTTP/1.1 is, and answered in the version that we speak."""
    with Client(probe.address) as client:
        for _ in range(2):
            client.send(request("/environ", version=f"1.{minor}"))
            response = client.response()
            assert response.version == "HTTP/1.1"
            assert response.get("Connection") == "keep-alive"
            assert json.loads(response.body)["SERVER_PROTOCOL"] == f"HTTP/1.{minor}"
        client.send(request("/iterable?kind=list", version=f"1.{minor}"))
        response = client.response()
        assert (response.version, response.get("Transfer-Encoding")) == ("HTTP/1.1", "chunked")


@pytest.mark.beyond("refuses blanks (RFC 9112 section 7.1.1)")
def test_blanks_in_chunk_extensions(probe: Server) -> None:
    body = b'5; some; parameters=stuff\r\nhello\r\n0\t; a = "b ; c" \t;\td\r\n\r\n'
    with Client(probe.address) as client:
        head = request("/echo", "POST", {"Transfer-Encoding": "chunked"})
        client.trickle(head + body)
        assert client.response().body == b"hello"
        assert client.ask("/hello").body == b"hello"


def test_connect_closes(probe: Server) -> None:
    with Client(probe.address) as client:
        client.send(request("testing:443", "CONNECT"))
        assert client.response().get("Connection") == "close"
        assert client.closed()


def test_idle_connection_is_closed_silently(serve: StartServer) -> None:
    server = serve("probe:app", "--keep-alive", "1")
    with Client(server.address, timeout_s=5) as client:
        assert client.ask("/hello").body == b"hello"
        assert client.closed()
    assert "WARNING" not in server.log() and "ERROR" not in server.log()


def test_keep_alive_off(serve: StartServer) -> None:
    server = serve("probe:app", "--keep-alive", "0")
    with Client(server.address) as client:
        assert client.ask("/hello").get("Connection") == "close"
        assert client.closed()


def test_silence_after_half_a_head(probe: Server) -> None:
    """A client that leaves before its head is whole gets no answer and leaves no trace."""
    before = probe.log()
    with Client(probe.address) as client:
        client.send(b"GET /hello HTT")
        client.sock.shutdown(1)
        assert client.closed()
    assert probe.log() == before

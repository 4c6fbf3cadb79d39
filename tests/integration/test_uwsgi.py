"""protocol = "uwsgi": packets by hand, and real nginx and Apache in front, in each worker class."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apache import apache_uwsgi
from client import Client
from conftest import StartServer
from curl import failures_under_reloads
from gateway import KINDS, packet, served
from harness import IS_GUNICORN, Server, wait_for
from nginx import nginx_uwsgi
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="reads less of a packet")
BIG = 3 << 20


@pytest.fixture(scope="module", params=KINDS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker of each kind that speaks uwsgi."""
    with served(request.param, tmp_path_factory, "--protocol", "uwsgi") as server:
        yield server


def ask(client: Client, data: bytes) -> Any:
    client.send(data)
    return json.loads(client.response().body)


GET = {"REQUEST_METHOD": "GET", "PATH_INFO": "/x", "REQUEST_URI": "/x"}
SAID = {
    "REQUEST_METHOD": "POST", "REQUEST_URI": "/my%20app/a%2Fb?q=1", "PATH_INFO": "/a/b",
    "SCRIPT_NAME": "/my app", "QUERY_STRING": "q=1", "REMOTE_ADDR": "192.0.2.7",
    "REMOTE_PORT": "99", "REMOTE_USER": "joe", "HTTPS": "on", "SSL_CLIENT_VERIFY": "SUCCESS",
    "HTTP_HOST": "example.org", "HTTP_X_FORWARDED_PROTO": "http",
}  # fmt: skip


def test_what_the_proxy_says_arrives(told: Server) -> None:
    with Client(told.address) as client:
        facts = ask(client, packet(body=b"x" * 100_000, **SAID))
    assert facts["client"] == ["192.0.2.7", 99]
    assert facts["scheme"] == "https"
    assert (facts["root"], facts["path"], facts["query"]) == ("/my app", "/a/b", "q=1")
    assert (facts["method"], facts["body"]) == ("POST", 100_000)
    assert (facts["host"], facts["user"]) == ("example.org", "joe")
    assert facts["variables"]["SSL_CLIENT_VERIFY"] == "SUCCESS"
    wait_for(
        lambda: [line for line in told.access_lines() if line.startswith("192.0.2.7 ")],
        "an access line of the client",
    )


def test_split_anywhere_on_one_connection(told: Server) -> None:
    data = packet(body=b"abc", **{**GET, "REQUEST_METHOD": "PUT"})
    with Client(told.address) as client:
        for cut in range(1, len(data), 5):
            client.send(data[:cut])
            pace(0.002, "a proxy whose packet comes in two pieces")
            facts = ask(client, data[cut:])
            assert (facts["method"], facts["body"]) == ("PUT", 3)


def test_pipelined_packets_are_answered_in_order(told: Server) -> None:
    with Client(told.address) as client:
        client.send(b"".join(packet(**{**GET, "QUERY_STRING": f"n={n}"}) for n in range(50)))
        for n in range(50):
            assert json.loads(client.response().body)["query"] == f"n={n}"


def test_an_answer_without_length_ends_with_the_connection(told: Server) -> None:
    with Client(told.address) as client:
        client.send(packet(**{**GET, "QUERY_STRING": "stream"}))
        answer = client.response()
        assert answer.get("Transfer-Encoding") is None
        assert answer.get("Connection") == "close"
        assert json.loads(answer.body)["query"] == "stream"


@pytest.mark.parametrize(
    ("data", "status", "rule"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "uwsgi-modifier"),
        (packet(**{**GET, "REQUEST_METHOD": "G T"}), 400, "method"),
        (b"\0\5\0\0\3\0ab\0", 400, "uwsgi-variable"),
        (packet(**{**GET, "CONTENT_LENGTH": "-1"}), 400, "content-length"),
    ],
)
def test_what_is_malformed_is_refused_in_words(
    told: Server, data: bytes, status: int, rule: str
) -> None:
    told.announce(rule)
    with Client(told.address) as client:
        client.send(data)
        assert client.response().status == status
    told.wait_log(rule)


def test_a_peer_that_leaves_is_no_error(told: Server) -> None:
    before = told.log()
    for data in (packet(**GET), b"", packet(**GET)[:9]):
        with Client(told.address) as client:
            client.send(data)
            if data == packet(**GET):
                client.response()
    with Client(told.address) as client:
        ask(client, packet(**GET))
    assert told.log() == before


def test_a_peer_that_may_not_speak(serve: StartServer) -> None:
    server = serve("gateway_app:wsgi", "--protocol", "uwsgi", "--uwsgi-allow-from", "192.0.2.0/24")
    server.announce("uwsgi-untrusted")
    with Client(server.address) as client:
        client.send(packet(**GET))
        assert client.response().status == 403
    server.wait_log("uwsgi-untrusted")


def test_a_peer_that_is_not_believed_about_the_client(serve: StartServer) -> None:
    options = ("--protocol", "uwsgi", "--forwarded-allow-ips", "192.0.2.1")
    server = serve("gateway_app:wsgi", *options)
    with Client(server.address) as client:
        facts = ask(client, packet(body=b"x", **SAID))
    assert facts["client"][0] == "127.0.0.1"
    assert facts["user"] is None
    assert facts["root"] == ""
    assert facts["variables"] == {}
    assert facts["scheme"] == "https"


def test_a_warm_up_and_reloads(serve: StartServer) -> None:
    options = ("--protocol", "uwsgi", "--warmup-path", "/warm", "--access-logfile", "-")
    server = serve("gateway_app:wsgi", *options, workers=2)
    with Client(server.address) as client:
        assert ask(client, packet(**GET))["path"] == "/x"
    assert '"GET /warm HTTP/1.1" 200' in server.output()


def through_proxy(port: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for method, body in (("GET", None), ("POST", b"x" * BIG), ("GET", None)):
        client.request(method, "/deep/a%20path?stream=1&a=b", body, {"X-Mine": "1"})
        answer = client.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        facts = json.loads(text)
        assert facts["client"][0] == "127.0.0.1"
        assert facts["client"][1] != 0
        assert (facts["method"], facts["body"]) == (method, len(body or b""))
        assert (facts["path"], facts["query"]) == ("/deep/a path", "stream=1&a=b")
        assert "HTTP_X_MINE" in facts["fields"]
    client.close()


@pytest.mark.parametrize("buffering", [True, False])
def test_behind_nginx(told: Server, tmp_path: Path, buffering: bool) -> None:
    with nginx_uwsgi(f"127.0.0.1:{told.port}", tmp_path, buffering=buffering) as port:
        through_proxy(port)


def test_behind_nginx_over_a_unix_socket(tmp_path: Path) -> None:
    path = f"unix:{tmp_path}/u.sock"
    *options, app = KINDS["gthread"]
    options += ["--protocol", "uwsgi"]
    with (
        Server(app, *options, directory=tmp_path, binds=[path]),
        nginx_uwsgi(path, tmp_path / "nginx") as port,
    ):
        through_proxy(port)


def test_behind_apache(told: Server, tmp_path: Path) -> None:
    with apache_uwsgi(f"127.0.0.1:{told.port}", tmp_path) as port:
        through_proxy(port)


def test_reloads_lose_nothing(told: Server, tmp_path: Path) -> None:
    with nginx_uwsgi(f"127.0.0.1:{told.port}", tmp_path) as port:
        assert failures_under_reloads(told, "--fail", f"http://127.0.0.1:{port}/a") == []

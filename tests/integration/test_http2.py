"""HTTP/2 with real clients (curl, nghttp, h2load) in every worker class, by prior knowledge; what
TLS adds is in test_tls.py."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RemoteSettingsChanged, ResponseReceived, StreamEnded

from client import Client
from conftest import StartServer
from curl import curl, failures_under_reloads
from gateway import KINDS
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="about what gunicorn does otherwise")
H2 = "--http2-prior-knowledge"
OPTIONS = ("--http2-cleartext", "prior-knowledge")


@pytest.fixture(scope="module", params=KINDS)
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker of each kind that speaks HTTP/2 without TLS."""
    *options, app = KINDS[request.param]
    options += [*OPTIONS, "--access-logfile", "-"]
    with Server(app, *options, directory=tmp_path_factory.mktemp(request.param)) as server:
        yield server


def url(server: Server, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def test_a_request(two: Server) -> None:
    facts = json.loads(curl(H2, "-H", "X-A: b", url(two, "/a?b=c")))
    assert facts["version"] == "2"
    assert (facts["method"], facts["path"], facts["query"]) == ("GET", "/a", "b=c")
    assert facts["host"] == f"127.0.0.1:{two.port}"
    assert "HTTP_X_A" in facts["fields"]
    assert "HTTP_TRANSFER_ENCODING" not in facts["fields"]
    wait_for(
        lambda: [line for line in two.access_lines() if '"GET /a?b=c HTTP/2.0" 200' in line],
        "an access line",
    )


def test_an_answer_without_a_length(two: Server) -> None:
    assert json.loads(curl(H2, url(two, "/?stream")))["query"] == "stream"


def test_head(two: Server) -> None:
    head = curl(H2, "--head", url(two))
    assert head.startswith(b"HTTP/2 200")


@pytest.mark.parametrize("size", [1, 16_384, 65_535, 65_536, 500_000])
def test_an_upload(two: Server, size: int) -> None:
    known = curl(H2, "--data-binary", "@-", url(two), data=bytes(size))
    assert json.loads(known)["body"] == size
    # Without Content-Length: the length shows at its end.
    unknown = curl(H2, "--upload-file", "-", url(two), data=bytes(size))
    assert json.loads(unknown)["body"] == size


def test_both_versions_on_one_port(two: Server) -> None:
    with Client(two.address) as client:
        assert json.loads(client.ask("/").body)["version"] == "1.1"
    assert json.loads(curl("--http1.1", url(two)))["version"] == "1.1"


def test_a_preface_byte_by_byte(two: Server) -> None:
    """What looks like the preface and is none is HTTP/1."""
    with Client(two.address) as client:
        client.trickle(b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 400


def test_many_streams(two: Server) -> None:
    if shutil.which("h2load") is None:
        pytest.skip("no h2load")
    command = ["h2load", "-n", "2000", "-c", "4", "-m", "20", url(two)]
    shown = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
    assert re.search(r"2000 succeeded, 0 failed, 0 errored, 0 timeout", shown), shown
    assert re.search(r"status codes: 2000 2xx", shown), shown


def test_a_reader_that_grants_no_window(two: Server) -> None:
    """Others are served meanwhile, and the connection goes on when it does."""
    with Client(two.address) as client:
        settings = b"\0\0\x06\x04\0\0\0\0\0" + b"\0\x04\0\0\0\0"  # INITIAL_WINDOW_SIZE 0
        # :method GET, :scheme http, :path /, :authority a (literal, not indexed)
        block = b"\x82\x86\x84\x01\x01a"
        headers = len(block).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01" + block
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers)
        assert json.loads(curl(H2, url(two)))["version"] == "2"
        client.send(b"\0\0\x04\x08\0\0\0\0\x01" + (65535).to_bytes(4, "big"))  # WINDOW_UPDATE
        seen = b""
        while b'"version": "2"' not in seen:
            piece = client.sock.recv(65536)
            assert piece, seen
            seen += piece


def test_a_flood_of_resets_is_ended(two: Server) -> None:
    with Client(two.address) as client:
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0")
        block = b"\x82\x86\x84\x01\x01a"
        for number in range(1, 2001, 2):
            stream = number.to_bytes(4, "big")
            flood = len(block).to_bytes(3, "big") + b"\x01\x05" + stream + block
            flood += b"\0\0\x04\x03\0" + stream + b"\0\0\0\x08"  # RST_STREAM, CANCEL
            try:
                client.send(flood)
            except OSError:
                break
        wait_for(lambda: "h2-reset-flood" in two.log(), "the line of the flood")
    assert json.loads(curl(H2, url(two)))["version"] == "2"


def test_a_websocket(serve: StartServer) -> None:
    """RFC 8441: an extended CONNECT opens it, on a connection that serves requests as well."""
    server = serve("asgi_sockets:app", "-k", "asgi", *OPTIONS)
    connection = H2Connection(H2Configuration(client_side=True))
    with Client(server.address) as client:
        arrived: list[Any] = []

        def until(kind: type) -> Any:
            while True:
                while arrived:
                    if isinstance(event := arrived.pop(0), kind):
                        return event
                client.send(connection.data_to_send())
                arrived.extend(connection.receive_data(client.sock.recv(65536)))

        connection.initiate_connection()
        until(RemoteSettingsChanged)
        assert connection.remote_settings.enable_connect_protocol == 1
        fields = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
            (":path", "/echo"), (":authority", "a"), ("sec-websocket-version", "13"),
        ]  # fmt: skip
        connection.send_headers(1, fields)
        names = dict(until(ResponseReceived).headers)
        assert names[b":status"] == b"200"
        assert b"sec-websocket-accept" not in names
        connection.send_data(1, b"\x81\x85\0\0\0\0hello")
        assert until(DataReceived).data == b"\x81\x05hello"
        connection.send_data(1, b"\x88\x82\0\0\0\0\x03\xe8")
        assert until(DataReceived).data == b"\x88\x02\x03\xe8"
        until(StreamEnded)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reload_loses_no_request(serve: StartServer, kind: str) -> None:
    """HUP under load: every request is answered. (One a connection: curl 7 cannot use one again
    that it began by prior knowledge, whatever the server.)"""
    *options, app = KINDS[kind]
    server = serve(app, *options, *OPTIONS, workers=2)
    assert not failures_under_reloads(server, H2, url(server))

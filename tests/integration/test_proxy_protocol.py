"""The PROXY protocol, by hand and from a real HAProxy, in every worker class."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client import Client
from conftest import StartServer
from gateway import KINDS, V1, served, tlv, v2
from haproxy import haproxy
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="reads some of these otherwise")
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
CLIENT = ["192.0.2.1", 4711]


@pytest.fixture(scope="module", params=KINDS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker of each kind behind a proxy."""
    with served(request.param, tmp_path_factory, "--proxy-protocol", "auto") as server:
        yield server


def facts(client: Client) -> Any:
    return json.loads(client.response().body)


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_every_request_of_the_connection_is_the_clients(told: Server, header: bytes) -> None:
    with Client(told.address) as client:
        client.send(header + GET)
        assert facts(client)["client"] == CLIENT
        client.send(GET)
        assert facts(client)["client"] == CLIENT
    wait_for(
        lambda: [line for line in told.access_lines() if line.startswith("192.0.2.1 ")],
        "an access line of the client",
    )


def test_ipv6(told: Server) -> None:
    for header in (v2(family=0x21), b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"):
        with Client(told.address) as client:
            client.send(header + GET)
            assert facts(client)["client"] == ["2001:db8::1", 4711]


@pytest.mark.parametrize(
    "header",
    [b"", b"PROXY UNKNOWN\r\n", v2(command=0x20), v2(family=0x00)],
    ids=["absent", "unknown", "local", "unspec"],
)
def test_the_real_peer_is_kept(told: Server, header: bytes) -> None:
    with Client(told.address) as client:
        client.send(header + GET)
        own = client.sock.getsockname()
        assert facts(client)["client"] == [own[0], own[1]]


def test_a_header_that_trickles(told: Server) -> None:
    with Client(told.address) as client:
        client.trickle(v2(tlv(0x02, b"a.example")) + GET)
        assert facts(client)["client"] == CLIENT


def test_what_the_proxy_adds(told: Server) -> None:
    tls = b"\x07\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client one")
    header = v2(
        tlv(0x02, b"a.example"), tlv(0x05, b"id-1"), tlv(0x20, tls), tlv(0xEA, b"\x01vpce-1")
    )
    with Client(told.address) as client:
        client.send(header + GET)
        found = facts(client)["variables"]
    assert found["PROXY_PROTOCOL"] == "TCP4"
    assert (found["PROXY_ADDR"], found["PROXY_PORT"]) == ("198.51.100.2", "443")
    assert found["PROXY_AUTHORITY"] == "a.example"
    assert found["PROXY_UNIQUE_ID"] == "id-1"
    assert found["PROXY_AWS_VPCE_ID"] == "vpce-1"
    assert found["PROXY_SSL_VERSION"] == "TLSv1.3"
    assert found["PROXY_SSL_CN"] == "client one"


@pytest.mark.parametrize(
    ("header", "rule"),
    [
        (b"PROXY TCP4 192.0.2.1 1 2\r\n", "proxy-line"),
        (b"PROXY TCP4 " + b"1" * 200, "proxy-line"),
        (b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", "proxy-address"),
        (v2(command=0x22), "proxy-version"),
        (v2(family=0x12), "proxy-family"),
        (v2(b"\x01\0\x09"), "proxy-tlv"),
        (v2(tlv(0x03, b"\0\0\0\0")), "proxy-checksum"),
    ],
)
def test_a_malformed_header_is_refused(told: Server, header: bytes, rule: str) -> None:
    with Client(told.address) as client:
        client.send(header + GET)
        assert client.response().status == 400
        assert client.closed()
    told.wait_log(rule)


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_others_may_not_send_one(serve: StartServer, header: bytes) -> None:
    server = serve(
        "gateway_app:wsgi", "--proxy-protocol", "auto", "--proxy-allow-from", "192.0.2.0/24"
    )
    with Client(server.address) as client:
        client.send(header + GET)
        assert client.response().status == 403
        assert client.closed()
    server.wait_log("proxy-untrusted")
    with Client(server.address) as client:
        client.send(GET)
        assert facts(client)["client"][0] == "127.0.0.1"


def test_a_header_has_its_time(serve: StartServer) -> None:
    options = ("--proxy-protocol", "auto", "--proxy-protocol-timeout", "1")
    server = serve("gateway_app:wsgi", *options)
    with Client(server.address) as client:
        client.send(b"PROXY TCP4 ")
        with contextlib.suppress(ConnectionResetError):  # what it has sent is never read
            assert client.closed()
    server.wait_log("proxy_protocol_timeout")


def test_a_unix_peer_may_send_one(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    server = serve("gateway_app:wsgi", "--proxy-protocol", "auto", binds=[f"unix:{path}"])
    assert server.pid
    with Client(str(path)) as client:
        client.send(v2() + GET)
        assert facts(client)["client"] == CLIENT


def test_trust_is_the_transports(serve: StartServer) -> None:
    """forwarded_allow_ips is about who speaks to us, not about whom the header names."""
    lines = GET[:-2] + b"X-Forwarded-Proto: https\r\n\r\n"
    for allowed, scheme in (("192.0.2.1", "http"), ("127.0.0.1", "https")):
        options = ("--proxy-protocol", "auto", "--forwarded-allow-ips", allowed)
        server = serve("gateway_app:wsgi", *options)
        with Client(server.address) as client:
            client.send(V1 + lines)
            assert facts(client)["scheme"] == scheme


@pytest.mark.skipif(shutil.which("haproxy", path="/usr/sbin") is None, reason="no haproxy")
@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2 proxy-v2-options unique-id"])
def test_behind_haproxy(told: Server, version: str, tmp_path: Path) -> None:
    with haproxy({"a": told.port}, tmp_path / "haproxy", version) as proxy:
        for _ in range(5):
            with Client(("127.0.0.1", proxy.port)) as client:
                client.send(GET)
                # The client's port, not that of HAProxy's own connection.
                assert facts(client)["client"] == list(client.sock.getsockname())

"""forwarded_client: who the client is, as X-Forwarded-For and Forwarded of trusted proxies say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from client import Client
from conftest import StartServer
from curl import curl
from gateway import KINDS, served
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="has no such setting")
TRUSTED = ("--forwarded-allow-ips", "127.0.0.1,10.0.0.0/8")


@pytest.fixture(scope="module", params=KINDS)
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One worker of each kind that believes either field."""
    with served(request.param, tmp_path_factory, *TRUSTED, "--forwarded-client", "both") as server:
        yield server


def send(client: Client, *fields: str) -> None:
    lines = ["GET /a HTTP/1.1", "Host: a", *fields, "", ""]
    client.send("\r\n".join(lines).encode())


def ask(client: Client, *fields: str) -> Any:
    send(client, *fields)
    return json.loads(client.response().body)


@pytest.mark.parametrize(
    ("fields", "client", "scheme"),
    [
        (["X-Forwarded-For: 192.0.2.9, 198.51.100.7, 10.1.1.1"], ["198.51.100.7", 0], "http"),
        (["Forwarded: for=192.0.2.9, for=198.51.100.7;proto=https"], ["198.51.100.7", 0], "https"),
        (['Forwarded: for="[2001:db8::1]:4711";proto=https'], ["2001:db8::1", 4711], "https"),
        (["Forwarded: for=_hidden;proto=https"], None, "https"),
        (["X-Forwarded-For: 192.0.2.9", "Forwarded: for=192.0.2.9"], ["192.0.2.9", 0], "http"),
        (["X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https"], ["192.0.2.9", 0], "https"),
    ],
)
def test_the_right_most_hop_that_is_no_proxy(
    told: Server, fields: list[str], client: list[Any] | None, scheme: str
) -> None:
    with Client(told.address) as connection:
        facts = ask(connection, *fields)
        assert facts["client"] == client or (client is None and facts["client"][0] == "127.0.0.1")
        assert facts["scheme"] == scheme
        # The next request of the connection says nothing: it is the proxy's own.
        assert ask(connection)["client"][0] == "127.0.0.1"


def test_the_access_line_names_the_client(told: Server) -> None:
    with Client(told.address) as connection:
        ask(connection, "X-Forwarded-For: 203.0.113.77")
    wait_for(
        lambda: [line for line in told.access_lines() if line.startswith("203.0.113.77 ")],
        "a line of the client",
    )


@pytest.mark.parametrize(
    "fields",
    [
        ["X-Forwarded-For: 192.0.2.9", "Forwarded: for=192.0.2.10"],
        ["Forwarded: for=192.0.2.9;proto=http", "X-Forwarded-Proto: https"],
        ['Forwarded: for="192.0.2.9'],
    ],
)
def test_a_conflict_is_refused(told: Server, fields: list[str]) -> None:
    told.announce("Invalid request")
    with Client(told.address) as connection:
        send(connection, *fields)
        assert connection.response().status == 400


def test_who_is_not_trusted_is_the_client(serve: StartServer) -> None:
    options = ("--forwarded-allow-ips", "10.0.0.0/8", "--forwarded-client", "both")
    server = serve("gateway_app:wsgi", *options)
    with Client(server.address) as connection:
        facts = ask(connection, "X-Forwarded-For: 192.0.2.9", "Forwarded: for=192.0.2.10")
    assert facts["client"][0] == "127.0.0.1"


def test_nobody_is_believed_unless_asked_for(serve: StartServer) -> None:
    server = serve("gateway_app:wsgi", *TRUSTED)
    with Client(server.address) as connection:
        assert ask(connection, "X-Forwarded-For: 192.0.2.9")["client"][0] == "127.0.0.1"


def test_over_http2(serve: StartServer) -> None:
    options = (*TRUSTED, "--forwarded-client", "both", "--http2-cleartext", "prior-knowledge")
    server = serve("gateway_app:wsgi", *options)
    target = f"http://127.0.0.1:{server.port}/a"
    field = "Forwarded: for=198.51.100.7;proto=https"
    facts = json.loads(curl("--http2-prior-knowledge", "-H", field, target))
    assert facts["version"] == "2"
    assert facts["client"] == ["198.51.100.7", 0]
    assert facts["scheme"] == "https"

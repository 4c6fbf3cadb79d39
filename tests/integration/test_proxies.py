"""Real proxies in front, by each protocol that they speak to servers: nginx by TLS and through its
stream module, HAProxy by TLS, HTTP/2 with and without it, and with PROXY headers of both versions.

No proxy tries a request twice, so what the server loses shows. Each way has a worker class or two.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect as ws_connect

from certificates import Pair, self_signed, signed
from client import Client
from conftest import StartServer
from curl import curl
from gateway import KINDS
from haproxy import haproxy
from harness import IS_GUNICORN, Server
from load import Load
from nginx import STREAM_MODULE, Front, nginx, nginx_stream

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="about what gunicorn does otherwise")
BODY = os.urandom(1 << 20) * 12
DIGEST = hashlib.sha256(BODY).hexdigest()
DOWNLOAD = bytes(range(256)) * 256 * 16 * 12
KEPT = 30  # requests of one client


@dataclass(frozen=True)
class Files:
    """Certificates: the server's, which is its own authority; a proxy's, and who signed it."""

    server: Pair
    proxy: Pair
    authority: Pair
    front: Path  # what HAProxy shows to its clients: certificate and key in one file

    def haproxy(self, *more: str) -> str:
        """TLS of a `server` line of HAProxy."""
        return (
            f"ssl verify required verifyhost localhost ca-file {self.server.cert} {' '.join(more)}"
        )


Through = Callable[[int, Path], AbstractContextManager[int]]


@dataclass(frozen=True)
class Way:
    """A proxy that speaks a protocol to the server: options of the server, who stands in front of
    its port, and what the application sees."""

    options: tuple[str, ...]
    through: Through
    version: str = "1.1"
    variables: tuple[tuple[str, str], ...] = ()
    scheme: str = "http"
    real_client: bool = False  # is known by a PROXY header


def through_nginx(front: Front) -> Through:
    return lambda port, prefix: nginx(f"127.0.0.1:{port}", prefix, front)


def through_stream(port: int, prefix: Path) -> AbstractContextManager[int]:
    return nginx_stream(f"127.0.0.1:{port}", prefix)


def through_haproxy(server_options: str, bind_options: str = "") -> Through:
    @contextlib.contextmanager
    def through(port: int, prefix: Path) -> Iterator[int]:
        with haproxy({"a": port}, prefix, server_options, bind_options) as proxy:
            yield proxy.port

    return through


def ways(files: Files) -> dict[str, Way]:
    tls = (*files.server.options(), "--http-protocols", "h2,h1")
    cleartext = ("--http2-cleartext", "prior-knowledge")
    mutual = (*tls, "--ca-certs", str(files.authority.cert), "--cert-reqs", "2")
    proxy = ("--proxy-protocol", "auto")
    trust = files.server.cert
    kept = Front(keep_alive=True, authority=trust)
    shown = Front(keep_alive=True, authority=trust, client=files.proxy)
    sent = "send-proxy-v2 proxy-v2-options unique-id,crc32c"
    secure = (("SSL_PROTOCOL", "TLSv1.3"), ("SSL_SERVER_NAME", "localhost"))
    known = (("SSL_CLIENT_VERIFY", "SUCCESS"), ("SSL_CLIENT_S_DN", "CN=proxy"))
    told = (("PROXY_PROTOCOL", "TCP4"),)
    return {
        # nginx says by X-Forwarded-Proto how its own client came.
        "nginx-tls": Way(tls, through_nginx(kept), variables=secure),
        "nginx-mutual-tls": Way(mutual, through_nginx(shown), variables=(*secure, *known)),
        "nginx-stream": Way(proxy, through_stream, variables=told, real_client=True),
        "haproxy-tls": Way(
            tls, through_haproxy(files.haproxy("sni str(localhost)")), "1.1", secure, "https"
        ),
        "haproxy-tls-h2": Way(
            mutual,
            through_haproxy(
                files.haproxy("sni str(localhost) alpn h2", "crt", str(files.front)),
            ),
            "2",
            (*secure, *known),
            "https",
        ),
        "haproxy-h2": Way(cleartext, through_haproxy("proto h2"), "2"),
        "haproxy-proxy-v1": Way(
            proxy, through_haproxy("send-proxy"), variables=told, real_client=True
        ),
        "haproxy-proxy-v2-h2": Way(
            (*proxy, *cleartext), through_haproxy(f"proto h2 {sent}"), "2", told, real_client=True
        ),
        "haproxy-proxy-v2-tls-h2": Way(
            (*proxy, *tls),
            through_haproxy(files.haproxy("sni str(localhost) alpn h2", sent)),
            "2",
            (*told, *secure),
            "https",
            real_client=True,
        ),
    }


CASES = [
    ("nginx-tls", "sync"),
    ("nginx-mutual-tls", "asgi"),
    ("nginx-stream", "gevent"),
    ("haproxy-tls", "gthread"),
    ("haproxy-tls-h2", "asgi"),
    ("haproxy-h2", "gthread"),
    ("haproxy-h2", "sync"),
    ("haproxy-proxy-v1", "asgi"),
    ("haproxy-proxy-v2-h2", "gevent"),
    ("haproxy-proxy-v2-tls-h2", "gthread"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("certificates")
    authority = self_signed(directory, "authority")
    proxy = signed(directory, "proxy", authority)
    front = directory / "front.pem"
    front.write_text(proxy.cert.read_text() + proxy.key.read_text())
    return Files(self_signed(directory), proxy, authority, front)


@dataclass(frozen=True)
class Site:
    """A server of two workers behind a proxy."""

    way: Way
    server: Server
    port: int

    def client(self) -> Client:
        """A connection to the proxy."""
        return Client(("127.0.0.1", self.port), timeout_s=60)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, files: Files
) -> Iterator[Site]:
    name, kind = request.param
    if "stream" in name and not STREAM_MODULE.exists():
        pytest.skip("no stream module of nginx")
    directory = tmp_path_factory.mktemp(f"{name}-{kind}")
    way = ways(files)[name]
    *options, app = KINDS[kind]
    with (
        Server(app, *options, *way.options, directory=directory, workers=2) as server,
        way.through(server.port, directory / "proxy") as port,
    ):
        yield Site(way, server, port)


def facts(client: Client, target: str = "/a?b") -> Any:
    response = client.ask(target)
    assert response.status == 200, response.body
    return json.loads(response.body)


def test_requests_on_kept_connections(site: Site) -> None:
    with site.client() as client:
        found = [facts(client) for _ in range(KEPT)]
        own = list(client.sock.getsockname())
    first = found[0]
    assert (first["path"], first["query"], first["version"]) == ("/a", "b", site.way.version)
    for name, value in site.way.variables:
        assert first["variables"][name] == value
    assert first["scheme"] == site.way.scheme
    clients = {tuple(one["client"]) for one in found}
    if site.way.real_client:
        assert clients == {tuple(own)}
    else:  # the proxy comes back on the connections that it has
        assert len(clients) <= 4


def test_large_bodies_both_ways(site: Site) -> None:
    with site.client() as client:
        up = json.loads(client.ask("/", "PUT", body=BODY).body)
        assert (up["body"], up["digest"]) == (len(BODY), DIGEST)
        down = client.ask(f"/download?{len(DOWNLOAD)}")
    assert hashlib.sha256(down.body).digest() == hashlib.sha256(DOWNLOAD).digest()


def test_reloads_under_load(site: Site) -> None:
    """Nobody behind the proxy sees that the workers are replaced, twice."""
    done = site.server.log().count("workers replaced")
    with Load(("127.0.0.1", site.port), "/", "/download?70000", count=6, keep=True) as load:
        for turn in range(2):
            load.more(20)
            site.server.signal(signal.SIGHUP)
            site.server.wait_log("workers replaced", done + turn + 1, timeout_s=30)
        load.more(20)
    failures = load.failures()
    assert not failures, f"{len(failures)} of {load.count()}: {failures[:5]}"


@pytest.mark.parametrize("secure", [False, True], ids=["cleartext", "tls"])
def test_a_websocket_through_haproxy_by_http2(
    serve: StartServer, files: Files, tmp_path: Path, secure: bool
) -> None:
    """An upgrade in HTTP/1 becomes an extended CONNECT (RFC 8441) between the two."""
    options = ("--http2-cleartext", "prior-knowledge")
    by = "proto h2 ws h2"
    if secure:
        options = (*files.server.options(), "--http-protocols", "h2")
        by = files.haproxy("alpn h2 ws h2")
    server = serve("asgi_sockets:app", "-k", "asgi", *options)

    async def talk(port: int) -> None:
        async with ws_connect(f"ws://127.0.0.1:{port}/echo") as sock:
            for message in ("hello", b"\0" * 200_000):
                await sock.send(message)
                assert await sock.recv() == message
        async with ws_connect(f"ws://127.0.0.1:{port}/dump") as sock:
            assert "('http_version', '2')" in str(await sock.recv())

    with haproxy({"a": server.port}, tmp_path / "haproxy", by) as proxy:
        asyncio.run(asyncio.wait_for(talk(proxy.port), 60))


def test_what_haproxy_says_of_its_clients_tls(
    serve: StartServer, files: Files, tmp_path: Path
) -> None:
    """TLS ends at HAProxy; version 2 of the PROXY protocol tells the application of it."""
    server = serve("gateway_app:asgi", "-k", "asgi", "--proxy-protocol", "v2")
    sends = "send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,authority,unique-id"
    bind = f"ssl crt {files.front} ca-file {files.server.cert} verify optional alpn http/1.1"
    with haproxy({"a": server.port}, tmp_path / "haproxy", sends, bind) as proxy:
        shown = ("--cert", str(files.server.cert), "--key", str(files.server.key))
        answer = curl("--insecure", *shown, f"https://localhost:{proxy.port}/")
    found = json.loads(answer)["variables"]
    assert found["PROXY_SSL_VERSION"] == "TLSv1.3"
    assert found["PROXY_SSL_CN"] == "server"
    assert found["PROXY_SSL_VERIFY"] == "SUCCESS"
    assert found["PROXY_AUTHORITY"] == "localhost"
    assert found["PROXY_UNIQUE_ID"].startswith("haproxy-")
    assert "TLS_" in found["PROXY_SSL_CIPHER"]

"""TLS with real clients in every worker class: what they get, and what replaces certificates."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Pair, self_signed, signed
from client import Client
from conftest import StartServer
from curl import curl, failures_under_reloads
from gateway import KINDS, V1
from harness import IS_GUNICORN, Server, wait_for
from patience import quiet_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="about what gunicorn does otherwise")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return self_signed(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module", params=KINDS)
def secure(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, pair: Pair
) -> Iterator[Server]:
    """One worker of each kind that speaks TLS."""
    *options, app = KINDS[request.param]
    options += [*pair.options(), "--http-protocols", "h2,h1", "--access-logfile", "-"]
    with Server(app, *options, directory=tmp_path_factory.mktemp(request.param)) as server:
        yield server


def url(server: Server, path: str = "/") -> str:
    return f"https://localhost:{server.port}{path}"


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_a_request(secure: Server, pair: Pair, version: str) -> None:
    trust = ("--cacert", str(pair.cert), f"--http{version}")
    facts = json.loads(curl(*trust, url(secure, "/a?b")))
    assert (facts["path"], facts["query"], facts["scheme"]) == ("/a", "b", "https")
    assert facts["version"].startswith(version.removesuffix(".1"))
    assert facts["variables"]["SSL_PROTOCOL"] == "TLSv1.3"
    assert facts["variables"]["SSL_SERVER_NAME"] == "localhost"


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_an_upload(secure: Server, pair: Pair, version: str) -> None:
    body = bytes(300_000)
    options = ("--cacert", str(pair.cert), f"--http{version}", "--data-binary", "@-")
    assert json.loads(curl(*options, url(secure), data=body))["body"] == len(body)


def test_an_older_version_of_tls(secure: Server, pair: Pair) -> None:
    facts = json.loads(curl("--cacert", str(pair.cert), "--tls-max", "1.2", url(secure)))
    assert facts["variables"]["SSL_PROTOCOL"] == "TLSv1.2"
    with pytest.raises(subprocess.CalledProcessError):
        curl("--insecure", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", url(secure))


def test_plain_http_gets_a_readable_page(secure: Server) -> None:
    with Client(secure.address) as client:
        response = client.ask("/")
        assert response.status == 400
        assert b"https://" in response.body
    secure.wait_log("plain-http")


def test_a_client_that_says_nothing_holds_no_slot(secure: Server, pair: Pair) -> None:
    with socket.create_connection(("127.0.0.1", secure.port)) as silent:
        silent.sendall(b"\x16\x03\x01")
        assert json.loads(curl("--cacert", str(pair.cert), url(secure)))["path"] == "/"


def test_a_handshake_has_its_time(serve: StartServer, pair: Pair) -> None:
    server = serve("gateway_app:wsgi", *pair.options(), "--tls-handshake-timeout", "1")
    with Client(server.address) as client:
        client.send(b"\x16\x03\x01")
        assert client.closed()


def test_a_handshake_byte_by_byte(secure: Server, pair: Pair) -> None:
    """Every split of what the client says."""
    context = ssl.create_default_context(cafile=str(pair.cert))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", secure.port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def say() -> None:
            for byte in outgoing.read():
                sock.sendall(bytes([byte]))

        def until(step: str, *arguments: object) -> bytes:
            while True:
                try:
                    result = getattr(tls, step)(*arguments)
                except ssl.SSLWantReadError:
                    say()
                    incoming.write(sock.recv(65536))
                else:
                    say()
                    return bytes(result or b"")

        until("do_handshake")
        tls.write(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        say()
        answer = b""
        while b'"path": "/slow"' not in answer:
            answer += until("read", 65536)


def test_a_client_certificate(serve: StartServer, tmp_path: Path, pair: Pair) -> None:
    authority = self_signed(tmp_path, "authority")
    client = signed(tmp_path, "client one", authority)
    options = (*pair.options(), "--ca-certs", str(authority.cert), "--cert-reqs", "1")
    for kind in ("sync", "asgi"):
        *more, app = KINDS[kind]
        server = serve(app, *more, *options)
        trust = ("--cacert", str(pair.cert))
        shown = ("--cert", str(client.cert), "--key", str(client.key))
        facts = json.loads(curl(*trust, *shown, "-H", "SSL-Client-Verify: FORGED", url(server)))
        assert facts["variables"]["SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert facts["variables"]["SSL_CLIENT_S_DN"] == "CN=client one"
        assert "BEGIN CERTIFICATE" in facts["variables"]["SSL_CLIENT_CERT"]
        if kind == "asgi":
            assert facts["tls"]["client_cert_name"] == "CN=client one"
            assert facts["tls"]["tls_version"] == 0x0304
        none = json.loads(curl(*trust, url(server)))
        assert none["variables"]["SSL_CLIENT_VERIFY"] == "NONE"


def test_a_client_certificate_is_required(serve: StartServer, tmp_path: Path, pair: Pair) -> None:
    authority = self_signed(tmp_path, "authority")
    client = signed(tmp_path, "client", authority)
    server = serve(
        "gateway_app:wsgi", *pair.options(), "--ca-certs", str(authority.cert), "--cert-reqs", "2"
    )
    trust = ("--cacert", str(pair.cert))
    with pytest.raises(subprocess.CalledProcessError):
        curl(*trust, url(server))
    server.wait_log("has shown no certificate")
    assert curl(*trust, "--cert", str(client.cert), "--key", str(client.key), url(server))


def replace(pair: Pair, by: Pair) -> None:
    """As a tool for renewals does: each file at once, one after the other."""
    for old, new in ((pair.key, by.key), (pair.cert, by.cert)):
        staged = old.with_suffix(".new")
        shutil.copy(new, staged)
        staged.rename(old)


def served_name(port: int) -> str:
    pem = ssl.get_server_certificate(("127.0.0.1", port))
    command = ["openssl", "x509", "-noout", "-subject"]
    shown = subprocess.run(command, input=pem.encode(), check=True, capture_output=True)
    return shown.stdout.decode().split("=")[-1].strip()


SWAPS = 100 if os.environ.get("MONO_SOAK") else 4
OLD_S_MAX = 1.0  # after a swap


def test_certificates_are_replaced_under_load(serve: StartServer, tmp_path: Path) -> None:
    """No handshake fails, and none gets the old certificate a second after a swap."""
    first = self_signed(tmp_path / "live", "first")
    others = [self_signed(tmp_path / "kept", name) for name in ("second", "third")]
    server = serve("gateway_app:wsgi", *first.options(), workers=2)
    stop = threading.Event()
    failures: list[str] = []
    served = [0]

    def load() -> None:
        context = ssl._create_unverified_context()
        while not stop.is_set():
            try:
                plain = socket.create_connection(("127.0.0.1", server.port))
                with plain, context.wrap_socket(plain) as tls:
                    tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    if not tls.recv(100).startswith(b"HTTP/1.1 200"):
                        failures.append("no answer")
                served[0] += 1
            except OSError as error:
                failures.append(str(error))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for turn in range(SWAPS):
            other = others[turn % 2]
            name = other.cert.stem
            replace(first, other)
            swapped = time.monotonic()
            wait_for(lambda name=name: served_name(server.port) == name, f"{name} to be served")
            left_s = max(0.0, swapped + OLD_S_MAX - time.monotonic())
            quiet_for(left_s, "a second after a swap nobody is served the old one")
            assert {served_name(server.port) for _ in range(2)} == {name}
    finally:
        stop.set()
        thread.join()
    assert not failures
    assert served[0] > SWAPS


def test_a_bad_pair_changes_nothing(serve: StartServer, tmp_path: Path) -> None:
    pair = self_signed(tmp_path / "live")
    other = self_signed(tmp_path / "kept", "other")
    server = serve("gateway_app:wsgi", *pair.options())
    staged = pair.cert.with_suffix(".new")
    shutil.copy(other.cert, staged)
    staged.rename(pair.cert)  # and the key stays that of the old one
    server.wait_log("the key does not belong to the certificate")
    assert served_name(server.port) == "server"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--certfile", "missing.pem"), "missing.pem"),
        (("--keyfile", __file__), "no certfile"),
        (("--certfile", __file__), "TLS cannot be served"),
    ],
)
def test_what_cannot_be_served_does_not_start(
    launch: StartServer, options: tuple[str, ...], words: str
) -> None:
    server = launch("gateway_app:wsgi", *options)
    assert server.wait() == 1
    assert words in server.log()


def test_a_worker_that_cannot_speak_tls_says_so(launch: StartServer, pair: Pair) -> None:
    server = launch("gateway_app:wsgi", "-k", "tornado", *pair.options())
    assert server.wait() == 1
    assert "has no TLS here" in server.log()


def test_a_proxy_header_comes_before_the_handshake(serve: StartServer, pair: Pair) -> None:
    server = serve("gateway_app:wsgi", *pair.options(), "--proxy-protocol", "auto")
    context = ssl.create_default_context(cafile=str(pair.cert))
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(V1)
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := tls.recv(65536):
                answer += piece
    assert b'"client": ["192.0.2.1", 4711]' in answer


def test_a_reload_loses_no_handshake(serve: StartServer, pair: Pair) -> None:
    """HUP under load: every request of every connection is answered."""
    server = serve("gateway_app:wsgi", *pair.options(), workers=2)
    assert not failures_under_reloads(server, "--cacert", str(pair.cert), url(server), url(server))

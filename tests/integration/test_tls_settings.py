"""TLS as its settings and the ssl_context hook say it is served; seen by openssl and Python."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import RSA, Pair, ocsp_response, openssl, revocations, self_signed, signed
from conftest import StartServer
from curl import curl
from gateway import KINDS
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="about what gunicorn does otherwise")

INTERMEDIATE = {  # Mozilla's, but for DHE; and TLS 1.3's three
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
}  # fmt: skip


def s_client(server: Server, *options: str, says: bytes = b"") -> str:
    """What openssl tells of a connection."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *options]
    done = subprocess.run(command, check=False, input=says, capture_output=True, timeout=30)
    return (done.stdout + done.stderr).decode(errors="replace")


def subject(told: str) -> str:
    found = re.search(r"subject=.*?CN\s*=\s*([^\s,]+)", told)
    return found[1] if found else ""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def several(place: Path) -> dict[str, Pair]:
    return {
        "first": self_signed(place, "first", "DNS:localhost"),
        "rsa": self_signed(place, "rsa", "DNS:shop.example", RSA),
        "ecdsa": self_signed(place, "ecdsa", "DNS:shop.example"),
        "wild": self_signed(place, "wild", "DNS:*.example"),
    }


@pytest.fixture(scope="module", params=KINDS)
def shops(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    several: dict[str, Pair],
) -> Iterator[Server]:
    """A listener with four certificates, in each worker class."""
    *options, app = KINDS[request.param]
    options += [*several["first"].options(), "--access-logfile", "-", "--access-logformat"]
    options += ["%({ssl_protocol}e)s %({SSL_SERVER_NAME}e)s %({SSL_CLIENT_VERIFY}e)s"]
    for name in ("rsa", "ecdsa", "wild"):
        options += ["--tls-certificate", f"{several[name].cert},{several[name].key}"]
    with Server(app, *options, directory=tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "kind", "served"),
    [
        ("localhost", "ecdsa", "first"),
        ("shop.example", "ecdsa", "ecdsa"),
        ("SHOP.example", "rsa", "rsa"),
        ("other.example", "ecdsa", "wild"),
        ("a.b.example", "ecdsa", "first"),
        ("nobody.test", "ecdsa", "first"),
    ],
)
def test_names_get_their_certificates(shops: Server, name: str, kind: str, served: str) -> None:
    ways = ("-tls1_2", "-cipher", f"a{kind.upper()}", "-servername", name)
    assert subject(s_client(shops, *ways)) == served


def test_access_lines_tell_of_the_connection(shops: Server) -> None:
    """Not of a header of that name."""
    forged = ("-H", "SSL-Client-Verify: SUCCESS", "-H", "SSL_PROTOCOL: forged")
    curl("--insecure", *forged, f"https://localhost:{shops.port}/")
    wait_for(lambda: "TLSv1.3 localhost -" in shops.access_lines(), "the access line")


def test_each_of_several_is_replaced(serve: StartServer, tmp_path: Path) -> None:
    first = self_signed(tmp_path, "first", "DNS:localhost")
    second = self_signed(tmp_path, "second", "DNS:shop.example")
    newer = self_signed(tmp_path / "kept", "newer", "DNS:shop.example")
    server = serve(
        "gateway_app:wsgi", *first.options(), "--tls-certificate", f"{second.cert},{second.key}"
    )
    newer.key.rename(second.key)
    newer.cert.rename(second.cert)

    def shop() -> bool:
        return subject(s_client(server, "-servername", "shop.example")) == "newer"

    wait_for(shop, "the newer one")
    assert subject(s_client(server, "-servername", "localhost")) == "first"


# ---- what testssl.sh would look at


@pytest.mark.parametrize(
    ("version", "served"), [("1", False), ("1_1", False), ("1_2", True), ("1_3", True)]
)
def test_versions(shops: Server, version: str, served: bool) -> None:
    told = s_client(shops, f"-tls{version}", "-cipher", "ALL:@SECLEVEL=0")
    assert ("BEGIN CERTIFICATE" in told) is served


def test_ciphers_are_the_intermediate_ones(shops: Server) -> None:
    listed = ["openssl", "ciphers", "-tls1_2", "-s", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.strip()
    left = [name for name in names.split(":") if name not in INTERMEDIATE and "TLS_" not in name]
    assert len(left) > 20
    refused = s_client(shops, "-tls1_2", "-cipher", ":".join(left) + ":@SECLEVEL=0")
    assert "BEGIN CERTIFICATE" not in refused
    for name in INTERMEDIATE:
        told = s_client(shops, "-tls1_2", "-cipher", name, "-servername", "shop.example")
        assert f"Cipher is {name}" in told


def test_no_renegotiation_and_no_compression(shops: Server) -> None:
    told = s_client(shops, "-tls1_2", says=b"R\nGET / HTTP/1.0\r\n\r\n")
    assert "Secure Renegotiation IS supported" in told  # RFC 5746: no more than that
    assert "Compression: NONE" in told
    assert "renegotiation" in told.split("RENEGOTIATING", 1)[1]


def test_alpn_without_http2(shops: Server) -> None:
    assert "ALPN protocol: http/1.1" in s_client(shops, "-alpn", "h2,http/1.1")
    assert "no application protocol" in s_client(shops, "-alpn", "h2").lower()


# ---- tickets


def resumes(server: Server, session: Path) -> bool:
    """With what a connection before has left in the file."""
    use = ("-sess_in", str(session)) if session.exists() else ()
    asks = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    told = s_client(server, "-tls1_2", "-sess_out", str(session), *use, "-ign_eof", says=asks)
    return "Reused, TLS" in told


def test_tickets_are_good_in_every_worker(
    serve: StartServer, several: dict[str, Pair], tmp_path: Path
) -> None:
    server = serve("gateway_app:wsgi", *several["first"].options(), workers=2)
    session = tmp_path / "session"
    assert not resumes(server, session)
    for pid in server.worker_pids():  # one after the other is replaced, and the last is a new one
        assert resumes(server, session)
        before = server.log().count("Booting worker")
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
        server.wait_log("Booting worker", before + 1)
    assert resumes(server, session)
    server.signal(signal.SIGHUP)
    server.wait_log("workers replaced")
    assert resumes(server, session)


def test_tickets_end_with_their_lifetime(
    serve: StartServer, several: dict[str, Pair], tmp_path: Path
) -> None:
    options = several["first"].options()
    server = serve("gateway_app:wsgi", *options, "--tls-ticket-lifetime", "1")
    session, kept = tmp_path / "session", tmp_path / "kept"
    resumes(server, session)
    kept.write_bytes(session.read_bytes())

    def ended() -> bool:
        session.write_bytes(kept.read_bytes())
        return not resumes(server, session)

    wait_for(ended, "the ticket to end")
    off = serve("gateway_app:wsgi", *options, "--tls-ticket-lifetime", "0")
    session.unlink()
    assert not resumes(off, session)
    assert not resumes(off, session)


# ---- stapling, revocation, passwords, secrets


def test_an_ocsp_response_is_stapled(serve: StartServer, tmp_path: Path) -> None:
    authority = self_signed(tmp_path, "authority")
    pair = signed(tmp_path, "server", authority)
    response = ocsp_response(tmp_path, pair, authority)
    server = serve("gateway_app:wsgi", *pair.options(), "--tls-ocsp-file", str(response))
    assert "OCSP Response Status: successful" in s_client(server, "-status")
    other = serve("gateway_app:wsgi", "--tls-certificate", f"{pair.cert},{pair.key},{response}")
    assert "OCSP Response Status: successful" in s_client(other, "-status")


def test_revoked_clients_are_refused(serve: StartServer, place: Path, tmp_path: Path) -> None:
    authority = self_signed(tmp_path, "authority")
    good, bad = (signed(tmp_path, name, authority) for name in ("good", "bad"))
    server = serve(
        "gateway_app:wsgi", *self_signed(place).options(), "--ca-certs", str(authority.cert),
        "--cert-reqs", "2", "--tls-crl-file", str(revocations(tmp_path / "ca", authority, bad)),
    )  # fmt: skip
    for pair, served in ((good, True), (bad, False)):
        shown = ("--insecure", "--cert", str(pair.cert), "--key", str(pair.key))
        if served:
            assert curl(*shown, f"https://localhost:{server.port}/")
            continue
        with pytest.raises(subprocess.CalledProcessError):
            curl(*shown, f"https://localhost:{server.port}/")
    server.wait_log("certificate revoked")


def encrypted(directory: Path) -> Pair:
    pair = self_signed(directory)
    plain = directory / "plain.pem"
    pair.key.rename(plain)
    openssl("pkcs8", "-topk8", "-in", str(plain), "-out", str(pair.key), "-passout", "pass:tulip")
    return pair


def test_an_encrypted_key(serve: StartServer, launch: StartServer, tmp_path: Path) -> None:
    pair, password = encrypted(tmp_path), tmp_path / "password"
    password.write_text("tulip\n")
    options: tuple[str, ...] = (*pair.options(), "--tls-key-password-file", str(password))
    assert subject(s_client(serve("gateway_app:wsgi", *options))) == "server"
    password.write_text("rose\n")
    for given, words in (
        (options, "the key's password is wrong"),
        (pair.options(), "the key is encrypted, and there is no password"),
    ):
        failed = launch("gateway_app:wsgi", *given)
        assert failed.wait() == 1
        assert words in failed.log()
        assert "rose" not in failed.log()


def test_the_key_log(serve: StartServer, several: dict[str, Pair], tmp_path: Path) -> None:
    log = tmp_path / "secrets"
    options = several["first"].options()
    server = serve("gateway_app:wsgi", *options, "--tls-key-log-file", str(log))
    server.wait_log("can read the traffic")
    s_client(server, "-tls1_3")
    wait_for(lambda: "CLIENT_TRAFFIC_SECRET_0 " in log.read_text(), "a secret")
    assert log.stat().st_mode & 0o777 == 0o600


def test_an_item_that_is_none(launch: StartServer) -> None:
    server = launch("gateway_app:wsgi", "--tls-certificate", "a,b,c,d")
    assert server.wait() == 1
    assert "CERT[,KEY[,OCSP]]" in server.log()


# ---- the hook


def hook(directory: Path, *lines: str) -> tuple[str, str]:
    config = directory / "hook.py"
    body = "\n".join(f"    {line}" for line in lines)
    config.write_text(f"import ssl\ndef ssl_context(conf, default_factory):\n{body}\n")
    return ("-c", str(config))


@pytest.mark.parametrize("kind", KINDS)
def test_the_hook_changes_the_default(
    serve: StartServer, several: dict[str, Pair], tmp_path: Path, kind: str
) -> None:
    *options, app = KINDS[kind]
    authority = several["wild"]
    lines = (
        "context = default_factory()",
        "assert isinstance(context, ssl.SSLContext)",
        "context.minimum_version = ssl.TLSVersion.TLSv1_3",
        f"context.load_cert_chain({str(several['rsa'].cert)!r}, {str(several['rsa'].key)!r})",
        f"context.load_verify_locations({str(authority.cert)!r})",
        "context.verify_mode = ssl.CERT_OPTIONAL",
        "context.set_alpn_protocols(['http/1.1', 'x-own'])",
        "return context",
    )
    server = serve(app, *options, *several["first"].options(), *hook(tmp_path, *lines))
    told = s_client(server, "-alpn", "x-own")
    assert subject(told) == "rsa"
    assert "ALPN protocol: x-own" in told
    assert "Acceptable client certificate CA names\nCN = wild" in told.replace("CN=", "CN = ")
    assert "BEGIN CERTIFICATE" not in s_client(server, "-tls1_2")


def test_the_hook_sets_ciphers(
    serve: StartServer, several: dict[str, Pair], tmp_path: Path
) -> None:
    lines = (
        "context = default_factory()",
        "context.maximum_version = ssl.TLSVersion.TLSv1_2",
        "context.set_ciphers('ECDHE-ECDSA-AES256-GCM-SHA384')",
        "return context",
    )
    server = serve("gateway_app:wsgi", *several["first"].options(), *hook(tmp_path, *lines))
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in s_client(server)
    assert "BEGIN CERTIFICATE" not in s_client(server, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)",), "returned an object of its own"),
        (
            (
                "context = default_factory()",
                "context.sni_callback = lambda *a: None",
                "return context",
            ),
            "cannot serve: sni_callback",
        ),
        (
            (
                "context = default_factory()",
                "context.set_ecdh_curve('prime256v1')",
                "return context",
            ),
            "cannot serve: set_ecdh_curve",
        ),
        (("default_factory().load_cert_chain('gone.pem')",), "the ssl_context hook: [Errno 2]"),
    ],
)
def test_what_the_hook_may_not(
    launch: StartServer, several: dict[str, Pair], tmp_path: Path, lines: tuple[str], words: str
) -> None:
    server = launch("gateway_app:wsgi", *several["first"].options(), *hook(tmp_path, *lines))
    assert server.wait() == 1
    assert words in server.log()


def test_idle_connections_are_small(serve: StartServer, several: dict[str, Pair]) -> None:
    """Of 200, after a request each: private memory of the worker (docs/protocols.md has the
    figure of 2,000)."""
    server = serve("gateway_app:wsgi", *several["first"].options())
    (worker,) = server.worker_pids()
    context = ssl._create_unverified_context()

    def connect() -> ssl.SSLSocket:
        tls = context.wrap_socket(socket.create_connection(("127.0.0.1", server.port)))
        tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert tls.recv(4096).startswith(b"HTTP/1.1 200")
        return tls

    def private_kib() -> int:
        text = Path(f"/proc/{worker}/smaps_rollup").read_text()
        return sum(int(size) for size in re.findall(r"Private_\w+:\s+(\d+) kB", text))

    held = [connect() for _ in range(50)]  # pools and caches are warm
    before = private_kib()
    held += [connect() for _ in range(200)]
    each = (private_kib() - before) / 200
    for tls in held:
        tls.close()
    print(f"{each:.1f} KiB a connection")
    assert each <= 24

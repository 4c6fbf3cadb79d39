"""_secure.TlsStore: what the master says of certificates that it publishes. That they are served is
tested beside the sources (src/tls)."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from monoceros import _secure

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, bytes]]:
    """Two certificates of 30 days and their keys."""
    made = []
    for name in ("one", "two"):
        base: Path = tmp_path_factory.mktemp(name)
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
            f"-subj /CN={name}.example -keyout {base}/key.pem -out {base}/cert.pem"
        )
        subprocess.run(command.split(), check=True, capture_output=True)
        made.append(((base / "cert.pem").read_bytes(), (base / "key.pem").read_bytes()))
    return made


def test_a_pair_is_published_and_replaced(pairs: list[tuple[bytes, bytes]]) -> None:
    (cert, key), (other, other_key) = pairs
    store = _secure.TlsStore()
    opened = store.open([("a.pem", cert, key, b"", b"")], ["http/1.1"], ciphers="ECDHE+AESGCM")
    assert opened[:4] == (True, [], [], "a.pem")
    assert opened[4] in (29, 30)
    same = store.update([("a.pem", cert, key, b"", b"")], ["http/1.1"], ciphers="ECDHE+AESGCM")
    assert not same[0]
    mixed = store.update([("a.pem", other, key, b"", b"")], ["http/1.1"])
    assert mixed[2] == ["a.pem: the key does not belong to the certificate"]
    assert store.update([("a.pem", other, other_key, b"", b"")], ["http/1.1"])[0]
    assert store.rotate_tickets()


def test_what_cannot_be_served_is_a_sentence(pairs: list[tuple[bytes, bytes]]) -> None:
    cert, key = pairs[0]
    certificate = ("a.pem", cert, key, b"", b"")
    store = _secure.TlsStore()
    for arguments, sentence in (
        ({"ciphers": "NONSENSE"}, "OpenSSL knows none"),
        ({"ca": b"nothing"}, "ca_certs holds nothing"),
        ({"cert_reqs": 3}, "cert_reqs is 0, 1 or 2"),
        ({"version_min": 0x0302}, "TLS 1.2 and 1.3"),
    ):
        with pytest.raises(ValueError, match=sentence):
            store.open([certificate], [], **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="there is no certificate"):
        store.open([], [])
    with pytest.raises(TypeError, match="expected a TlsStore, not str"):
        store.open([certificate], [], tickets_of="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        store.open([("a.pem", cert)], [])  # type: ignore[list-item]
    again = _secure.TlsStore()
    assert again.open([certificate], [], tickets_of=store)[0]

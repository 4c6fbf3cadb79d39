"""Certificates for tests, made by openssl: a self-signed one for localhost, and an authority."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

RSA = ["-newkey", "rsa:2048", "-nodes"]
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


class Pair:
    """A certificate chain and its key, in files."""

    def __init__(self, directory: Path, name: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.cert = directory / f"{name}.pem"
        self.key = directory / f"{name}-key.pem"

    def options(self) -> tuple[str, ...]:
        return ("--certfile", str(self.cert), "--keyfile", str(self.key))


def self_signed(
    directory: Path,
    name: str = "server",
    names: str = "DNS:localhost,IP:127.0.0.1",
    kind: Sequence[str] = EC,
) -> Pair:
    pair = Pair(directory, name)
    openssl(
        "req", "-x509", *kind, "-days", "30", "-subj", f"/CN={name}", "-addext",
        f"subjectAltName={names}", "-keyout", str(pair.key), "-out", str(pair.cert),
    )  # fmt: skip
    return pair


def revocations(directory: Path, by: Pair, *revoked: Pair) -> Path:
    """A list, signed by `by`."""
    directory.mkdir(parents=True, exist_ok=True)
    database, settings, made = (directory / name for name in ("db", "ca.cnf", "crl.pem"))
    database.write_text("")
    settings.write_text(
        f"[ca]\ndefault_ca=d\n[d]\ndatabase={database}\ndefault_md=sha256\ndefault_crl_days=9\n"
    )
    signs = ("-config", str(settings), "-cert", str(by.cert), "-keyfile", str(by.key))
    for pair in revoked:
        openssl("ca", *signs, "-revoke", str(pair.cert))
    openssl("ca", *signs, "-gencrl", "-out", str(made))
    return made


def ocsp_response(directory: Path, of: Pair, by: Pair) -> Path:
    """Good for a day; in DER."""
    request, made, index = (directory / name for name in ("ask.der", "ocsp.der", "index"))
    shown = ["openssl", "x509", "-in", str(of.cert), "-noout", "-serial"]
    serial = subprocess.run(shown, check=True, capture_output=True, text=True).stdout
    index.write_text(f"V\t491231235959Z\t\t{serial.strip().split('=')[1]}\tunknown\t/CN=any\n")
    known = ("-issuer", str(by.cert))
    openssl("ocsp", *known, "-cert", str(of.cert), "-reqout", str(request))
    openssl(
        "ocsp", "-index", str(index), "-CA", str(by.cert), "-rsigner", str(by.cert), "-rkey",
        str(by.key), "-reqin", str(request), "-respout", str(made), "-ndays", "1",
    )  # fmt: skip
    return made


def signed(directory: Path, name: str, by: Pair) -> Pair:
    """One that `by` has signed: a client's."""
    pair = Pair(directory, name)
    request = directory / f"{name}.csr"
    openssl("req", *EC, "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(request))
    openssl(
        "x509", "-req", "-in", str(request), "-CA", str(by.cert), "-CAkey", str(by.key),
        "-CAcreateserial", "-days", "30", "-out", str(pair.cert),
    )  # fmt: skip
    return pair

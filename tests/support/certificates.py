"""Certificates for tests, made by openssl: a self-signed one for localhost, and an authority."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


def self_signed(directory: Path, name: str = "server", days: int = 30) -> Pair:
    pair = Pair(directory, name)
    openssl(
        "req", "-x509", *EC, "-days", str(days), "-subj", f"/CN={name}", "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(pair.key), "-out",
        str(pair.cert),
    )  # fmt: skip
    return pair


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

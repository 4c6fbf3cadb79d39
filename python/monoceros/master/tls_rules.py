"""TlsRules: which files a configuration names for TLS, and what it says of how they are served.

Made once a configuration, from its settings or from what an ssl_context hook made of them; the
files are read again at each look. Owned by the master's Certificates.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from monoceros.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from monoceros import _secure

PROTOCOLS = {"h1": "http/1.1", "h2": "h2"}


class Source:
    """Where a certificate comes from. `password`: of its key, if a hook gave it."""

    __slots__ = ("certificate", "key", "ocsp", "password")

    def __init__(self, certificate: str, key: str = "", ocsp: str = "", password: bytes = b""):
        self.certificate = certificate
        self.key = key
        self.ocsp = ocsp
        self.password = password

    def files(self) -> list[str]:
        return [name for name in (self.certificate, self.key, self.ocsp) if name]


class TlsRules:
    def __init__(self, cfg: Any) -> None:
        """ConfigError: it names nothing that could be served."""
        if cfg.keyfile and not cfg.certfile:
            raise ConfigError("TLS cannot be served: there is a keyfile and no certfile")
        self.sources = sources_of(cfg)
        self.protocols = protocols_of(cfg)
        self.ca_files: list[str] = [cfg.ca_certs] if cfg.ca_certs else []
        self.ca_data = b""
        self.crl_file: str = cfg.tls_crl_file or ""
        self.password_file: str = cfg.tls_key_password_file or ""
        self.key_log_file: str = cfg.tls_key_log_file or ""
        self.more: dict[str, Any] = {
            "ciphers": cfg.ciphers or "",
            "cert_reqs": int(cfg.cert_reqs),
            "ticket_lifetime_s": cfg.tls_ticket_lifetime,
        }

    @property
    def ticket_lifetime_s(self) -> int:
        lifetime: int = self.more["ticket_lifetime_s"]
        return lifetime

    def files(self) -> list[str]:
        """Whatever is read."""
        names = [name for source in self.sources for name in source.files()]
        names += [*self.ca_files, self.crl_file, self.password_file]
        return [os.path.abspath(name) for name in names if name]

    def password(self) -> bytearray:
        """Of encrypted keys; empty: there is none. OSError: its file cannot be read."""
        text = _bytes_of(self.password_file) if self.password_file else bytearray()
        while text and text[-1] in b"\r\n":
            text.pop()
        return text

    @contextmanager
    def read(self) -> Iterator[tuple[list[_secure._Certificate], dict[str, Any]]]:
        """Certificates and rules as a TlsStore takes them; what was read is wiped afterwards.
        OSError: a file is missing, or nobody may read it."""
        secrets: list[bytearray] = []

        def secret(name: str) -> bytearray:
            secrets.append(_bytes_of(name) if name else bytearray())
            return secrets[-1]

        try:
            secrets.append(password := self.password())
            certificates: list[_secure._Certificate] = [
                (
                    source.certificate,
                    secret(source.certificate),
                    secret(source.key),
                    source.password or password,
                    secret(source.ocsp),
                )
                for source in self.sources
            ]
            more = dict(self.more)
            ca = self.ca_data + b"\n".join(bytes(_bytes_of(name)) for name in self.ca_files)
            if ca:
                more["ca"] = ca
            if self.crl_file:
                more["crl"] = bytes(_bytes_of(self.crl_file))
            yield certificates, more
        finally:
            for text in secrets:
                _wipe(text)


def sources_of(cfg: Any) -> list[Source]:
    """certfile and its key first: it is for names that no other one has."""
    found = []
    if cfg.certfile:
        found.append(Source(cfg.certfile, cfg.keyfile or "", cfg.tls_ocsp_file or ""))
    for item in cfg.tls_certificates:
        parts = [part.strip() for part in item.split(",")]
        if len(parts) > 3 or not parts[0]:
            raise ConfigError(f"tls_certificates: an item is CERT[,KEY[,OCSP]], not {item!r}.")
        found.append(Source(*parts))
    return found


def protocols_of(cfg: Any) -> list[str]:
    """For ALPN, the preferred one first. HTTP/1.1 is always spoken."""
    chosen = [PROTOCOLS[name] for name in cfg.http_protocols]
    return chosen if "http/1.1" in chosen else [*chosen, "http/1.1"]


def _bytes_of(name: str) -> bytearray:
    """Without a second copy in Python's memory."""
    with open(name, "rb", buffering=0) as file:
        into = bytearray(os.fstat(file.fileno()).st_size)
        read = file.readinto(into) or 0
        if read < len(into):
            del into[read:]
        if not into:
            into += file.read() or b""  # a pipe
    return into


def _wipe(text: bytearray) -> None:
    text[:] = bytes(len(text))

"""TLS and HTTP/2: loaded where either is spoken (src/python/secure_module.cpp). Private."""

from collections.abc import Sequence
from typing import TypeAlias, final

parts: object  # for _core.Engine

# changed, warnings, what was refused, the certificate that expires first, days until then
_Published: TypeAlias = tuple[bool, list[str], list[str], str, int]
# name, chain, key, password, OCSP response
_Certificate: TypeAlias = tuple[str, bytes, bytes, bytes, bytes]

@final
class TlsStore:
    def __new__(cls) -> TlsStore: ...
    def open(
        self,
        certificates: Sequence[_Certificate],
        alpn: Sequence[str],
        version_min: int = ...,
        version_max: int = ...,
        ciphers: str = ...,
        cert_reqs: int = ...,
        ca: bytes = ...,
        crl: bytes = ...,
        key_log_fd: int = ...,
        ticket_lifetime_s: int = ...,
        tickets_of: TlsStore | None = ...,
    ) -> _Published: ...
    def update(
        self,
        certificates: Sequence[_Certificate],
        alpn: Sequence[str],
        version_min: int = ...,
        version_max: int = ...,
        ciphers: str = ...,
        cert_reqs: int = ...,
        ca: bytes = ...,
        crl: bytes = ...,
        key_log_fd: int = ...,
        ticket_lifetime_s: int = ...,
        tickets_of: TlsStore | None = ...,
    ) -> _Published: ...
    def rotate_tickets(self) -> bool: ...

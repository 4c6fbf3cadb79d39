"""TLS and HTTP/2: loaded where either is spoken (src/python/secure_module.cpp). Private."""

from collections.abc import Sequence
from typing import TypeAlias, TypedDict, final

from typing_extensions import Unpack

parts: object  # for _core.Engine

# changed, warnings, what was refused, the certificate that expires first, days until then
_Published: TypeAlias = tuple[bool, list[str], list[str], str, int]
# name, chain, key, password, OCSP response
_Bytes: TypeAlias = bytes | bytearray | memoryview
_Certificate: TypeAlias = tuple[str, _Bytes, _Bytes, _Bytes, _Bytes]

class _Rules(TypedDict, total=False):
    version_min: int  # 0x0303 or 0x0304, as version_max
    version_max: int
    ciphers: str
    cert_reqs: int
    ca: bytes
    crl: bytes
    key_log_fd: int
    ticket_lifetime_s: int
    tickets_of: TlsStore | None

@final
class TlsStore:
    def __new__(cls) -> TlsStore: ...
    def open(
        self, certificates: Sequence[_Certificate], alpn: Sequence[str], **rules: Unpack[_Rules]
    ) -> _Published: ...
    def update(
        self, certificates: Sequence[_Certificate], alpn: Sequence[str], **rules: Unpack[_Rules]
    ) -> _Published: ...
    def rotate_tickets(self) -> bool: ...

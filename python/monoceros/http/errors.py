"""gunicorn's exceptions of requests that cannot be read.

The core refuses such requests by itself and raises none of these. They are here for worker
classes that read requests in Python, and for `except` clauses that name them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ParseException(Exception):
    """A request that cannot be read. `code` is the status to answer with."""

    code = 400

    def __init__(self, detail: Any = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(self).__name__)
        return f"{words.strip().capitalize()}: {self.detail!r}" if self.detail else words.strip()


class NoMoreData(IOError):
    """The connection ended in the middle of a request; `buf` holds what came."""

    def __init__(self, buf: bytes | None = None) -> None:
        super().__init__(f"No more data after {buf!r}")
        self.buf = buf


def _kinds(code: int, *names: str) -> None:
    for name in names:
        body = {"__module__": __name__, "__doc__": f"Answered with {code}.", "code": code}
        globals()[name] = type(name, (ParseException,), body)


_kinds(
    400, "InvalidRequestLine", "InvalidRequestMethod", "InvalidHTTPVersion", "InvalidHeader",
    "InvalidHeaderName", "InvalidChunkSize", "ChunkMissingTerminator", "InvalidProxyLine",
    "InvalidProxyHeader", "InvalidSchemeHeaders", "ObsoleteFolding", "InvalidChunkExtension",
    "InvalidH2CPreface",
)  # fmt: skip
_kinds(403, "ForbiddenProxyRequest", "ForbiddenUWSGIRequest")
_kinds(414, "LimitRequestLine")
_kinds(417, "ExpectationFailed")
_kinds(431, "LimitRequestHeaders")
_kinds(500, "ConfigurationProblem", "InvalidResponseHeader", "InvalidResponseHeaderName")
_kinds(501, "UnsupportedTransferCoding")

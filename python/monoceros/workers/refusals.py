"""Requests that could not be read, for worker classes that override handle_error.

gunicorn calls it for them, with None for the request. Here it is called later, in the main thread:
the core has answered and logged them.
"""

from __future__ import annotations

from monoceros.http import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEADER = ("field-colon", "field-value", "underscore", "duplicate-field", "host", "host-missing")
_LENGTH = ("content-length", "content-length-repeated", "transfer-encoding", "length-and-chunked")
_LINE = ("request-line", "bare-lf", "bare-cr", "target", "tls", "http2-preface")
_LIMIT = ("too-many-fields", "field-too-long", "head-too-long", "trailers-too-long")
# Rules of the core (src/http/error.cpp) and gunicorn's exceptions. Without one: what was late, too
# large, or had no room.
EXCEPTIONS = {
    **dict.fromkeys((*_HEADER, *_LENGTH, "trailer", "trailer-forbidden"), "InvalidHeader"),
    **dict.fromkeys(_LINE, "InvalidRequestLine"),
    **dict.fromkeys(_LIMIT, "LimitRequestHeaders"),
    "request-line-too-long": "LimitRequestLine",
    "method": "InvalidRequestMethod",
    "version": "InvalidHTTPVersion",
    "proxy-header": "InvalidProxyLine",
    "field-name": "InvalidHeaderName",
    "obsolete-folding": "ObsoleteFolding",
    "scheme-conflict": "InvalidSchemeHeaders",
    "transfer-encoding-unknown": "UnsupportedTransferCoding",
    "expectation": "ExpectationFailed",
    "chunk-size": "InvalidChunkSize",
    "chunk-line-too-long": "InvalidChunkSize",
    "chunk-extension": "InvalidChunkExtension",
    "chunk-end": "ChunkMissingTerminator",
    "script-name": "ConfigurationProblem",
}


class Answered:
    """In the place of a client's socket that the core has done with."""

    def __getattr__(self, name: str) -> Any:
        raise BrokenPipeError(f"{name}: the request was refused, and that is answered already")


def tell(worker: Any, entry: tuple[Any, ...]) -> None:
    """What goes wrong in the subclass is an entry of the error log."""
    *_, rule, detail = entry
    if rule not in EXCEPTIONS:
        return
    address = tuple(entry[1:3]) if entry[1] else ""
    try:
        raise getattr(errors, EXCEPTIONS[rule])(detail)
    except errors.ParseException as error:  # so that sys.exc_info() tells of it
        try:
            worker.handle_error(None, Answered(), address, error)
        except Exception:
            worker.log.exception("handle_error failed for a request that could not be read")

"""Sixteen pieces of 1 KiB from a generator, no Content-Length: the server must frame them."""

from collections.abc import Callable, Iterator
from typing import Any

PIECE = b"0123456789abcdef" * 64
PIECES = 16


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Yield 16 pieces of 1 KiB."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(PIECES):
        yield PIECE

"""Large answers, in every way in which an application can give one. ?mb= says how large.

PROBE_DIR/given has a byte for each piece of 64 KiB that the application got rid of.
"""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

PIECE = bytes(range(256)) * 256
GIVEN = Path(os.environ.get("PROBE_DIR", "/nowhere")) / "given"


def count_of(query: str) -> int:
    return int(parse_qs(query).get("mb", ["1"])[0]) * 16


def pieces(count: int) -> Iterator[bytes]:
    """Fresh objects, as applications make them."""
    with GIVEN.open("ab", buffering=0) as given:
        for _ in range(count):
            yield bytes(bytearray(PIECE))
            given.write(b".")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    count = count_of(environ["QUERY_STRING"])
    path = environ["PATH_INFO"]
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if path == "/iterated":
        return pieces(count)
    if path == "/written":
        for piece in pieces(count):
            write(piece)
        return []
    if path == "/listed":
        return [bytes(bytearray(PIECE)) for _ in range(count)]
    if path == "/wrapped":
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](io.BytesIO(PIECE * count), 65536)
        return wrapped
    return [PIECE * count] if path == "/whole" else [b"hello"]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    count = count_of(scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200})
    if scope["path"] == "/iterated":
        for piece in pieces(count):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    else:
        whole = PIECE * count if scope["path"] == "/whole" else b"hello"
        await send({"type": "http.response.body", "body": whole})

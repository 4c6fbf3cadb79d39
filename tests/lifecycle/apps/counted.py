"""The counted application for WSGI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from counting import Asked, note_boot


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Works for `ms`, then answers `size` bytes that begin with the request's id."""
    asked = Asked(environ["QUERY_STRING"])
    asked.begin()
    got = environ["wsgi.input"].read() if asked.post_bytes else b""
    if asked.seconds:
        time.sleep(asked.seconds)
    status = "200 OK" if len(got) == asked.post_bytes else "400 Bad Request"
    start_response(status, asked.fields())
    if asked.after_s:
        return answer(asked)
    asked.end()
    return [asked.body()]


def answer(asked: Asked) -> Iterator[bytes]:
    """The whole answer; the application goes on for a while when the client has it."""
    yield asked.body()
    time.sleep(asked.after_s)
    asked.end()


note_boot()

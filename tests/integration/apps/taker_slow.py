"""Speaks for itself, then waits for its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from taker import SAID


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    if environ["PATH_INFO"] == "/plain":
        start_response("200 OK", [])
        return [b"plain"]
    taken = environ["gunicorn.socket"]
    taken.sendall(SAID)
    if taken.recv(10):
        taken.sendall(b"bye")
    raise StopIteration

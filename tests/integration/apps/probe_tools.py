"""What the parts of the probe application share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
Handler = Callable[[Environ, StartResponse], Iterable[bytes]]


def query(environ: Environ) -> dict[str, str]:
    """The query string's fields."""
    return dict(parse_qsl(environ["QUERY_STRING"]))


def note(name: str, text: str) -> None:
    """Appends a line to the file `name` in PROBE_DIR; one write, so lines never mix."""
    with (Path(os.environ["PROBE_DIR"]) / name).open("a") as file:
        file.write(text + "\n")


def plain(
    start_response: StartResponse, body: bytes, kind: str = "text/plain", status: str = "200 OK"
) -> list[bytes]:
    """Answers with one body of known length."""
    start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]

"""A 100 KiB answer in one piece: copies and send buffers show here."""

from collections.abc import Callable
from typing import Any

BODY = b"0123456789abcdef" * 6400
LENGTH = str(len(BODY))


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer with 100 KiB."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", LENGTH)])
    return [BODY]

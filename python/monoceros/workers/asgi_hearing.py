"""Hearing: an ASGI request as hooks and Python loggers get to know it.

Imported only where there is somebody to hear: a hook, a logger class of one's own, statsd.
"""

from __future__ import annotations

import time
from http import HTTPStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PHRASES = {int(status): status.phrase for status in HTTPStatus}


def reduced_environ(scope: dict[str, Any]) -> dict[str, Any]:
    """What of a WSGI environ a scope can say; header fields as HTTP_*, several joined by commas."""
    query = scope["query_string"].decode("latin-1")
    raw = scope["raw_path"].decode("latin-1")
    client = scope["client"] or ("", "")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "RAW_URI": f"{raw}?{query}" if query else raw,
        "PATH_INFO": scope["path"],
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": None,
    }
    for name, known in scope["extensions"]["monoceros"].items():
        environ[f"monoceros.{name}"] = known
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


class Hearing:
    """Stands before the send of one request."""

    def __init__(self, scope: dict[str, Any], send: Any) -> None:
        self.environ = reduced_environ(scope)
        self._send = send
        self._began = time.monotonic()
        self._status = 500  # what a request gets that is left unanswered
        self._fields = b""
        self._sent = 0

    async def send(self, message: dict[str, Any]) -> None:
        """ASGI's send. Only what the core has accepted is noted."""
        await self._send(message)
        if message["type"] == "http.response.start":
            self._status = message["status"]
            fields = (b"%b: %b\r\n" % (name, value) for name, value in message.get("headers") or ())
            self._fields = b"".join(fields)
        elif message["type"] == "http.response.body":
            self._sent += len(message.get("body") or b"")

    def outcome(self) -> tuple[dict[str, Any], str, bytes, int, int]:
        """The arguments of the worker's _after_request."""
        microseconds = int((time.monotonic() - self._began) * 1e6)
        status = f"{self._status} {_PHRASES.get(self._status, 'Unknown')}"
        return self.environ, status, self._fields, self._sent, microseconds

"""Access lines of requests that no application has seen: refused ones, and readiness probes.

The C++ core writes them where it writes the access log; here they are made for Python's loggers.
"""

from __future__ import annotations

from datetime import timedelta

from monoceros.http.message import Request, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import EngineWorker

PLAIN = ("CONTENT_TYPE", "CONTENT_LENGTH")
UNKNOWN = "-"


def log(worker: EngineWorker, entry: tuple[Any, ...]) -> None:
    """What goes wrong in a logger class of the user's is an entry of the error log."""
    *_, status, response_fields, _, sent, microseconds, _, _ = entry
    environ = _environ(worker, entry)
    request = Request(environ)
    response = Response(request, status, response_fields, sent)
    try:
        worker.log.access(response, request, environ, timedelta(microseconds=microseconds))
    except Exception:
        worker.log.exception("The access log line of a refused request could not be written.")


def _environ(worker: EngineWorker, entry: tuple[Any, ...]) -> dict[str, Any]:
    # As the application would have got it, so far as the request was read.
    listener, host, port, method, target, path, query, version, fields, *_ = entry
    environ = worker.base_environ(worker.sockets[listener])
    protocol = "HTTP/{}.{}".format(*version) if target else ""
    names = ("REQUEST_METHOD", "RAW_URI", "PATH_INFO", "SERVER_PROTOCOL")
    for name, value in zip(names, (method, target, path, protocol), strict=True):
        environ[name] = value or UNKNOWN
    environ.update(QUERY_STRING=query if target else UNKNOWN, REMOTE_ADDR=host)
    if host:
        environ["REMOTE_PORT"] = str(port)
    if entry[11]:
        environ["monoceros.request_id"] = entry[11]
    for name, value in fields:
        key = name.upper().replace("-", "_")
        key = key if key in PLAIN else f"HTTP_{key}"
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ

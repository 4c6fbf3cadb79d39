"""Answers with what it saw: the environ's texts and the body."""

from __future__ import annotations

import json
from collections.abc import Iterable

from probe_tools import Environ, StartResponse


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One JSON object; the body of the request is its key "data"."""
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    seen["data"] = environ["wsgi.input"].read().decode("latin-1")
    body = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

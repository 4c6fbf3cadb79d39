"""Spoils every environ that it gets and keeps some: the next request's must not show it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

KEPT: list[dict[str, Any]] = []
OBJECTS = (
    "wsgi.input", "wsgi.early_hints", "gunicorn.socket", "monoceros.times",
    "monoceros.extend_timeout",
)  # fmt: skip


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What it was given, and which objects of kept environs it was given again."""
    given = {key: value for key, value in environ.items() if isinstance(value, str)}
    given["body"] = environ["wsgi.input"].read().decode()
    given["again"] = [
        key
        for key in OBJECTS
        if key in environ and any(environ[key] is kept.get(key) for kept in KEPT)
    ]
    if environ["PATH_INFO"] == "/keep":
        KEPT.append(dict(environ))
        environ["REQUEST_METHOD"] = "SPOILT"
        KEPT.append(environ)
    else:
        environ.clear()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(given).encode()]

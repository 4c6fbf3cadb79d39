"""Makes a TLS context as requests does, whose module has taken SSLContext from ssl."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests
from urllib3.util.ssl_ import create_urllib3_context


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    context = create_urllib3_context()
    start_response("200 OK", [])
    made = type(context)
    return [f"{made.__module__}.{made.__name__} {requests.__name__}".encode()]

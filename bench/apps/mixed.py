"""Requests of mixed cost: /short sleeps 1 ms, anything else 200 ms. The answer: pid, seconds."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer who served it and for how long."""
    began = time.monotonic()
    time.sleep(0.001 if environ["PATH_INFO"] == "/short" else 0.2)
    body = f"{os.getpid()} {time.monotonic() - began:.6f}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

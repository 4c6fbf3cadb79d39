"""Applications that keep a worker from its end: an event stream, or a thread of their own. Both go
on until the file `go` is there."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GO = Path(os.environ["PROBE_DIR"], "go")


def work() -> None:
    while not GO.exists():
        time.sleep(0.02)


def start_thread() -> None:
    threading.Thread(target=work, name="nightly-report").start()


def stream() -> Iterator[bytes]:
    while not GO.exists():
        yield b"data: %d\n\n" % os.getpid()
        time.sleep(0.05)


def app(environ: dict[str, Any], start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/stream":
        return stream()
    if environ["PATH_INFO"] == "/thread":
        start_thread()
    return [str(os.getpid()).encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/thread":
        start_thread()
    while scope["path"] == "/stream" and not GO.exists():
        piece = b"data: %d\n\n" % os.getpid()
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

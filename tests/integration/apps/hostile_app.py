"""What stands behind hostile clients (support/hostile.py): the same paths for WSGI and for ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

BLOCK = bytes(range(256)) * 256
BLOCKS = 128  # 8 MiB
LATE = 5  # calls behind the end, a few milliseconds apart
LATE_PAUSE_S = 0.004


def quietly(function: Any, *args: Any) -> None:
    with contextlib.suppress(Exception):
        function(*args)


def may_go() -> bool:
    """Whether those who wait on /wait may answer."""
    return (Path(os.environ["PROBE_DIR"]) / "go").exists()


def late_calls(write: Any, hints: Any, stream: Any) -> None:
    for _ in range(LATE):
        quietly(write, b"of another request")
        quietly(hints, [("Link", "</of-another>")])
        quietly(stream.read, 1)
        time.sleep(LATE_PAUSE_S)


def app(environ: dict[str, Any], start_response: Any) -> Any:
    path, stream = environ["PATH_INFO"], environ["wsgi.input"]
    while path == "/wait" and not may_go():
        time.sleep(0.05)
    if path == "/big":
        start_response("200 OK", [("Content-Length", str(len(BLOCK) * BLOCKS))])
        return (BLOCK for _ in range(BLOCKS))
    if path == "/late":
        write = start_response("200 OK", [])
        arguments = (write, environ["wsgi.early_hints"], stream)
        threading.Thread(target=late_calls, args=arguments).start()
        return [b"late"]
    body = stream.read() if path == "/echo" else environ["QUERY_STRING"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def async_late_calls(receive: Any, send: Any) -> None:
    for _ in range(LATE):
        with contextlib.suppress(Exception):
            await send({"type": "http.response.body", "body": b"of another", "more_body": True})
        with contextlib.suppress(Exception):
            await asyncio.wait_for(receive(), LATE_PAUSE_S)


async def answer(send: Any, length: int, *parts: bytes) -> None:
    fields = [(b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def whole_body(receive: Any) -> bytes:
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message["body"])
        if not message["more_body"]:
            break
    return b"".join(parts)


async def talk(receive: Any, send: Any) -> None:
    """Echoes: text and bytes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise TypeError("on purpose: none here")
    if scope["type"] == "websocket":
        await talk(receive, send)
    elif scope["path"] == "/big":
        await answer(send, len(BLOCK) * BLOCKS, *[BLOCK] * BLOCKS)
    elif scope["path"] == "/late":
        await answer(send, 4, b"late")
        threading.Thread(target=asyncio.run, args=(async_late_calls(receive, send),)).start()
        await async_late_calls(receive, send)
    else:
        while scope["path"] == "/wait" and not may_go():
            await asyncio.sleep(0.05)
        body = scope["query_string"] if scope["path"] != "/echo" else await whole_body(receive)
        await answer(send, len(body), body)

"""The counted application for ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

from counting import Asked, note_boot


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Works for `ms`, then answers `size` bytes that begin with the request's id."""
    assert scope["type"] == "http"
    asked = Asked(scope["query_string"].decode())
    asked.begin()
    got, more = 0, True
    while more:
        message = await receive()
        got += len(message.get("body", b""))
        more = message.get("more_body", False)
    if asked.seconds:
        await asyncio.sleep(asked.seconds)
    status = 200 if got == asked.post_bytes else 400
    fields = [(name.lower().encode(), value.encode()) for name, value in asked.fields()]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    body = {"type": "http.response.body", "body": asked.body(), "more_body": asked.after_s > 0}
    await send(body)
    if asked.after_s:
        await asyncio.sleep(asked.after_s)  # the client has its answer
        await send({"type": "http.response.body"})


note_boot()

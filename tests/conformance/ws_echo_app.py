"""A WebSocket echo of texts and binaries under the asgi worker: for tools/autobahn.sh."""

from collections.abc import Awaitable, Callable
from typing import Any


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Sends every message back as it came, until the client leaves."""
    if scope["type"] != "websocket":
        raise ValueError(f"only WebSockets are served here, not {scope['type']}")
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({**event, "type": "websocket.send"})

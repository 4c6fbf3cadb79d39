"""Sleeps 10 ms, then hello: timers and many requests at once, as with a database behind."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hello_asgi import BODY, START

SLEEP_SECONDS = 0.01


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer with 13 bytes after 10 ms. Servers run it without lifespan."""
    await asyncio.sleep(SLEEP_SECONDS)
    await send(START)
    await send(BODY)

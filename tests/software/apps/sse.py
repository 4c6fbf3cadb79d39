"""sse-starlette: event streams, one of them endless."""

import asyncio

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def index(request):
    return PlainTextResponse("sse")


async def events(request):
    count = int(request.query_params.get("count", 1 << 30))

    async def numbers():
        for number in range(count):
            yield {"data": str(number)}
            await asyncio.sleep(0.01)

    return EventSourceResponse(numbers())


app = Starlette(routes=[Route("/", index), Route("/events", events)])

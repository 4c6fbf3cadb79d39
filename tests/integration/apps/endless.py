"""Streams without an end, in every interface. What runs at their end is noted."""

import asyncio
import time

from asgi_probe import body, note, start
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

EVENTS = "text/event-stream"


async def ticks(name, stop=None):
    try:
        while not (stop and await stop()):
            yield b"data: tick\n\n"
            await asyncio.sleep(0.05)
    finally:
        note(f"finally-{name}", str(time.monotonic()))


async def blind(request):
    """Never asks."""
    return StreamingResponse(ticks("blind"), media_type=EVENTS)


async def asking(request):
    return StreamingResponse(ticks("asking", request.is_disconnected), media_type=EVENTS)


async def download(request):
    """Asks too, but is no event stream."""
    return StreamingResponse(ticks("download", request.is_disconnected), media_type="text/csv")


async def sse(request):
    from sse_starlette.sse import EventSourceResponse

    return EventSourceResponse(ticks("sse"))


async def few(request):
    """One that has an end."""
    from sse_starlette.sse import EventSourceResponse

    async def events():
        for number in range(10):
            yield {"data": str(number)}
            await asyncio.sleep(0.1)
        yield {"data": "last"}

    return EventSourceResponse(events())


async def plain(request):
    return PlainTextResponse("plain")


async def farewell(request):
    """sse-starlette's way to say something last."""
    import anyio
    from sse_starlette.sse import EventSourceResponse

    told = anyio.Event()

    async def events():
        while not told.is_set():
            yield {"data": "tick"}
            await asyncio.sleep(0.05)
        yield {"data": "farewell"}
        note("finally-farewell", str(time.monotonic()))

    return EventSourceResponse(events(), shutdown_event=told, shutdown_grace_period=5)


def lifespan(app):
    import contextlib

    @contextlib.asynccontextmanager
    async def span():
        yield
        note("shutdown", str(time.monotonic()))

    return span()


PATHS = {"/blind": blind, "/asking": asking, "/download": download, "/plain": plain}
WITH_SSE = {"/sse": sse, "/few": few, "/farewell": farewell}
app = Starlette(
    routes=[Route(path, call) for path, call in {**PATHS, **WITH_SSE}.items()],
    lifespan=lifespan,
)


def with_sse():
    """sse-starlette loaded before the worker serves, as an import at the top of a module does."""
    import sse_starlette.sse  # noqa: F401

    return app


async def stubborn(scope, receive, send):
    """Does not end when it is cancelled."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        note("shutdown")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await start(send, 200, (b"content-type", EVENTS.encode()))
    while True:
        try:
            await body(send, b"data: tick\n\n", True)
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            note("finally-stubborn")


class Ticks:
    """A WSGI iterable whose close() is noted."""

    def __init__(self, name):
        self.name = name

    def __iter__(self):
        return self

    def __next__(self):
        time.sleep(0.05)
        return b"data: tick\n\n"

    def close(self):
        note(f"finally-{self.name}", str(time.monotonic()))


def generator():
    try:
        yield from Ticks("inner")
    finally:
        note("finally-generator", str(time.monotonic()))


def waiting():
    """Waits far longer than anybody has."""
    try:
        yield b"data: tick\n\n"
        time.sleep(600)
    finally:
        note("finally-waiting", str(time.monotonic()))


def quiet(name):
    """Runs on and yields nothing."""
    try:
        while True:
            time.sleep(0.02)
    finally:
        note(f"finally-{name}", str(time.monotonic()))


def begun():
    yield b"data: tick\n\n"
    yield from quiet("begun")


STREAMS = {
    "/object": lambda: Ticks("object"),
    "/generator": generator,
    "/waiting": waiting,
    "/begun": begun,
}


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/quiet":
        note("running")
        quiet("quiet")
    start_response("200 OK", [("Content-Type", EVENTS)])
    return STREAMS[environ["PATH_INFO"]]()

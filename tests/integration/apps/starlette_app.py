"""Starlette: lifespan state, streams both ways, background tasks, WebSocket."""

import contextlib

from asgi_tools import blocks, ended, events, late_note, lines, receipt
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"word": "started"}
    ended("starlette")


async def index(request):
    return PlainTextResponse("hello from starlette")


async def json_echo(request):
    return JSONResponse({"got": await request.json()})


async def raw(request):
    return JSONResponse(await receipt(request.stream()))


async def stream(request):
    return StreamingResponse(lines(), media_type="text/plain")


async def big(request):
    return StreamingResponse(blocks(int(request.query_params["mb"])))


async def watched(request):
    return StreamingResponse(events("starlette", request.is_disconnected))


async def background(request):
    return PlainTextResponse("soon", background=BackgroundTask(late_note, "starlette"))


async def state(request):
    return PlainTextResponse(request.state.word)


def thread(request):
    """Starlette runs what is not async in a thread."""
    return PlainTextResponse("from a thread")


async def boom(request):
    raise RuntimeError("boom in starlette")


async def websocket(socket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"echo {text}")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Route("/json", json_echo, methods=["POST"]),
        Route("/raw", raw, methods=["PUT"]),
        Route("/stream", stream),
        Route("/big", big),
        Route("/events", watched),
        Route("/background", background),
        Route("/state", state),
        Route("/thread", thread),
        Route("/boom", boom),
        WebSocketRoute("/ws", websocket),
    ],
)

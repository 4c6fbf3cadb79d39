"""Litestar: lifespan, streams, background tasks, WebSocket."""

import contextlib
from typing import Any

from asgi_tools import blocks, ended, late_note, lines, receipt
from litestar import Litestar, MediaType, Request, Response, get, post, put, websocket_listener
from litestar.background_tasks import BackgroundTask
from litestar.logging import LoggingConfig
from litestar.response import Stream


@contextlib.asynccontextmanager
async def lifespan(app: Litestar):
    app.state.word = "started"
    yield
    ended("litestar")


@get("/", media_type=MediaType.TEXT)
async def index() -> str:
    return "hello from litestar"


@post("/json", status_code=200)
async def json_echo(data: Any) -> dict[str, Any]:
    return {"got": data}


@put("/raw", request_max_body_size=None)
async def raw(request: Request) -> dict[str, Any]:
    return await receipt(request.stream())


@get("/stream")
async def stream() -> Stream:
    return Stream(lines(), media_type="text/plain")


@get("/big")
async def big(mb: int) -> Stream:
    return Stream(blocks(mb))


@get("/background")
async def background() -> Response[str]:
    task = BackgroundTask(late_note, "litestar")
    return Response("soon", media_type=MediaType.TEXT, background=task)


@get("/state", media_type=MediaType.TEXT)
async def state(request: Request) -> str:
    return str(request.app.state.word)


@get("/thread", media_type=MediaType.TEXT, sync_to_thread=True)
def thread() -> str:
    return "from a thread"


@get("/boom")
async def boom() -> str:
    raise RuntimeError("boom in litestar")


@websocket_listener("/ws")
async def websocket(data: str) -> str:
    return f"echo {data}"


app = Litestar(
    [index, json_echo, raw, stream, big, background, state, thread, boom, websocket],
    lifespan=[lifespan],
    logging_config=LoggingConfig(log_exceptions="always"),
)

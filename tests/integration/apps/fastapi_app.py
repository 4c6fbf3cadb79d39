"""FastAPI: models, dependencies, threads, background tasks, WebSocket."""

import contextlib
from typing import Annotated, Any

from asgi_tools import blocks, ended, events, late_note, lines, receipt
from fastapi import BackgroundTasks, Body, Depends, FastAPI, Request, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    yield {"word": "started"}
    ended("fastapi")


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=PlainTextResponse)
async def index() -> str:
    return "hello from fastapi"


@app.post("/json")
async def json_echo(value: Annotated[Any, Body()]):
    return {"got": value}


@app.put("/raw")
async def raw(request: Request):
    return await receipt(request.stream())


@app.get("/stream")
async def stream():
    return StreamingResponse(lines(), media_type="text/plain")


@app.get("/events")
async def watched(request: Request):
    return StreamingResponse(events("fastapi", request.is_disconnected))


@app.get("/big")
async def big(mb: int):
    return StreamingResponse(blocks(mb))


@app.get("/background", response_class=PlainTextResponse)
async def background(tasks: BackgroundTasks):
    tasks.add_task(late_note, "fastapi")
    return "soon"


async def word(request: Request):
    yield request.state.word


@app.get("/state", response_class=PlainTextResponse)
async def state(found: str = Depends(word)):
    return found


@app.get("/thread", response_class=PlainTextResponse)
def thread():
    return "from a thread"


@app.get("/boom")
async def boom():
    raise RuntimeError("boom in fastapi")


@app.websocket("/ws")
async def websocket(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"echo {text}")

"""python-socketio on ASGI, with a background task."""

import socketio
from starlette.responses import PlainTextResponse

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
app = socketio.ASGIApp(server, PlainTextResponse("beside it"))


@server.event
async def connect(sid, environ):
    server.start_background_task(tick, sid)


async def tick(sid):
    while True:
        await server.emit("tick", to=sid)
        await server.sleep(0.1)


@server.on("ask")
async def ask(sid, data):
    return {"heard": data}

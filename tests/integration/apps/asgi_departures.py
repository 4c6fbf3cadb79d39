"""Applications whose clients leave: what send() raises is noted, by the names of its classes."""

import asyncio

from asgi_probe import BLOCK, body, note, query, start
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute


async def noting(action):
    """Does it; what it raises is noted and goes on."""
    try:
        await action
    except BaseException as error:
        note("raised", " ".join(cls.__name__ for cls in type(error).__mro__))
        raise


async def until_left(receive):
    while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
        pass
    note("left")


async def pour(scope, receive, send):
    """Never waits by itself: where send() does not raise, nothing ends it."""
    await start(send)
    count = 0
    while True:
        count += 1
        await body(send, BLOCK, True)
        note("poured", str(count))
        await asyncio.sleep(0)


async def once_left(scope, receive, send):
    """One message to nobody, as ?what= says."""
    what = query(scope)["what"]
    await body_first(what, send)
    note("present")
    await until_left(receive)
    await (start(send) if what == "start" else last(what, send))


async def body_first(what, send):
    if what in {"more", "last"}:
        await start(send)
        await body(send, b"begun", True)


async def last(what, send):
    if what == "hint":
        message = {"type": "http.response.informational", "status": 103, "headers": []}
        await send(message)
    else:
        await body(send, b"x", what == "more")


async def socket(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    note("present")
    await until_left(receive)
    await send({"type": "websocket.send", "text": "to nobody"})


async def served(scope, receive, send):
    """All that was announced is with the client, which leaves; the last message comes behind."""
    await start(send, 200, (b"content-length", b"5"))
    await body(send, b"whole", True)
    await until_left(receive)
    await asyncio.sleep(float(query(scope).get("s", "0")))  # work behind the answer
    await body(send, b"", query(scope)["more"] == "1")
    note("served")


PATHS = {"/served": served, "/pour": pour, "/once-left": once_left, "/socket": socket}


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        await noting(PATHS[scope["path"]](scope, receive, send))


# Starlette's


async def numbers():
    try:
        for number in range(1 << 30):
            yield b"%d\n" % number
            await asyncio.sleep(0.01)
    finally:
        note("finally")


async def stream(request):
    return StreamingResponse(numbers(), media_type="text/plain")


async def broken(request):
    note("present")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    raise RuntimeError("broken on purpose")


async def late(request):
    note("present")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    return PlainTextResponse("late", background=BackgroundTask(note, "background"))


async def echo(websocket):
    """As the tutorials have it: nothing catches WebSocketDisconnect."""
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


async def upload(request):
    note("present")
    await request.body()


async def talk(websocket):
    await websocket.accept()
    note("present")
    try:
        while True:
            await websocket.send_text("x")
            await asyncio.sleep(0.01)
    finally:
        note("finally")


starlette = Starlette(
    routes=[
        Route("/stream", stream),
        Route("/broken", broken),
        Route("/late", late),
        Route("/upload", upload, methods=["POST"]),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/talk", talk),
    ]
)

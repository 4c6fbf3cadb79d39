"""Quart: Flask's ways on ASGI."""

from asgi_tools import blocks, ended, late_note, lines, receipt
from quart import Quart, Response, request, websocket
from quart.utils import run_sync

app = Quart(__name__)
app.config["MAX_CONTENT_LENGTH"] = None
words = []


@app.before_serving
async def begin():
    words.append("started")


@app.after_serving
async def end():
    ended("quart")


@app.get("/")
async def index():
    return Response("hello from quart", mimetype="text/plain")


@app.post("/json")
async def json_echo():
    return {"got": await request.get_json()}


@app.put("/raw")
async def raw():
    return await receipt(request.body)


@app.get("/stream")
async def stream():
    return Response(lines(), mimetype="text/plain")


@app.get("/big")
async def big():
    return Response(blocks(int(request.args["mb"])))


@app.get("/background")
async def background():
    app.add_background_task(late_note, "quart")
    return "soon"


@app.get("/state")
async def state():
    return words[0]


@app.get("/thread")
async def thread():
    return await run_sync(lambda: "from a thread")()


@app.get("/boom")
async def boom():
    raise RuntimeError("boom in quart")


@app.websocket("/ws")
async def echo():
    while True:
        await websocket.send(f"echo {await websocket.receive()}")

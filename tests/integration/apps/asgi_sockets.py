"""An ASGI application of WebSockets: every path is one behaviour. PROBE_DIR is for notes."""

import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qsl

from asgi_probe import body, lifespan, note, plain, start

ROUTES = {}
BLOCK = bytes(range(256)) * 256


def route(function):
    """Registers /NAME_OF_THE_FUNCTION, with dashes."""
    ROUTES["/" + function.__name__.replace("_", "-")] = function
    return function


def query(scope):
    return dict(parse_qsl(scope["query_string"].decode()))


async def accept(receive, send, **more):
    assert await receive() == {"type": "websocket.connect"}
    await send({"type": "websocket.accept", **more})


async def departed(receive):
    """Waits for the end, and notes how it came."""
    while (message := await receive())["type"] != "websocket.disconnect":
        pass
    note("disconnect", f"{message['code']} {message.get('reason')}")


@route
async def echo(scope, receive, send):
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        assert ("text" in message) != ("bytes" in message)
        await send({**message, "type": "websocket.send"})
    note("disconnect", f"{message['code']} {message.get('reason')}")


@route
async def collect(scope, receive, send):
    """Notes all that came."""
    await accept(receive, send)
    texts = []
    while (message := await receive())["type"] == "websocket.receive":
        texts.append(message["text"])
    note("disconnect", f"{message['code']} {texts}")


@route
async def dump(scope, receive, send):
    """Its scope, but for what differs from run to run."""
    await accept(receive, send)
    found = {key: scope[key] for key in scope if key not in ("headers", "client", "server")}
    await send({"type": "websocket.send", "text": repr(sorted(found.items()))})
    await departed(receive)


@route
async def choose(scope, receive, send):
    """The last of the subprotocols that are offered."""
    fields = [(b"x-own", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await accept(receive, send, subprotocol=scope["subprotocols"][-1], headers=fields)
    await departed(receive)


@route
async def close(scope, receive, send):
    """Accepts and closes at once, as ?code= and ?reason= say."""
    wanted = query(scope)
    await accept(receive, send)
    message = {"type": "websocket.close", "reason": wanted.get("reason")}
    await send({**message, "code": int(wanted["code"])} if "code" in wanted else message)
    await departed(receive)
    try:
        await send({"type": "websocket.send", "text": "too late"})
    except OSError:
        note("late", "OSError")


@route
async def forbid(scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})
    note("forbidden", (await receive())["type"])


@route
async def deny(scope, receive, send):
    await receive()
    assert "websocket.http.response" in scope["extensions"]
    fields = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Basic")]
    message = {"type": "websocket.http.response.start", "status": 401, "headers": fields}
    await send(message)
    for more in (True, False):
        message = {"type": "websocket.http.response.body", "body": b"who? ", "more_body": more}
        await send(message)


@route
async def raise_before(scope, receive, send):
    await receive()
    raise RuntimeError("raised on purpose before")


@route
async def raise_after(scope, receive, send):
    await accept(receive, send)
    raise RuntimeError("raised on purpose after")


@route
async def leave_before(scope, receive, send):
    await receive()


@route
async def leave_after(scope, receive, send):
    await accept(receive, send)


@route
async def wrong(scope, receive, send):
    """Messages out of their order; what they raised comes as text."""
    names = []

    async def attempt(message):
        try:
            await send(message)
        except Exception as error:
            names.append(type(error).__name__)

    await attempt({"type": "websocket.send", "text": "early"})
    await accept(receive, send)
    await attempt({"type": "websocket.accept"})
    await attempt({"type": "websocket.send"})
    await attempt({"type": "http.response.start", "status": 200})
    await send({"type": "websocket.send", "text": " ".join(names)})
    await departed(receive)


@route
async def deaf(scope, receive, send):
    """Does not read before ?s= seconds have passed, then counts."""
    await accept(receive, send)
    note("deaf")
    await asyncio.sleep(float(query(scope)["s"]))
    count = 0
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "end":
            await send({"type": "websocket.send", "text": str(count)})
        count += 1


@route
async def flood(scope, receive, send):
    """Sends ?n= messages of 64 KiB; how many were taken so far is noted."""
    await accept(receive, send)
    for number in range(int(query(scope)["n"])):
        await send({"type": "websocket.send", "bytes": BLOCK})
        if number % 16 == 15:
            note("sent", str(number + 1))
    await departed(receive)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["path"] == "/hello":
        await plain(send, b"hello")
    elif scope["path"] == "/until-go":
        note("waiting")
        while not (Path(os.environ["PROBE_DIR"]) / "go").exists():
            await asyncio.sleep(0.01)
        await plain(send, b"go")
    elif scope["type"] == "websocket":
        await ROUTES[scope["path"]](scope, receive, send)
    else:
        await start(send, 426)
        await body(send)

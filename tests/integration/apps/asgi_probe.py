"""The ASGI application under which the asgi worker is looked at: every path is one behaviour.

PROBE_DIR is a directory in which the tests and the application leave each other notes; LIFESPAN
names what the application does at its start: complete (default), none, raise, return, failed.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from urllib.parse import parse_qsl

BLOCK = bytes(range(256)) * 256
ROUTES = {}


def route(function):
    """Registers /NAME_OF_THE_FUNCTION, with dashes."""
    ROUTES["/" + function.__name__.replace("_", "-")] = function
    return function


def note(name, text="x"):
    """For the test to find, whole from the start."""
    place = Path(os.environ["PROBE_DIR"]) / name
    part = place.with_name(f"{name}.part{os.getpid()}")
    part.write_text(text)
    part.replace(place)


def query(scope):
    return dict(parse_qsl(scope["query_string"].decode()))


@route
async def meddle(scope, receive, send):
    """Changes whatever it has been given, after having told what that was."""
    await plain(send, json.dumps(described(scope)).encode())
    for part in (scope, scope["asgi"], scope["extensions"], *scope["extensions"].values()):
        part["meddled"] = True
    scope["state"]["meddled"] = True
    scope["headers"].append((b"meddled", b"yes"))


async def start(send, status=200, *headers):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})


async def body(send, data=b"", more=False):
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def plain(send, data):
    await start(send, 200, (b"content-length", b"%d" % len(data)))
    await body(send, data)


async def chunks(receive):
    """The parts of the body. Raises ConnectionError if the client leaves before its end."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client left")
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


def described(value):
    """For JSON: bytes as latin-1, tuples as lists."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list | tuple):
        return [described(item) for item in value]
    if isinstance(value, dict):
        return {key: described(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else repr(value)


@route
async def hello(scope, receive, send):
    await plain(send, b"hello")


@route
async def pid(scope, receive, send):
    await plain(send, b"%d" % os.getpid())


@route
async def loop(scope, receive, send):
    await plain(send, type(asyncio.get_running_loop()).__module__.encode())


@route
async def dump_scope(scope, receive, send):
    found = described(scope)
    found["KINDS"] = {
        key: type(scope[key]).__name__ for key in ("raw_path", "query_string", "headers", "path")
    }
    await plain(send, json.dumps(found).encode())


@route
async def state(scope, receive, send):
    """Counts in the request's own copy and in an object that all share."""
    scope["state"]["own"] = scope["state"].get("own", 0) + 1
    scope["state"]["shared"].append(1)
    await plain(send, b"%d %d" % (scope["state"]["own"], len(scope["state"]["shared"])))


@route
async def messages(scope, receive, send):
    """What receive() gave, up to the end of the body."""
    got = []
    while True:
        message = await receive()
        got.append(described(message))
        if not message.get("more_body"):
            break
    await plain(send, json.dumps(got).encode())


@route
async def echo(scope, receive, send):
    """Both ways at once: each part goes back as it comes."""
    await start(send)
    async for data in chunks(receive):
        await body(send, data, True)
    await body(send)


@route
async def digest(scope, receive, send):
    size, hashed, largest = 0, hashlib.sha256(), 0
    pause = float(query(scope).get("pause", 0))
    async for data in chunks(receive):
        size += len(data)
        largest = max(largest, len(data))
        hashed.update(data)
        if pause:
            await asyncio.sleep(pause)
    found = {"size": size, "sha256": hashed.hexdigest(), "largest": largest}
    await plain(send, json.dumps(found).encode())


@route
async def unread_until_told(scope, receive, send):
    """Reads its body only when there is a note called go."""
    note("waiting")
    while not (Path(os.environ["PROBE_DIR"]) / "go").exists():
        await asyncio.sleep(0.01)
    await digest(scope, receive, send)


@route
async def ignore(scope, receive, send):
    await plain(send, b"ignored")


@route
async def big(scope, receive, send):
    """?mb= MiB in parts of 64 KiB; how many were taken so far is noted."""
    count = int(query(scope)["mb"]) * 16
    await start(send, 200, (b"content-length", b"%d" % (count << 16)))
    for index in range(count):
        await body(send, BLOCK, True)
        if index % 16 == 15:
            note("sent", str(index + 1))
    await body(send)


@route
async def trickle(scope, receive, send):
    """?n= parts, one each ?s= seconds."""
    wanted = query(scope)
    note("trickling", str(os.getpid()))
    await start(send)
    for index in range(int(wanted["n"])):
        await body(send, b"%d\n" % index, True)
        await asyncio.sleep(float(wanted["s"]))
    await body(send)


@route
async def sleep(scope, receive, send):
    note("sleeping", str(os.getpid()))
    await asyncio.sleep(float(query(scope)["s"]))
    await plain(send, b"slept")


@route
async def block(scope, receive, send):
    """Holds the loop itself."""
    note("blocking", str(os.getpid()))
    time.sleep(float(query(scope)["s"]))
    await plain(send, b"blocked")


@route
async def departure(scope, receive, send):
    """Notes what happens when the client leaves, and goes on as if nothing had."""
    note("present")
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
        note("disconnect", str(time.monotonic()))
        with contextlib.suppress(OSError):
            await start(send)
        again = await receive()
        note("again", again["type"])
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        note("cancelled", str(time.monotonic()))
        raise


@route
async def deaf(scope, receive, send):
    """Never looks at receive()."""
    note("present")
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        note("cancelled", str(time.monotonic()))
        raise


@route
async def background(scope, receive, send):
    """Is at work for ?s= more seconds after its answer."""
    await plain(send, b"answered")
    await asyncio.sleep(float(query(scope)["s"]))
    note("done")


CROWD = {"now": 0, "most": 0}


@route
async def crowd(scope, receive, send):
    """Works before its answer, or behind it (?behind=1); says how many at most did so at once."""
    CROWD["now"] += 1
    CROWD["most"] = max(CROWD.values())
    behind = "behind" in query(scope)
    if behind:
        await plain(send, b"%d" % CROWD["most"])
    await asyncio.sleep(0.02)
    CROWD["now"] -= 1
    if not behind:
        await plain(send, b"%d" % CROWD["most"])


@route
async def receive_after(scope, receive, send):
    """receive() after the end of the answer."""
    await plain(send, b"answered")
    note("after", (await receive())["type"])


@route
async def status(scope, receive, send):
    """?code= with a body that some of them must not have."""
    await start(send, int(query(scope)["code"]), (b"x-own", b"1"))
    await body(send, b"a body")


@route
async def headers(scope, receive, send):
    await start(
        send,
        200,
        (b"X-Case", b"Kept"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"server", b"mine"),
        (b"date", b"today"),
        (b"content-length", b"2"),
    )
    await body(send, b"ok")


@route
async def hints(scope, receive, send):
    for link in (b"</a.css>", b"</b.css>"):
        message = {"type": "http.response.informational", "status": 103}
        await send({**message, "headers": [(b"link", link)]})
    await plain(send, b"hinted")


@route
async def memory(scope, receive, send):
    await start(send, 200, (b"content-length", b"6"))
    await body(send, bytearray(b"abc"), True)
    await body(send, memoryview(b"def"))


async def _caught(send, *messages):
    """Sends them all; the name of the exception of the last."""
    for message in messages[:-1]:
        await send(message)
    try:
        await send(messages[-1])
    except Exception as error:
        return type(error).__name__
    return "nothing"


START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"x", "more_body": True}
LAST = {"type": "http.response.body", "body": b"x"}
WRONG = {
    "start-twice": (START, START),
    "body-first": (LAST,),
    "body-after-end": (START, LAST, LAST),
    "hint-after-start": (START, {**START, "type": "http.response.informational"}),
    "unknown": ({"type": "http.response.nonsense"},),
    "no-type": ({},),
    "bad-status": ({**START, "status": "200"},),
    "bad-header": ({**START, "headers": [(b"x", b"a\r\nevil: 1")]},),
    "bad-name": ({**START, "headers": [(b"x y", b"a")]},),
    "text-header": ({**START, "headers": [("x", "a")]},),
    "text-body": (START, {**LAST, "body": "text"}),
}


@route
async def wrong(scope, receive, send):
    """One wrong message; what it raised is noted, and nothing more is said."""
    name = query(scope)["what"]
    note("wrong-" + name, await _caught(send, *WRONG[name]))


@route
async def raise_before(scope, receive, send):
    raise RuntimeError("raised on purpose before")


@route
async def raise_after(scope, receive, send):
    await start(send)
    await body(send, b"some", True)
    raise RuntimeError("raised on purpose after")


@route
async def return_before(scope, receive, send):
    return


@route
async def return_after(scope, receive, send):
    await start(send, 200, (b"content-length", b"100"))
    await body(send, b"some", True)


@route
async def leave(scope, receive, send):
    raise SystemExit(0)


async def lifespan(scope, receive, send):
    """As LIFESPAN says."""
    way = os.environ.get("LIFESPAN", "complete")
    if way == "none":
        raise TypeError("http only")
    await receive()
    if way == "raise":
        raise RuntimeError("no start on purpose")
    if way == "return":
        return
    if way == "failed":
        await send({"type": "lifespan.startup.failed", "message": "failed on purpose"})
        return
    scope["state"]["shared"] = []
    note("lifespan-scope", json.dumps(described(scope)))
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    await asyncio.sleep(0.1)
    note("shutdown")
    if way == "bad-end":
        await send({"type": "lifespan.shutdown.failed", "message": "ended on purpose"})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    handler = ROUTES.get(scope["path"], dump_scope)
    await handler(scope, receive, send)


def plain_wsgi(environ, start_response):
    """For detection: what is no ASGI."""
    start_response("200 OK", [("Content-Length", "4")])
    return [b"wsgi"]


class Instance:
    """For detection: an object whose call is a coroutine function."""

    async def __call__(self, scope, receive, send):
        with contextlib.suppress(TypeError):
            await app(scope, receive, send)


instance = Instance()

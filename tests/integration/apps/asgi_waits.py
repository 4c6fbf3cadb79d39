"""An ASGI application that uses receive() and send() in every way that coroutine functions allow.

PROBE_DIR is a directory for notes to the test. Each path is one way.
"""

import asyncio
import contextlib
import contextvars

import anyio
from asgi_probe import BLOCK, body, chunks, lifespan, note, plain, start

FUTURES = [0]
ROUTES = {}


def route(function):
    """Registers /NAME_OF_THE_FUNCTION, with dashes."""
    ROUTES["/" + function.__name__.replace("_", "-")] = function
    return function


def count_futures():
    """From now on; the engine takes the loop's method when the lifespan has begun."""
    loop = asyncio.get_running_loop()
    create_future = loop.create_future

    def counting():
        FUTURES[0] += 1
        return create_future()

    loop.create_future = counting


@route
async def futures(scope, receive, send):
    """How many it took to receive a body and to answer, before the last message."""
    before = FUTURES[0]
    got = b"".join([data async for data in chunks(receive)])
    await start(send)
    await body(send, b"%d bytes, " % len(got), True)
    await body(send, b"%d futures" % (FUTURES[0] - before))


@route
async def futures_for_waiting(scope, receive, send):
    """The same where the body is late: the counter counts."""
    before = FUTURES[0]
    await start(send)
    await body(send, b"", True)
    note("waiting")
    size = sum([len(data) async for data in chunks(receive)])
    await body(send, b"%d bytes, some: %d" % (size, FUTURES[0] > before))


@route
async def tasks(scope, receive, send):
    """Coroutines may become tasks."""
    message = await asyncio.create_task(receive())
    await asyncio.create_task(start(send))
    await asyncio.create_task(
        send({"type": "http.response.body", "body": message["body"], "more_body": True})
    )
    await asyncio.gather(send({"type": "http.response.body", "body": b"!"}))


@route
async def threads(scope, receive, send):
    """Other threads may call them, for the loop to run."""
    loop = asyncio.get_running_loop()

    def talk():
        data, more = b"", True
        while more:
            message = asyncio.run_coroutine_threadsafe(receive(), loop).result(10)
            data, more = data + message["body"], message["more_body"]
        messages = (
            {"type": "http.response.start", "status": 200, "headers": []},
            {"type": "http.response.body", "body": data + b"!"},
        )
        for one in messages:
            asyncio.run_coroutine_threadsafe(send(one), loop).result(10)

    await asyncio.to_thread(talk)


@route
async def unawaited(scope, receive, send):
    """What nobody awaits does nothing."""
    receive()
    send({"type": "http.response.start", "status": 500, "headers": []})
    receive().close()
    message = await receive()
    await plain(send, message["body"])


@route
async def twice(scope, receive, send):
    """An awaitable is good for one await."""
    once = receive()
    await once
    try:
        await once
    except RuntimeError as error:
        await plain(send, str(error).encode())


@route
async def watcher(scope, receive, send):
    """One task waits for the departure while another asks now and then, and gives up at once."""
    await receive()

    async def watch():
        note("watcher", (await receive())["type"])

    watching = asyncio.create_task(watch())
    await start(send)
    await body(send, b"begun", True)
    for _ in range(3):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(receive(), 0.05)
    note("asked")
    await asyncio.wait_for(watching, 20)


@route
async def left_behind(scope, receive, send):
    """A task still waits for a message when its request has been answered, or has failed."""
    await receive()

    async def watch():
        note("watcher", (await receive())["type"])

    scope["state"]["shared"].append(asyncio.create_task(watch()))
    await asyncio.sleep(0)
    if scope["query_string"] == b"fail":
        raise RuntimeError("failed on purpose")
    await plain(send, b"answered")


@route
async def two_writers(scope, receive, send):
    """Both wait for the same slow reader."""
    await start(send)

    async def write(name):
        for _ in range(128):
            await body(send, BLOCK, True)
        note(name)

    await asyncio.gather(write("first"), write("second"))
    await body(send)


@route
async def socket(scope, receive, send):
    """Echoes, and says so where a message is slow to come."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        try:
            message = await asyncio.wait_for(receive(), 0.2)
        except asyncio.TimeoutError:
            await send({"type": "websocket.send", "text": "nothing yet"})
            await asyncio.sleep(0.1)  # a message comes while nobody asks
            continue
        if message["type"] == "websocket.disconnect":
            note("code", str(message["code"]))
            return
        await send({"type": "websocket.send", "text": "echo " + message["text"]})


@route
async def socket_left_behind(scope, receive, send):
    """Returns while a task still waits for a message."""
    await receive()
    await send({"type": "websocket.accept"})

    async def watch():
        note("watcher", (await receive())["type"])

    scope["state"]["shared"].append(asyncio.create_task(watch()))
    await asyncio.sleep(0)


SEEN = contextvars.ContextVar("SEEN", default="nothing")


@route
async def context(scope, receive, send):
    """A task of its own, known to asyncio and anyio, with a context of its own: also where it
    began before the loop knew of it."""
    task = asyncio.current_task()
    found = [SEEN.get(), task in asyncio.all_tasks(), anyio.get_current_task().id == id(task)]
    SEEN.set("something")
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
    with anyio.move_on_after(0.01) as limit:
        await anyio.sleep(10)
    found.append(limit.cancelled_caught)
    async with anyio.create_task_group() as group:
        group.cancel_scope.cancel()
    found.append(await anyio.to_thread.run_sync(SEEN.get))
    found.append(asyncio.current_task() is task)
    await plain(send, repr(found).encode())


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        count_futures()
        await lifespan(scope, receive, send)
        return
    await ROUTES[scope["path"]](scope, receive, send)

"""An application that does not answer, or dies, in the ways that its path names."""

import ctypes
import os
import time

from stalled import hold_the_gil


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def deadlock(_: float) -> None:
    """The same for ever, and without burning a processor."""
    libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def catch_all(seconds: float) -> None:
    try:
        time.sleep(seconds)
    except BaseException as error:
        print("caught", type(error).__name__, flush=True)
        raise


def entered():
    """For the test to find: a line a request that is in here."""
    with open(os.path.join(os.environ["PROBE_DIR"], "entered"), "a") as file:
        file.write("x\n")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    entered()
    seconds = float(environ["QUERY_STRING"] or 30)
    if path == "/extended":
        print("extended", environ["monoceros.extend_timeout"](60), flush=True)
        time.sleep(seconds)
    ways = {
        "/sleep": time.sleep,
        "/spin": spin,
        "/gil": hold_the_gil,
        "/deadlock": deadlock,
        "/catch": catch_all,
        "/segv": lambda _: ctypes.string_at(0),
        "/abort": lambda _: os.abort(),
        "/exit": lambda _: os._exit(7),
    }
    if path in ways:
        ways[path](seconds)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {environ['monoceros.request_id']}".encode()]


async def asgi_app(scope, receive, send):
    import asyncio

    assert scope["type"] == "http"
    entered()
    path = scope["path"]
    seconds = float(scope["query_string"] or 30)
    if path == "/sleep":
        await asyncio.sleep(seconds)
    if path == "/block":
        time.sleep(seconds)
    if path == "/gil":
        hold_the_gil(seconds)
    if path == "/deadlock":
        deadlock(seconds)
    if path == "/extended":
        print("extended", scope["extensions"]["monoceros"]["extend_timeout"](60), flush=True)
        await asyncio.sleep(seconds)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

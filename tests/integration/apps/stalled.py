"""An application whose database does not answer: every request polls for a row that never comes."""

import asyncio
import ctypes
import os
import threading
import time


def await_row(seconds: float) -> None:
    """Like a driver that polls: an exception reaches it between two naps."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


def spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def deadlock(libc: ctypes.CDLL, seconds: float) -> None:
    """C code that waits on, whatever signal comes."""
    mutex = ctypes.create_string_buffer(64)
    libc.pthread_mutex_lock(mutex)
    end = time.time() + seconds
    at = (ctypes.c_long * 2)(int(end), int(end % 1 * 1e9))
    libc.pthread_mutex_timedlock(mutex, at)


def hold_the_gil(seconds: float) -> None:
    deadlock(ctypes.PyDLL(None), seconds)


def wait_in_c(seconds: float) -> None:
    """As a database's driver does: without the GIL."""
    deadlock(ctypes.CDLL(None), seconds)


def swallow(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await_row(0.1)
        except BaseException as error:
            print("swallowed", type(error).__name__, flush=True)


def recurse(seconds: float) -> None:
    """At the limit of recursion nearly always: a handler has no room there."""
    end = time.monotonic() + seconds

    def deeper() -> None:
        if time.monotonic() < end:
            deeper()

    while time.monotonic() < end:
        try:
            deeper()
        except RecursionError:
            pass


WAYS = {
    "/row": await_row,
    "/spin": spin,
    "/gil": hold_the_gil,
    "/c": wait_in_c,
    "/swallow": swallow,
    "/recurse": recurse,
}


def app(environ, start_response):
    seconds = float(environ["QUERY_STRING"] or 30)
    way = WAYS.get(environ["PATH_INFO"])
    if way is not None:
        way(seconds)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


def calls(depth: int) -> int:
    return 1 if depth == 0 else calls(depth - 1) + 1


def work() -> None:
    """Its frames come and go as fast as they can."""
    while True:
        calls(20)


def busy_app(environ, start_response):
    """The same application beside a thread that computes."""
    if not any(thread.name == "busy" for thread in threading.enumerate()):
        threading.Thread(target=work, name="busy", daemon=True).start()
    return app(environ, start_response)


async def async_await_row(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.05)


async def asgi_app(scope, receive, send):
    assert scope["type"] == "http"
    seconds = float(scope["query_string"] or 30)
    if scope["path"] == "/row":
        await async_await_row(seconds)
    elif scope["path"] in WAYS:
        WAYS[scope["path"]](seconds)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})

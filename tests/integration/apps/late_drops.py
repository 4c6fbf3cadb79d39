"""Applications that are interrupted where Python drops exceptions, in the way that the path names;
then in the code behind, which says what it hears."""

import asyncio
import time
from contextlib import contextmanager

from asgi_probe import plain
from departing import in_collector, in_del, in_generator, in_weakref

WAYS = {way.__name__: way for way in (in_del, in_weakref, in_collector, in_generator)}
LONG_S = 300


class Struck:
    """Runs, once, until whatever shall strike it has: `wait` is cut short, or the time is over."""

    def __init__(self, wait):
        self.wait = wait

    def __call__(self, *_):
        wait, self.wait = self.wait, None
        if wait:
            print("inside", flush=True)
            wait(20)


def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def spin_in_steps(seconds):
    """Other greenlets run meanwhile; outside gevent other threads."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)


WAITS = {"spin": spin, "steps": spin_in_steps}


@contextmanager
def heard():
    try:
        yield
    except BaseException as error:
        print("behind it", type(error).__name__, flush=True)
        raise


def drop(path):
    way, wait = path.split("/")
    WAYS[way](Struck(WAITS[wait]))


def app(environ, start_response):
    path = environ["PATH_INFO"][1:]
    if path:
        with heard():
            drop(path)
            spin_in_steps(LONG_S)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi_app(scope, receive, send):
    if scope["type"] != "http":
        return
    if path := scope["path"][1:]:
        with heard():
            drop(path)
            await asyncio.sleep(LONG_S)
    await plain(send, b"ok")

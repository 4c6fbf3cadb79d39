"""Applications that a signal strikes where Python drops exceptions: in the way that the path, or
while they load STRIKES, names. What is behind waits in one system call."""

import asyncio
import gc
import os
import threading
import time
import weakref
from pathlib import Path

from asgi_probe import plain

PLACE = Path(os.environ["PROBE_DIR"])
LONG_S = 300


class Striker:
    """Sends the signal, once, and goes on until its handler has run."""

    def __init__(self, number):
        self.number = number

    def __call__(self, *_):
        number, self.number = self.number, 0
        if number:
            os.kill(os.getpid(), number)
            for _ in range(10_000):
                pass


def in_del(strike):
    class Mortal:
        def __del__(self):
            strike()

    Mortal()


def in_weakref(strike):
    class Watched:
        pass

    watched = Watched()
    reference = weakref.ref(watched, strike)
    del watched
    assert reference() is None


def in_collector(strike):
    gc.callbacks.append(strike)
    gc.collect()


def in_generator(strike):
    def generate():
        try:
            yield
        finally:
            strike()

    next(generate())


def in_set_name(strike):
    class Field:
        def __set_name__(self, owner, name):
            strike()

    class Owner:
        field = Field()

    assert Owner


WAYS = {way.__name__: way for way in (in_del, in_weakref, in_collector, in_generator, in_set_name)}


def parse(text):
    way, _, number = text.partition("/")
    return WAYS[way], Striker(int(number))


def app(environ, start_response):
    path = environ["PATH_INFO"][1:]
    if path:
        way, strike = parse(path)
        way(strike)
        # Handlers run in the main thread, wherever that is.
        time.sleep(LONG_S if threading.current_thread() is threading.main_thread() else 1)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


async def asgi_app(scope, receive, send):
    if scope["type"] != "http":
        return
    if path := scope["path"][1:]:
        way, strike = parse(path)
        way(strike)
        await asyncio.sleep(LONG_S)
    await plain(send, b"ok")


def strike_while_loading():
    """In each worker another way, until there is none left."""
    todo = PLACE / "strikes"
    ways = todo.read_text().split() if todo.exists() else []
    if ways:
        todo.write_text(" ".join(ways[1:]))
        way, strike = parse(ways[0])
        way(strike)
        time.sleep(LONG_S)


strike_while_loading()

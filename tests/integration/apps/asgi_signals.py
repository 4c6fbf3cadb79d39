"""An ASGI application that takes over signals, as TAKES says, when its lifespan starts."""

import asyncio
import os
import signal
import socket
import sys
import threading

from asgi_probe import note, plain

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
kept = []


def swallow(sig, frame=None):
    note("swallowed", str(sig))


def leave(sig, frame):
    note("left", str(sig))
    sys.exit(0)


def chain(sig):
    before = signal.getsignal(sig)

    def handler(number, frame):
        note("chained")
        if callable(before):
            before(number, frame)

    signal.signal(sig, handler)


def take_over():
    loop = asyncio.get_running_loop()
    for way in os.environ["TAKES"].split():
        if way == "descriptor":
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
            kept.extend([ours, theirs])
            signal.set_wakeup_fd(ours.fileno())
        for sig in SIGNALS:
            if way == "handler":
                signal.signal(sig, swallow)
            elif way == "exit":
                signal.signal(sig, leave)
            elif way == "chain":
                chain(sig)
            elif way == "loop":
                loop.add_signal_handler(sig, swallow, sig)
            elif way == "default":
                loop.add_signal_handler(sig, swallow, sig)
                loop.remove_signal_handler(sig)


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        if scope["path"] == "/sleep":
            note("sleeping")
            await asyncio.sleep(0.5)
        await plain(send, b"%d" % os.getpid())
        return
    await receive()
    take_over()
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    note("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


def take_over_here():
    """For the other classes: what the main thread may do."""
    if os.environ["TAKES"] == "handler":
        for sig in SIGNALS:
            signal.signal(sig, swallow)
    elif os.environ["TAKES"] == "green":
        import gevent

        kept.append(gevent.signal_handler(signal.SIGTERM, swallow, signal.SIGTERM))
    else:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        kept.extend([ours, theirs])
        signal.set_wakeup_fd(ours.fileno())


def wsgi(environ, start_response):
    """At the first request, where the main thread runs it."""
    if not kept and threading.current_thread() is threading.main_thread():
        kept.append(True)
        take_over_here()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def early():
    """While the worker loads the application."""
    take_over_here()
    return wsgi

"""An engine of monoceros._core in this very process, with clients beside it in the same thread.

Nothing of a server is here but the module itself: no master, no fork, no runner. So a test may fail
one allocation after another, count references, and call the objects of a request from wherever it
likes. What runs this is a child of pytest (children.py): a crash ends one child, and is seen.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from collections.abc import Iterable
from typing import Any

from monoceros import _core

WAIT_S = 10.0
BODY = b"x" * 300


def settings(**values: Any) -> _core.Settings:
    """The defaults, but for what is named."""
    return _core.Settings(values)


class Rig:
    """One engine with a listener. Not for gevent; `nested` for event loops."""

    def __init__(self, nested: bool = False, asgi: bool = False, **options: Any) -> None:
        values = options.pop("values", {})
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.address = self.listener.getsockname()
        self.told: list[tuple[Any, ...]] = []  # what handle_error was called with
        environ = {"SCRIPT_NAME": "", "SERVER_NAME": "rig", "SERVER_PORT": "80",
                   "wsgi.url_scheme": "http"}  # fmt: skip
        self.engine = _core.Engine(
            settings(**values),
            [(self.listener.fileno(), environ, False)],
            self.handle_error,
            nested=nested,
            **options,
        )
        self.loop = Loop()
        if asgi:
            self.engine.set_asgi(self.loop, [{"type": "http", "scheme": "http"}], {})

    def handle_error(self, *args: Any) -> None:
        """The worker's. Keeps no exception: that would keep its frames."""
        self.told.append((type(args[0]).__name__, *args[1:4]))

    def ask(self, request: bytes) -> socket.socket:
        """A client that has sent its request."""
        client = socket.create_connection(self.address, WAIT_S)
        client.sendall(request)
        return client

    def serve(self, application: Any, limit: int = 1) -> int:
        """Lets requests come, and runs the application for them, in this thread."""
        return self.engine.serve_wsgi(application, int(WAIT_S * 1000), limit)

    def turn(self) -> list[Any]:
        """What a nested engine has after one look: new exchanges."""
        return self.engine.turn()[0]

    def await_turn(self) -> None:
        """Until a nested engine has something to do."""
        select.select([self.engine.fileno()], [], [], WAIT_S)

    def at_rest(self) -> bool:
        """Turns a nested engine until it has no connection any more."""
        until = time.monotonic() + WAIT_S
        while self.engine.connections and time.monotonic() < until:
            select.select([self.engine.fileno()], [], [], 0.05)
            self.engine.turn()
        return self.engine.connections == 0

    def close(self) -> None:
        """Without a drain: a test is over."""
        del self.engine
        self.listener.close()


class Future:
    """As much of asyncio.Future as the module asks for."""

    def __init__(self) -> None:
        self.ready = False

    def done(self) -> bool:
        """Whether it was told."""
        return self.ready

    def set_result(self, _value: object) -> None:
        """It is told."""
        self.ready = True

    def __iter__(self) -> Any:
        if not self.ready:
            yield self

    __await__ = __iter__


class Loop:
    """As much of an event loop as the module asks for."""

    def create_future(self) -> Future:
        """A new one."""
        return Future()


class Pending(Exception):
    """An operation that waits."""


def finish(operation: Any) -> Any:
    """The value of a coroutine that need not wait."""
    try:
        waiting = operation.send(None)
    except StopIteration as end:
        return end.value
    raise Pending(waiting)


def answer_of(client: socket.socket) -> bytes:
    """All that the client gets until the connection ends, which it must."""
    client.settimeout(WAIT_S)
    parts = []
    with client, contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            parts.append(part)
    return b"".join(parts)


def status_of(answer: bytes) -> int:
    """Of the last head in it; 0: there is none."""
    heads = [part for part in answer.split(b"\r\n\r\n") if part.startswith(b"HTTP/1.1 ")]
    return int(heads[-1][9:12]) if heads else 0


def request(
    method: str = "GET", path: str = "/", fields: Iterable[str] = (), body: bytes = b""
) -> bytes:
    """A request that is its connection's only one."""
    lines = [f"{method} {path} HTTP/1.1", "Host: rig", "Connection: close", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def total_references() -> int:
    """Of all objects, in a debug build of Python; else 0."""
    count = getattr(sys, "gettotalrefcount", None)
    return count() if count is not None else 0

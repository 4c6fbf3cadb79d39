"""Everything that an ASGI application may do wrong with what it is given, a path a kind.

/names lists the paths, of requests and of WebSockets. misuse.py does the same for WSGI.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from misuse import HEADERS, LATE_S, STATUS, THREADS, VALUES, Octets, Rude, handle_all, quietly

App = Callable[[Any, Any, Any], Awaitable[Any]]
KINDS: dict[str, App] = {}
KEPT: list[tuple[Any, Any, Any]] = []
BACKGROUND: set[asyncio.Task[Any]] = set()
START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}
BODIES: dict[str, Any] = {
    "none": None, "str": "text", "int": 7, "view": memoryview(b"abcdef")[::2], "rude": Rude(),
    "octets": Octets(b"abc"), "bytearray": bytearray(b"abc"), "list": [b"a"],
    "large": b"x" * 9_000_000,
}  # fmt: skip


def case(function: App) -> App:
    KINDS[function.__name__.replace("_", "-")] = function
    return function


async def softly(awaitable: Any) -> Any:
    try:
        return await awaitable
    except Exception as error:
        return error


async def plain(send: Any, data: bytes = b"done") -> None:
    await send({**START, "headers": [(b"content-length", b"%d" % len(data))]})
    await send({**LAST, "body": data})


def sending(*messages: Any) -> App:
    """Sends them all, whatever is raised."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await softly(quietly(send, message))

    return run


def encoded(value: Any) -> Any:
    """Headers of WSGI's misuse as bytes, where they are text."""
    if isinstance(value, list) and value and all(isinstance(pair, tuple) for pair in value):
        return [
            tuple(part.encode("utf-8", "replace") if type(part) is str else part for part in pair)
            for pair in value
        ]
    return value


def _register() -> None:
    for name, value in STATUS.items():
        KINDS[f"status-{name}"] = sending({**START, "status": value}, LAST)
    for name, number in {"0": 0, "99": 99, "101": 101, "1000": 1000, "huge": 1 << 70}.items():
        KINDS[f"status-{name}"] = sending({**START, "status": number}, LAST)
    for name, value in HEADERS.items():
        KINDS[f"headers-{name}"] = sending({**START, "headers": encoded(value)}, LAST)
        KINDS[f"text-headers-{name}"] = sending({**START, "headers": value}, LAST)
    for name, value in BODIES.items():
        KINDS[f"body-{name}"] = sending(START, {**MORE, "body": value}, LAST)
        KINDS[f"last-{name}"] = sending(START, {**LAST, "body": value})
    for number, value in enumerate([*VALUES, *({"type": each} for each in VALUES)]):
        KINDS[f"message-{number}"] = sending(value, START, value, MORE, value, LAST, value)
    for number, value in enumerate(VALUES):
        KINDS[f"more-{number}"] = sending(START, {**MORE, "more_body": value}, LAST)
    KINDS["start-twice"] = sending(START, START, LAST)
    KINDS["body-first"] = sending(LAST, START, LAST)
    KINDS["after-the-end"] = sending(START, LAST, LAST, START, MORE, LAST)
    KINDS["no-start"] = sending()
    KINDS["no-end"] = sending(START, MORE)
    early = {**START, "type": "http.response.informational", "status": 103}
    for name, value in HEADERS.items():
        KINDS[f"early-{name}"] = sending({**early, "headers": encoded(value)}, START, LAST)
    KINDS["early-late"] = sending(START, early, MORE, early, LAST, early)


_register()


@case
async def not_awaited(scope: Any, receive: Any, send: Any) -> None:
    made = [receive(), send(START), send(MORE)]
    await plain(send)
    del made
    gc.collect()


@case
async def awaited_twice(scope: Any, receive: Any, send: Any) -> None:
    first = send(START)
    await softly(first)
    await softly(first)
    asked = receive()
    await softly(asked)
    await softly(asked)
    await softly(send(LAST))


@case
async def driven_by_hand(scope: Any, receive: Any, send: Any) -> None:
    """As no event loop does."""
    for make in (receive, lambda: send(START), lambda: send(MORE), lambda: send(Rude())):
        for value in VALUES:
            for name in ("send", "throw", "close", "__await__", "__iter__", "__next__"):
                operation = quietly(make)
                method = getattr(operation, name, None)
                if method is None:
                    continue
                for _ in range(2):
                    quietly(method, value)
                    quietly(method)
            quietly(quietly(make).throw, ValueError("on purpose"))
            quietly(quietly(make).throw, asyncio.CancelledError())
    await softly(send(START))
    await softly(send(LAST))


@case
async def many_at_once(scope: Any, receive: Any, send: Any) -> None:
    """Ten tasks receive, ten send, all of them are cancelled, and it answers."""
    tasks = [asyncio.ensure_future(softly(receive())) for _ in range(10)]
    tasks += [asyncio.ensure_future(softly(send(START))) for _ in range(10)]
    tasks += [asyncio.ensure_future(softly(send({**MORE, "body": b"x" * 9999}))) for _ in range(10)]
    await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await softly(send(LAST))


@case
async def left_to_others(scope: Any, receive: Any, send: Any) -> None:
    """Tasks and threads go on with receive and send behind the end, while others are served."""

    async def go_on() -> None:
        end = time.monotonic() + LATE_S
        while time.monotonic() < end:
            await softly(quietly(send, START))
            await softly(quietly(send, {**MORE, "body": b"of another request"}))
            with contextlib.suppress(Exception):
                await asyncio.wait_for(receive(), 0.01)
            await asyncio.sleep(0)

    def thread() -> None:
        quietly(asyncio.run, go_on())

    def by_hand() -> None:
        end = time.monotonic() + LATE_S
        while time.monotonic() < end:
            quietly(lambda: send({**MORE, "body": b"of another request"}).send(None))
            quietly(lambda: receive().send(None))

    task = asyncio.ensure_future(go_on())
    BACKGROUND.add(task)
    task.add_done_callback(BACKGROUND.discard)
    for target in (thread, by_hand):
        for _ in range(THREADS):
            threading.Thread(target=target).start()
    await softly(plain(send))


@case
async def scope_spoilt(scope: Any, receive: Any, send: Any) -> None:
    for key in list(scope):
        scope[key] = Rude()
    scope.clear()
    await plain(send)


def inside(value: Any, depth: int = 3) -> Iterator[Any]:
    """Objects of the server's own types, wherever they are in a scope."""
    if isinstance(value, dict) and depth:
        for item in list(value.values()):
            yield from inside(item, depth - 1)
    elif type(value).__module__.startswith("monoceros"):
        yield value


@case
async def objects(scope: Any, receive: Any, send: Any) -> None:
    operations = [receive(), send(START)]
    for thing in [*inside(scope), *operations, receive, send]:
        if thing is not receive and thing is not send:
            handle_all(thing)
        for value in VALUES:
            quietly(thing, value)
            quietly(thing, value, value)
        quietly(repr, thing)
        quietly(gc.get_referents, thing)
    await softly(send(START))
    await softly(send(LAST))


@case
async def keep(scope: Any, receive: Any, send: Any) -> None:
    KEPT.append((scope, receive, send))
    await plain(send)


@case
async def kept(scope: Any, receive: Any, send: Any) -> None:
    for old, ask, say in KEPT:
        for message in (START, MORE, LAST):
            await softly(quietly(say, message))
        with contextlib.suppress(Exception):
            await asyncio.wait_for(ask(), 0.05)
        for thing in inside(old):
            handle_all(thing)
    KEPT.clear()
    gc.collect()
    await plain(send)


@case
async def raises_rude(scope: Any, receive: Any, send: Any) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise ValueError("on purpose")

        __repr__ = __str__

    raise Unspeakable


@case
async def raises_base(scope: Any, receive: Any, send: Any) -> None:
    raise GeneratorExit("on purpose")


@case
async def cancels_itself(scope: Any, receive: Any, send: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await send(START)
    await send(LAST)


SOCKET = ({"type": "websocket.accept"}, {"type": "websocket.send", "text": "a"},
          {"type": "websocket.close"})  # fmt: skip
SOCKET_MESSAGES: tuple[Any, ...] = (
    *VALUES, {}, START, LAST, *SOCKET, {"type": "websocket.send"},
    {"type": "websocket.send", "text": "a", "bytes": b"b"},
    *({"type": "websocket.send", "text": value} for value in VALUES),
    *({"type": "websocket.send", "bytes": value} for value in VALUES),
    *({"type": "websocket.close", "code": value} for value in (*VALUES, 5, 70_000, 1 << 70)),
    *({"type": "websocket.close", "reason": value} for value in (*VALUES, "x" * 999, "\ud800")),
    *({"type": "websocket.accept", "subprotocol": value} for value in (*VALUES, "a\r\nb: c")),
    *({"type": "websocket.accept", "headers": encoded(value)} for value in HEADERS.values()),
    {"type": "websocket.http.response.start", "status": "x", "headers": 7},
    {"type": "websocket.http.response.body", "body": 7},
)  # fmt: skip


async def socket(scope: Any, receive: Any, send: Any) -> None:
    """/N: the N-th wrong message before, amid, and behind a conversation."""
    number = int(scope["path"].rpartition("-")[2])
    message = SOCKET_MESSAGES[number]
    await receive()
    await softly(quietly(send, message))
    await softly(send(SOCKET[0]))
    for wrong in (message, SOCKET[1], message):
        await softly(quietly(send, wrong))
    await softly(quietly(send, SOCKET[2]))
    await softly(quietly(send, message))
    with contextlib.suppress(Exception):
        await asyncio.wait_for(receive(), 0.05)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        raise TypeError("on purpose: none here")
    if scope["type"] == "websocket":
        await socket(scope, receive, send)
        return
    path = scope["path"][1:]
    if path in KINDS:
        await KINDS[path](scope, receive, send)
        return
    sockets = (f"socket-{number}" for number in range(len(SOCKET_MESSAGES)))
    await plain(send, "\n".join([*KINDS, *sockets]).encode() if path == "names" else path.encode())

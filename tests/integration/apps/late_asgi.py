"""Keeps scope, receive and send of its requests and uses them from other threads and tasks, while
the requests end and afterwards."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from late_app import BIG, LETTERS, PIECE_BYTES, PIECES, outcome

HEADERS = [(b"content-type", b"text/plain"), (b"x-stray", b"stray")]
START = {"type": "http.response.start", "status": 200, "headers": HEADERS}
HINTS = {"type": "http.response.informational", "status": 103, "headers": [(b"link", b"</s>")]}
KEPT: deque[Kept] = deque(maxlen=6)
OUTCOMES: Counter[str] = Counter()
RUNNING: list[Any] = []


def body(data: bytes, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def step(operation: Any) -> Any:
    """Awaits it by hand, in whatever thread this is."""
    try:
        future = operation.send(None)
    except StopIteration as ended:
        return ended.value
    operation.close()
    return type(future).__name__


class Kept:
    """All that one request gave its application."""

    def __init__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send

    def uses(self) -> dict[str, Callable[[], Any]]:
        facts = self.scope["extensions"]["monoceros"]
        return {
            "hints": lambda: step(self.send(HINTS)),
            "start": lambda: step(self.send(START)),
            "body": lambda: step(self.send(body(b"stray"))),
            "big body": lambda: step(self.send(body(BIG))),
            "last body": lambda: step(self.send(body(b"stray", False))),
            "extend": lambda: facts["extend_timeout"](5.0),
            "receive": lambda: step(self.receive()),
        }


def use_kept() -> None:
    for kept in list(KEPT):
        for name, use in kept.uses().items():
            OUTCOMES[f"{name} {outcome(use).split(':')[0].split()[0]}"] += 1


def haunt() -> None:
    while True:
        use_kept()
        time.sleep(0.0005)


async def haunt_as_task() -> None:
    while True:
        use_kept()
        await asyncio.sleep(0.0005)


def begin_haunting() -> None:
    """Two threads and a task."""
    if RUNNING:
        return
    RUNNING.append(asyncio.ensure_future(haunt_as_task()))
    for _ in range(2):
        thread = threading.Thread(target=haunt, daemon=True)
        RUNNING.append(thread)
        thread.start()


async def answer(scope: dict[str, Any], receive: Any) -> bytes:
    path = scope["path"]
    if path == "/use":
        uses = KEPT.pop().uses()
        del uses["extend"]
        told: dict[str, str] = {}

        def use_all() -> None:
            told.update({name: outcome(use) for name, use in uses.items()})

        if scope["query_string"] == b"thread":
            user = threading.Thread(target=use_all)
            user.start()
            user.join()
        else:
            use_all()
        return json.dumps(told).encode()
    if path == "/tally":
        KEPT.clear()
        return json.dumps(OUTCOMES).encode()
    received = bytearray()
    more = True
    while more:
        message = await receive()
        received += message.get("body", b"")
        more = message.get("more_body", False)
    return path.encode() + b" " + bytes(received)


async def send_together(send: Any) -> None:
    """Four tasks at once: each a letter of its own."""

    async def send_letter(letter: bytes) -> None:
        for _ in range(PIECES):
            await send(body(letter * PIECE_BYTES))

    await asyncio.gather(*map(send_letter, LETTERS))


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """/late is haunted; /keep is kept until /use asks what a use of it comes to."""
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/late":
        begin_haunting()
        KEPT.append(Kept(scope, receive, send))
        try:
            await send(START)
            for _ in range(3):
                await send(body(b"own" * 2_000))
            await send(body(b"own", False))
        except RuntimeError:
            pass  # a ghost was first
        return
    if path == "/keep":
        KEPT.append(Kept(scope, receive, send))
        await send(START)
        await send(body(b"kept", False))
        return
    if path == "/together":
        await send(START)
        await send_together(send)
        await send(body(b"", False))
        return
    data = await answer(scope, receive)
    fields = [(b"content-length", b"%d" % len(data))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send(body(data, False))

"""Keeps what belongs to its requests and uses it from other threads and greenlets, while the
requests end and afterwards."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any

BIG = b"stray " * 20_000
LETTERS = (b"a", b"b", b"c", b"d")
PIECES, PIECE_BYTES = 100, 64 * 1024
FIELDS = [("Content-Type", "text/plain"), ("X-Stray", "stray")]
KEPT: deque[Kept] = deque(maxlen=6)
OUTCOMES: Counter[str] = Counter()
RUNNING: list[Any] = []
real_sleep = time.sleep


class Kept:
    """All that one request gave its application."""

    def __init__(self, environ: dict[str, Any], start_response: Any, write: Any) -> None:
        self.environ = environ
        self.start_response = start_response
        self.write = write
        self.input = environ["wsgi.input"]

    def uses(self) -> dict[str, Callable[[], Any]]:
        environ = self.environ

        def peer() -> Any:
            return environ["gunicorn.socket"].getpeername()

        return {
            "write": lambda: self.write(b"stray"),
            "write big": lambda: self.write(BIG),
            "hints": lambda: environ["wsgi.early_hints"]([("Link", "</stray>")]),
            "start": lambda: self.start_response("200 Stray", FIELDS),
            "read": lambda: self.input.read(7),
            "readline": self.input.readline,
            "readlines": self.input.readlines,
            "iterate": lambda: next(self.input),
            "socket": peer,
            "extend": lambda: environ["monoceros.extend_timeout"](5.0),
        }


def outcome(use: Callable[[], Any]) -> str:
    """What came of it, as a word."""
    try:
        return f"gave {use()!r:.40}"
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"


def haunt(pause: Callable[[float], None], skipped: tuple[str, ...]) -> None:
    """For ever: whatever is kept is used."""
    while True:
        for kept in list(KEPT):
            for name, use in kept.uses().items():
                if name not in skipped:
                    OUTCOMES[f"{name} {outcome(use).split(':')[0].split()[0]}"] += 1
        pause(0.0005)


def begin_haunting() -> None:
    """Two threads and, under gevent, two greenlets as well."""
    if RUNNING:
        return
    skipped = ("socket",)  # whoever asks for it ends his connection
    begin, pause = threading.Thread, real_sleep
    try:
        from gevent import monkey, sleep, spawn
    except ImportError:
        pass
    else:
        if monkey.is_module_patched("threading"):
            RUNNING.extend(spawn(haunt, sleep, skipped) for _ in range(2))
            start = monkey.get_original("_thread", "start_new_thread")
            pause = monkey.get_original("time", "sleep")
            RUNNING.extend(start(haunt, (pause, skipped)) for _ in range(2))
            return
    for _ in range(2):
        thread = begin(target=haunt, args=(pause, skipped), daemon=True)
        RUNNING.append(thread)
        thread.start()


def write_together(write: Callable[[bytes], Any]) -> None:
    """Four at once, greenlets under gevent: each a letter of its own."""

    def write_letter(letter: bytes) -> None:
        for _ in range(PIECES):
            write(letter * PIECE_BYTES)

    writers = [threading.Thread(target=write_letter, args=(letter,)) for letter in LETTERS]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """/late is haunted; /keep is kept until /use asks what a use of it comes to."""
    path = environ["PATH_INFO"]
    if path == "/late":
        begin_haunting()
        write = start_response("200 OK", FIELDS)
        KEPT.append(Kept(environ, start_response, write))
        write(b"own")
        return iter([b"own" * 2_000, b"", b"own"])
    if path == "/keep":
        kept = Kept(environ, start_response, start_response("200 OK", FIELDS))
        KEPT.append(kept)
        return [b"kept"]
    if path == "/together":
        write_together(start_response("200 OK", FIELDS))
        return []
    body = environ["wsgi.input"].read()
    answer = path.encode() + b" " + body
    if path == "/use":
        kept = KEPT.pop()
        while "end" not in outcome(lambda: kept.write(b"")):
            real_sleep(0.001)  # its client may have the answer before its thread is done with it
        told: dict[str, str] = {}
        uses = {name: use for name, use in kept.uses().items() if "extend" not in name}

        def use_all() -> None:
            told.update({name: outcome(use) for name, use in uses.items()})

        if environ["QUERY_STRING"] == "thread":
            user = threading.Thread(target=use_all)
            user.start()
            user.join()
        else:
            use_all()
        answer = json.dumps(told).encode()
    elif path == "/tally":
        KEPT.clear()
        answer = json.dumps(OUTCOMES).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]

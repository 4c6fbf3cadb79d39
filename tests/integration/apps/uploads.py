"""Reads bodies that stream in, and notes in PROBE_DIR what the client cannot see."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import probe
from probe_tools import Environ, StartResponse, note, plain, query


def digest(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Size and SHA-256; ?step= bytes a read. What a read raises is noted, and goes on."""
    step = int(query(environ).get("step", "65536"))
    size, hashed = 0, hashlib.sha256()
    note("begun", environ["PATH_INFO"])
    try:
        while data := environ["wsgi.input"].read(step):
            size += len(data)
            hashed.update(data)
            note("read", str(size))
    except BaseException as error:
        note("raised", f"{'/'.join(kind.__name__ for kind in type(error).__mro__)}: {error}")
        raise
    return plain(start_response, f"{size} {hashed.hexdigest()}".encode())


def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Each line as soon as it is there."""

    def lines() -> Iterator[bytes]:
        yield from environ["wsgi.input"]

    start_response("200 OK", [("Content-Type", "text/plain")])
    return lines()


def first(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Reads ?bytes= of the body, and waits for the note `go` before it answers."""
    head = environ["wsgi.input"].read(int(query(environ)["bytes"]))
    note("first", head.decode())
    until = time.monotonic() + 20
    while not (Path(os.environ["PROBE_DIR"]) / "go").exists() and time.monotonic() < until:
        time.sleep(0.02)
    return plain(start_response, head)


def late(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Leaves a thread behind that waits for the body of a request that is over."""
    stream = environ["wsgi.input"]

    def read() -> None:
        note("late-begun", "x")
        try:
            note("late", f"got {stream.read()!r}")
        except Exception as error:
            note("late", type(error).__name__)

    threading.Thread(target=read, daemon=True).start()
    until = time.monotonic() + 10
    while not (Path(os.environ["PROBE_DIR"]) / "late-begun").exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)  # it waits inside by now; else it finds the request over, as well
    return plain(start_response, b"answered")


ROUTES: dict[str, Callable[[Environ, StartResponse], Iterable[bytes]]] = {
    "/digest": digest,
    "/up/digest": digest,
    "/lines": echo,
    "/first": first,
    "/late": late,
}


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The probe, with these routes before its own."""
    route = ROUTES.get(environ["PATH_INFO"])
    return probe.app(environ, start_response) if route is None else route(environ, start_response)

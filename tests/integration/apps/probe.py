"""The application under which the server is looked at: every path is one behaviour.

PROBE_DIR is a directory in which the tests and the application leave each other notes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.validate import validator

import probe_files
import probe_results
from probe_tools import Environ, Handler, StartResponse, note, plain, query

ROUTES: dict[str, Handler] = {}


def route(path: str) -> Callable[[Handler], Handler]:
    """Registers a handler."""

    def register(handler: Handler) -> Handler:
        ROUTES[path] = handler
        return handler

    return register


@route("/hello")
def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, b"hello")


@route("/pid")
def pid(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, str(os.getpid()).encode())


def describe(value: object) -> object:
    """What JSON can say about a value of the environ."""
    if isinstance(value, (str, bool, int, type(None))):
        return value
    if isinstance(value, tuple):
        return list(value)
    return {"type": type(value).__name__, "callable": callable(value)}


@route("/environ")
def environ_dump(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The environ, minus what the process environment could have brought."""
    assert type(environ) is dict
    found = {key: describe(value) for key, value in environ.items()}
    return plain(start_response, json.dumps(found).encode(), "application/json")


@route("/errors")
def errors(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    stream = environ["wsgi.errors"]
    stream.write(f"note to the operator {query(environ)['token']}\n")
    stream.flush()
    return plain(start_response, b"written")


@route("/echo")
def echo(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, environ["wsgi.input"].read())


@route("/digest")
def digest(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Size and SHA-256 of the body, read in steps."""
    size, hashed = 0, hashlib.sha256()
    while data := environ["wsgi.input"].read(64 * 1024):
        size += len(data)
        hashed.update(data)
    found = {"size": size, "sha256": hashed.hexdigest()}
    return plain(start_response, json.dumps(found).encode(), "application/json")


@route("/shared-input")
def shared_input(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The body's blocks of 64 KiB in any order: four threads read at the same time."""
    blocks: list[bytes] = []
    all_there = threading.Barrier(4)

    def read() -> None:
        all_there.wait()
        while data := environ["wsgi.input"].read(64 * 1024):
            blocks.append(data)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return plain(start_response, b"".join(blocks))


@route("/input")
def input_script(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Runs the steps of ?do=read:5&do=readline... on wsgi.input and lists what they gave."""
    results: list[object] = []
    stream = environ["wsgi.input"]
    for key, step in parse_qsl(environ["QUERY_STRING"]):
        assert key == "do"
        name, _, text = step.partition(":")
        arguments = [None if word == "None" else int(word) for word in text.split(",") if word]
        try:
            got = list(stream) if name == "iter" else getattr(stream, name)(*arguments)
        except Exception as error:
            got = {"raised": [kind.__name__ for kind in type(error).__mro__]}
        results.append(readable(got))
    return plain(start_response, json.dumps(results).encode(), "application/json")


def readable(value: object) -> object:
    """bytes as latin-1 text, also inside a list."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return [readable(item) for item in value] if isinstance(value, list) else value


@route("/ignore")
def ignore(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers without having looked at the body."""
    return plain(start_response, b"ignored")


@route("/sleep")
def sleep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    note("sleeping", str(os.getpid()))
    time.sleep(float(query(environ)["s"]))
    return plain(start_response, b"slept")


@route("/meet")
def meet(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answers when as many requests as asked for are in here at once."""
    asked = query(environ)
    note(asked["token"], str(os.getpid()))
    place = Path(os.environ["PROBE_DIR"]) / asked["token"]
    for _ in range(2000):
        if len(place.read_text().splitlines()) >= int(asked["n"]):
            return plain(start_response, b"met")
        time.sleep(0.01)
    return plain(start_response, b"alone")


@route("/spin")
def spin(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Is stuck in Python: never comes back by itself."""
    note("spinning", str(os.getpid()))
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.01)
    return plain(start_response, b"spun")


@route("/two-steps")
def two_steps(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The first part at once, the second when the client has left a note that it has the first."""
    token = query(environ)["token"]

    def parts() -> Iterator[bytes]:
        yield b"first "
        deadline = time.monotonic() + 5
        while not (Path(os.environ["PROBE_DIR"]) / token).exists():
            if time.monotonic() > deadline:
                yield b"nobody noticed"
                return
            time.sleep(0.01)
        yield b"second"

    start_response("200 OK", [("Content-Type", "text/plain")])
    return parts()


@route("/big")
def big(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """?mb= MiB of a known pattern, made 64 KiB at a time; ?token= is noted on close()."""
    wanted = query(environ)
    count = int(float(wanted["mb"]) * 16)
    start_response("200 OK", [("Content-Length", str(count * 65536))])
    return probe_results.Watched(probe_results.pattern(count), wanted.get("token", "big"))


@route("/hints")
def hints(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    send = environ["wsgi.early_hints"]
    send([("Link", "</a.css>; rel=preload")])
    send([("Link", "</b.css>; rel=preload"), (b"X-Bytes", b"too")])
    return plain(start_response, b"hinted")


@route("/hints-bad")
def hints_bad(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Names what an early hint that would split the head raises."""
    try:
        environ["wsgi.early_hints"]([("Link", "a\r\nX-Evil: 1")])
    except Exception as error:
        return plain(start_response, type(error).__name__.encode())
    return plain(start_response, b"accepted")


@route("/raise")
def raise_it(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Raises the built-in exception ?kind= with ?token= in its words."""
    wanted = query(environ)
    kinds = {
        kind.__name__: kind
        for kind in (RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit, OSError)
    }
    raise kinds[wanted["kind"]](f"raised on purpose {wanted['token']}")


@route("/validated")
def validated(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The environ and its input under wsgiref's validator."""

    def inner(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(-1)
        environ["wsgi.errors"].write("validated\n")
        environ["wsgi.errors"].flush()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    checked: Any = validator(inner)
    return checked(environ, start_response)


@route("/modules")
def modules(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return plain(start_response, json.dumps(sorted(sys.modules)).encode())


ROUTES.update(probe_results.ROUTES)
ROUTES.update(probe_files.ROUTES)


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The application: the first two parts of the path name the handler."""
    handler = ROUTES.get(environ["PATH_INFO"])
    if handler is None:
        return environ_dump(environ, start_response)
    return handler(environ, start_response)

"""The application of the scenarios: what it does is in the query string, so tables can say it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]


class Loud:
    """An iterable whose close() is noted in trace.txt."""

    def __init__(self, parts: Iterable[bytes], fail: bool = False) -> None:
        self.parts = iter(parts)
        self.fail = fail

    def __iter__(self) -> Iterator[bytes]:
        return self.parts

    def close(self) -> None:
        note("closed")
        if self.fail:
            raise RuntimeError("close failed")


def note(text: str) -> None:
    with (Path(os.environ["COMPAT_DIR"]) / "trace.txt").open("a") as file:
        file.write(f"{os.getpid()} app {text}\n")


def describe(value: object) -> object:
    """Plain values as they are, of others only that they are there."""
    if isinstance(value, (str, bool, int, type(None))):
        return value
    if isinstance(value, tuple):
        return list(value)
    return "callable" if callable(value) else "object"


def plain(start_response: StartResponse, text: str) -> list[bytes]:
    body = text.encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def respond(environ: Environ, start_response: StartResponse) -> Any:
    """Answers as the JSON object in the query string says (see scenarios_response.py)."""
    spec = json.loads(unquote(environ["QUERY_STRING"]))
    parts = [part.encode("latin-1") for part in spec.get("body", ["hel", "lo"])]
    where = spec.get("raise")
    if where == "first":
        raise RuntimeError("on purpose")
    write = None
    if spec.get("start", True):
        headers = [(name, value) for name, value in spec.get("headers", [])]
        write = start_response(spec.get("status", "200 OK"), headers)
    again(spec, start_response)
    if where == "started":
        raise RuntimeError("on purpose")
    if spec.get("how") == "write" and write is not None:
        for part in parts:
            write(part)
        return []
    return result(spec, environ, parts, where)


def again(spec: dict[str, Any], start_response: StartResponse) -> None:
    """A second start_response, with or without exc_info."""
    if spec.get("again") == "plain":
        start_response("201 Created", [("X-Second", "1")])
    if spec.get("again") == "exc_info":
        try:
            raise ValueError("the first answer was wrong")
        except ValueError:
            start_response("500 Sorry", [("X-Second", "1")], sys.exc_info())


def result(spec: dict[str, Any], environ: Environ, parts: list[bytes], where: Any) -> Any:
    """What the application returns."""
    how = spec.get("how", "list")
    if how == "gen" or where == "middle":

        def steps() -> Iterator[bytes]:
            yield from parts
            if where == "middle":
                raise RuntimeError("on purpose")

        return Loud(steps())
    if how == "file":
        path = Path(os.environ["COMPAT_DIR"]) / "served.bin"
        path.write_bytes(b"".join(parts))
        return environ["wsgi.file_wrapper"](path.open("rb"), 4)
    return {
        "list": parts, "tuple": tuple(parts), "str": "text", "strings": ["text"], "none": None,
        "number": 5, "bytes": b"".join(parts), "closefails": Loud(parts, fail=True),
        "mixed": [b"good", "bad"],
    }[how]  # fmt: skip


def body(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Reads the request's body as ?step;step says and shows what came."""
    stream = environ["wsgi.input"]
    found: list[object] = []
    for step in unquote(environ["QUERY_STRING"]).split(";"):
        name, _, size = step.partition(":")
        try:
            call = getattr(stream, name) if name != "iter" else lambda: list(stream)
            got = call(int(size)) if size else call()
        except Exception as error:
            got = f"raised {'OSError' if isinstance(error, OSError) else type(error).__name__}"
        found.append(repr(got))
    return plain(start_response, json.dumps(found))


def sleep(environ: Environ, start_response: StartResponse) -> list[bytes]:
    note("sleeping")
    time.sleep(float(environ["QUERY_STRING"]))
    return plain(start_response, "slept")


def errors(environ: Environ, start_response: StartResponse) -> list[bytes]:
    environ["wsgi.errors"].write("a note\n")
    environ["wsgi.errors"].flush()
    print("printed", flush=True)
    return plain(start_response, "ok")


def leave(environ: Environ, start_response: StartResponse) -> list[bytes]:
    os._exit(int(environ["QUERY_STRING"]))


def process(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """What the worker's process is."""
    found = {
        "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(), "cwd": os.getcwd(),
        "umask": read_umask(), "path": sys.path[:2], "env": os.environ.get("COMPAT_X"),
        "software": os.environ.get("SERVER_SOFTWARE"), "argv": sys.argv[1:],
    }  # fmt: skip
    return plain(start_response, json.dumps(found, sort_keys=True))


def application(environ: Environ, start_response: StartResponse) -> Any:
    """The environ as JSON, unless the path names something else."""
    name = environ["PATH_INFO"].split("/")[1] if "/" in environ["PATH_INFO"] else ""
    handler = ROUTES.get(name)
    if handler is not None:
        return handler(environ, start_response)
    found = {k: describe(v) for k, v in environ.items() if not k.startswith("monoceros.")}
    return plain(start_response, json.dumps(found))


ROUTES: dict[str, Callable[[Environ, StartResponse], Any]] = {
    "respond": respond,
    "body": body,
    "sleep": sleep,
    "errors": errors,
    "exit": leave,
    "process": process,
    "pid": lambda environ, start_response: plain(start_response, str(os.getpid())),
    "fixed": lambda environ, start_response: plain(start_response, "fixed"),
}


def read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def create(name: str = "made", code: int = 200) -> Any:
    """An application factory."""

    def made(environ: Environ, start_response: StartResponse) -> list[bytes]:
        return plain(start_response, f"{name} {code}")

    return made


def nothing() -> None:
    """A factory without a product."""


def broken() -> None:
    raise TypeError("inside the factory")


number = 5

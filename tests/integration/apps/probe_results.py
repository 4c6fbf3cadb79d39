"""Probe handlers for start_response and for everything an application may return."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from probe_tools import Environ, Handler, StartResponse, note, query

TEXT = [("Content-Type", "text/plain")]
BLOCK = bytes(range(256)) * 256


def pattern(count: int) -> Iterator[bytes]:
    """`count` blocks of 64 KiB."""
    for _ in range(count):
        yield BLOCK


class Watched:
    """An iterable that notes each close() and how many items were taken."""

    def __init__(self, items: Iterable[Any], token: str) -> None:
        self._items = iter(items)
        self._token = token
        self._taken = 0

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        self._taken += 1
        return item

    def close(self) -> None:
        """Called by the server, once."""
        note("closed", f"{self._token} {self._taken}")


def watched(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """?how= decides what the watched iterable does."""
    wanted = query(environ)

    def items(how: str) -> Iterator[Any]:
        if how == "raise-first":
            raise RuntimeError(f"raised on purpose {wanted['token']}")
        yield b"one "
        if how == "raise-later":
            raise RuntimeError(f"raised on purpose {wanted['token']}")
        if how == "not-bytes":
            yield 7
        if how == "endless":
            while True:
                yield BLOCK
        yield b"two"

    start_response("200 OK", TEXT)
    return Watched(items(wanted["how"]), wanted["token"])


def close_raises(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The body is fine, close() is not."""
    token = query(environ)["token"]

    class Bad(Watched):
        def close(self) -> None:
            super().close()
            raise RuntimeError(f"raised on purpose {token}")

    start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    return Bad([b"fine"], token)


def mute(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One piece (none with ?how=from-start), then empty ones, or empty write()s, for ever."""
    wanted = query(environ)

    def items() -> Iterator[bytes]:
        if wanted["how"] != "from-start":
            yield b"one"
        while True:
            time.sleep(0.01)
            if wanted["how"] == "write":
                write(b"")
            yield b""

    def writing() -> Iterator[bytes]:
        try:
            for item in items():
                write(item)
            yield b"never"
        finally:
            note("closed", f"{wanted['token']} 0")

    write = start_response("200 OK", TEXT)
    return writing() if wanted["how"] == "write" else Watched(items(), wanted["token"])


def late_write(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Goes on writing in close(), when its answer is over."""
    write = start_response("200 OK", TEXT)

    class Late(Watched):
        def close(self) -> None:
            write(b"late")
            super().close()

    return Late([b"one ", b"two"], query(environ)["token"])


class Text(str):
    """Not bytes either."""


class Octets(bytes):
    """bytes, and therefore as good."""


class Indexed:
    """The old sequence protocol: iterable without __iter__."""

    def __getitem__(self, index: int) -> bytes:
        if index > 2:
            raise IndexError
        return b"%d" % index


class OnlyLength:
    """Has a length and nothing else."""

    def __len__(self) -> int:
        return 1


ITERABLES = {
    "list": lambda: [b"a", b"b"],
    "tuple": lambda: (b"a", b"b"),
    "generator": lambda: (part for part in (b"a", b"b")),
    "set": lambda: {b"ab"},
    "dict": lambda: {b"a": 1, b"b": 2},
    "map": lambda: map(bytes, [[97], [98]]),
    "empty-parts": lambda: [b"", b"a", b"", b"", b"b", b""],
    "octets": lambda: [Octets(b"ab")],
    "indexed": Indexed,
    "empty-list": list,
    "empty-generator": lambda: iter(()),
    "only-empty": lambda: [b"", b""],
    "str": lambda: ["ab"],
    "str-itself": lambda: "ab",
    "text": lambda: [Text("ab")],
    "bytes-itself": lambda: b"ab",
    "bytearray": lambda: [bytearray(b"ab")],
    "none-inside": lambda: [None],
    "none": lambda: None,
    "only-length": OnlyLength,
    "number": lambda: 7,
}


def iterable(environ: Environ, start_response: StartResponse) -> Any:
    """Returns ?kind= of iterable after a proper start_response."""
    start_response("200 OK", TEXT)
    return ITERABLES[query(environ)["kind"]]()


def shrinking(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A list of 200,000 parts that another thread empties while the server sends them."""
    start_response("200 OK", TEXT)
    parts = [b"%06d\n" % number for number in range(200_000)]

    def empty() -> None:
        time.sleep(0.002)
        parts.clear()

    threading.Thread(target=empty).start()
    return parts


def lazy(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """A generator function: start_response is called by the first next()."""
    start_response("200 OK", TEXT)
    yield b"lazy"


def twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Calls start_response a second time without exc_info."""
    start_response("200 OK", TEXT)
    try:
        start_response("202 Accepted", TEXT)
    except Exception as error:
        return [type(error).__name__.encode()]
    return [b"accepted"]


def exc_info_before(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Replaces the head while nothing has been sent."""
    start_response("200 OK", [*TEXT, ("X-First", "1"), ("Content-Length", "999")])
    try:
        raise RuntimeError("on the way")
    except RuntimeError:
        start_response("503 Service Unavailable", [("X-Second", "2")], sys.exc_info())
    return [b"sorry"]


def exc_info_after(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    """Tries to replace a head that is gone; the server must raise the exception again."""
    token = query(environ)["token"]
    start_response("200 OK", TEXT)
    yield b"part"
    try:
        raise RuntimeError(f"raised on purpose {token}")
    except RuntimeError:
        try:
            start_response("500 Internal Server Error", TEXT, sys.exc_info())
        except BaseException as error:
            note("reraised", f"{token} {type(error).__name__}")
            raise
    yield b"never"


def write(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The callable of old; ?what=length announces the length."""
    wanted = query(environ).get("what")
    headers = [*TEXT, ("Content-Length", "12")] if wanted == "length" else TEXT
    send = start_response("200 OK", headers)
    send(b"one ")
    send(b"two ")
    if wanted == "text":
        send("three")  # type: ignore[arg-type]
    return [b"last"]


def write_bad(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """A str as the first write."""
    start_response("200 OK", TEXT)("text")  # type: ignore[arg-type]
    return []


def never_started(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Forgets start_response."""
    return [b"body"]


def status(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """?line= as the status line, ?int=1 as a number; ?length= as Content-Length."""
    wanted = query(environ)
    line: Any = int(wanted["line"]) if "int" in wanted else unquote(wanted["line"])
    body = wanted.get("body", "body").encode()
    headers = [*TEXT]
    if "length" in wanted:
        headers.append(("Content-Length", wanted["length"]))
    start_response(line, headers)
    return [body]


HEADERS: dict[str, list[tuple[Any, Any]]] = {
    "crlf-value": [("X-Good", "a\r\nX-Evil: 1")],
    "lf-value": [("X-Good", "a\nX-Evil: 1")],
    "cr-value": [("X-Good", "a\rX-Evil: 1")],
    "nul-value": [("X-Good", "a\0b")],
    "crlf-name": [("X-Good: a\r\nX-Evil", "1")],
    "space-name": [("X Evil", "1")],
    "colon-name": [("X-Evil:", "1")],
    "empty-name": [("", "X-Evil")],
    "bytes-name": [(b"X-Evil", "1")],
    "int-value": [("X-Evil", 1)],
    "bytes-value": [("X-Evil", b"1")],
    "none-value": [("X-Evil", None)],
    "wide-value": [("X-Evil", "\u20ac")],
    "hop": [
        ("Connection", "X-Mine"),
        ("Keep-Alive", "timeout=99"),
        ("Proxy-Authenticate", "Basic"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "gzip"),
        ("Upgrade", "other"),
        ("Server", "mine"),
        ("Date", "never"),
        ("X-Mine", "stays"),
    ],
    "cookies": [("Set-Cookie", "a=1"), ("X-Between", "b"), ("set-cookie", "c=2; Path=/")],
    "latin": [("X-Latin", "caf\xe9"), ("X-Empty", ""), ("X-Blank", "  around  ")],
    "tuple": [("X-Evil",)],  # type: ignore[list-item]
}


def headers(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Sends the fields named by ?kind=."""
    start_response("200 OK", [*HEADERS[query(environ)["kind"]], ("Content-Length", "2")])
    return [b"ok"]


def length(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Announces ?say= bytes and yields ?give= bytes in ?parts= parts."""
    wanted = query(environ)
    part = b"x" * (int(wanted["give"]) // int(wanted.get("parts", "1")))
    start_response("200 OK", [*TEXT, ("Content-Length", wanted["say"])])
    return Watched([part] * int(wanted.get("parts", "1")), wanted.get("token", "length"))


ROUTES: dict[str, Handler] = {
    "/watched": watched,
    "/close-raises": close_raises,
    "/iterable": iterable,
    "/late-write": late_write,
    "/mute": mute,
    "/lazy": lazy,
    "/shrinking": shrinking,
    "/twice": twice,
    "/exc-info-before": exc_info_before,
    "/exc-info-after": exc_info_after,
    "/write": write,
    "/write-bad": write_bad,
    "/never-started": never_started,
    "/status": status,
    "/headers": headers,
    "/length": length,
}

"""Takes its client's socket, speaks for itself, and ends in every way that applications do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

SAID = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: words\r\n\r\nsaid"
KEPT: list[Any] = []


def speak(environ: dict[str, Any]) -> socket.socket:
    """As simple-websocket does: the handshake, then what it has to say."""
    environ["me"] = {"environ": environ}  # as werkzeug does: only the collector frees it
    taken: socket.socket = environ["gunicorn.socket"]
    taken.send(SAID)
    return taken


def behind(environ: dict[str, Any]) -> Iterator[bytes]:
    """Speaks while it is iterated."""
    taken = speak(environ)
    yield b""
    yield b"dropped"
    taken.sendall(b", and more")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
    path = environ["PATH_INFO"]
    if path in ENDINGS:
        return ENDINGS[path](environ, start_response)
    if path == "/asks":
        asked = environ["gunicorn.socket"]
        asked.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        asked.setblocking(False)
        try:
            left = asked.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            left = False
        environ["me"] = {"environ": environ}
        start_response("200 OK", [])
        return [b"left" if left else str(asked.getpeername()[0]).encode()]
    start_response("200 OK", [])
    return [b"plain"]


def stops(environ: dict[str, Any], _: Any) -> None:
    speak(environ)
    raise StopIteration


def stops_unheard(environ: dict[str, Any], _: Any) -> None:
    """All that it does goes by the descriptor."""
    environ["me"] = {"environ": environ}
    with socket.socket(fileno=socket.dup(environ["gunicorn.socket"].fileno())) as copy:
        copy.sendall(SAID)
    raise StopIteration


def raises(environ: dict[str, Any], _: Any) -> None:
    speak(environ)
    raise RuntimeError("on purpose")


def loses(environ: dict[str, Any], _: Any) -> None:
    speak(environ)
    raise BrokenPipeError("the client has left")


def starts(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Length", "7")])
    speak(environ)
    return [b"dropped"]


def writes(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    speak(environ)
    write = start_response("200 OK", [])
    write(b"dropped")
    environ["wsgi.early_hints"]([("Link", "</x>")])
    return [b"dropped"]


def makes_file(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["me"] = {"environ": environ}
    with environ["gunicorn.socket"].makefile("wb") as file:
        file.write(SAID)
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))  # type: ignore[no-any-return]


def reads(environ: dict[str, Any], _: Any) -> None:
    """Takes what its client says, and answers nothing at all."""
    environ["wsgi.early_hints"]([])  # the client may speak
    assert environ["gunicorn.socket"].recv(4) == b"ping"
    raise StopIteration


def hears(environ: dict[str, Any], _: Any) -> None:
    """All ways to read; the client has sent `abcdefghijklmn` with its request, and sends `op`."""
    environ["wsgi.early_hints"]([])
    taken = environ["gunicorn.socket"]
    heard = [taken.recv(2, socket.MSG_PEEK), taken.recv(2)]
    into, other = bytearray(2), bytearray(2)
    heard += [
        bytes(into[: taken.recv_into(into)]),
        bytes(other[: taken.recvfrom_into(other, 1)[0]]),
    ]
    heard += [taken.recvfrom(2)[0], taken.recvmsg(2)[0]]
    count, *_ = taken.recvmsg_into([into, other])
    heard.append(bytes(into + other)[:count])
    with taken.makefile("rb") as file:
        heard.append(file.read(3))
    taken.sendall(b" ".join(heard))
    raise StopIteration


def gives(result: Any) -> Callable[..., Any]:
    """Ends by returning that."""

    def ending(environ: dict[str, Any], _: Any) -> Any:
        speak(environ)
        return result

    return ending


ENDINGS: dict[str, Callable[..., Any]] = {
    "/stops": stops,
    "/unheard": stops_unheard,
    "/returns": gives([]),
    "/none": gives(None),
    "/text": gives("dropped"),
    "/raises": raises,
    "/loses": loses,
    "/starts": starts,
    "/writes": writes,
    "/file": makes_file,
    "/behind": lambda environ, _: behind(environ),
    "/reads": reads,
    "/hears": hears,
}

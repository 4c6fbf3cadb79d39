"""ASGI: scopes, answers, what an application may do wrong, and WebSockets, by bytes."""

from __future__ import annotations

import base64
import signal
import socket
from typing import Any

from pair import Side
from scenario import Group, Look

APP = """
import json

SHOWN = ("type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string",
         "root_path", "headers", "subprotocols")


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data=b"", more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


LENGTH = (b"content-length", b"5")
ANSWERS = {
    "length": [start(200, LENGTH), body(b"hello")],
    "chunks": [start(), body(b"he", True), body(b"llo")],
    "short": [start(200, (b"content-length", b"9")), body(b"hello")],
    "long": [start(200, (b"content-length", b"3")), body(b"hello")],
    "coding": [start(200, (b"transfer-encoding", b"chunked")), body(b"hello", True), body()],
    "names": [start(200, (b"X-One", b"1"), (b"x-one", b"2"), LENGTH), body(b"hello")],
    "hint": [{**start(103, (b"link", b"</a>")), "type": "http.response.informational"},
             start(200, LENGTH), body(b"hello")],
    "204": [start(204), body()],
    "204-body": [start(204), body(b"hello")],
    "304": [start(304), body()],
    "odd": [start(299, LENGTH), body(b"hello")],
    "one-part": [start(), body(b"hello")],
    "start-only": [start()],
    "nothing": [],
    "half": [start(200, LENGTH), body(b"he", True)],
    "bad-name": [start(200, (b"a b", b"c")), body(b"hello")],
    "bad-value": [start(200, (b"a", b"b\\r\\nc: d")), body(b"hello")],
    "twice": [start(200, LENGTH), start(200, LENGTH), body(b"hello")],
}


async def web(scope, receive, send):
    name = scope["path"][1:]
    if name == "scope":
        found = {key: repr(scope[key]) for key in SHOWN if key in scope}
        data = json.dumps(found, sort_keys=True).encode()
        await send(start(200, (b"content-length", b"%d" % len(data))))
        await send(body(data))
    elif name == "body":
        got = [await receive()]
        while got[-1]["more_body"]:
            got.append(await receive())
        data = b"".join(one["body"] for one in got)
        await send(start(200, (b"content-length", b"%d" % len(data))))
        await send(body(data))
    elif name == "raise":
        raise RuntimeError("on purpose")
    else:
        for message in ANSWERS[name]:
            await send(message)


async def socket(scope, receive, send):
    name = scope["path"][1:]
    await receive()
    if name == "refuse":
        await send({"type": "websocket.close"})
    elif name == "fail":
        raise RuntimeError("on purpose")
    elif name != "leave":
        await send({"type": "websocket.accept"})
    if name == "echo":
        message = await receive()
        await send({"type": "websocket.send", "text": "echo " + message["text"]})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    elif name == "extensions":
        await send({"type": "websocket.send", "text": repr(scope.get("extensions"))})
    elif name == "wait":
        while (await receive())["type"] != "websocket.disconnect":
            pass
    elif name == "fall":
        raise RuntimeError("on purpose")


async def app(scope, receive, send):
    if scope["type"] == "http":
        await web(scope, receive, send)
    elif scope["type"] == "websocket":
        await socket(scope, receive, send)
    else:
        raise ValueError("no lifespan here")
"""
WHOLE = (
    "length", "chunks", "short", "long", "coding", "names", "hint", "204", "204-body", "304", "odd",
    "one-part", "start-only", "nothing", "half", "bad-name", "bad-value", "twice", "raise",
)  # fmt: skip
KEY = base64.b64encode(bytes(16)).decode()
OPENING = (
    "Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
)


def shown(got: str) -> Any:
    """Without what names the server and the order of fields that differ in name; of an error page
    its status only: its words are our own."""
    head, _, rest = got.partition("\r\n\r\n")
    line, *fields = head.split("\r\n")
    if line.endswith(("500 Internal Server Error", "400 Bad Request", "426 Upgrade Required")):
        return line
    kept = [one for one in fields if not one.lower().startswith(("server:", "date:"))]
    kept = [one.lower() if one.lower().startswith("transfer-") else one for one in kept]
    kept.sort(key=lambda one: one.partition(":")[0].lower())
    return line, kept, shown(rest) if rest.startswith("HTTP/") else rest


def answer(line: str, *fields: str, data: str = "") -> Look:
    head = "\r\n".join([line, "Host: h", "Connection: close", *fields, "", ""])

    def look(side: Side) -> Any:
        return shown(side.ask((head + data).encode()))

    return look


def talk(target: str, frames: bytes = b"", opening: str = OPENING) -> Look:
    """A handshake and these frames; all that comes back, in hexadecimal from the 101 on."""

    def look(side: Side) -> Any:
        got = b""
        with socket.create_connection(("127.0.0.1", side.port), 10) as sock:
            sock.sendall(f"GET {target} HTTP/1.1\r\n{opening}\r\n".encode())
            while b"\r\n\r\n" not in got:
                got += sock.recv(65536)
            if b" 101 " in got:
                sock.sendall(frames)
                while got.endswith(b"\r\n\r\n"):
                    got += sock.recv(65536)  # the server speaks first
                sock.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
            while data := sock.recv(65536):
                got += data
        head, _, rest = got.partition(b"\r\n\r\n")
        if b" 101 " not in head:
            return shown(got.decode("latin-1"))
        return sorted(head.decode("latin-1").lower().split("\r\n")), rest.hex(" ")

    return look


def drained(side: Side) -> Any:
    """The frames that an open WebSocket gets when the server stops."""
    with socket.create_connection(("127.0.0.1", side.port), 10) as sock:
        sock.sendall(f"GET /wait HTTP/1.1\r\n{OPENING}\r\n".encode())
        got = sock.recv(65536)
        while not got.endswith(b"\r\n\r\n"):
            got += sock.recv(65536)
        side.kill(signal.SIGTERM)
        return [data.hex(" ") for data in iter(lambda: sock.recv(65536), b"")]


GROUPS = [
    Group(
        "asgi",
        {
            **{f"asgi-{name}": answer(f"GET /{name} HTTP/1.1") for name in WHOLE},
            **{f"asgi-{name}-10": answer(f"GET /{name} HTTP/1.0") for name in ("length", "chunks")},
            **{f"asgi-{n}-head": answer(f"HEAD /{n} HTTP/1.1") for n in ("length", "chunks")},
            "asgi-scope": answer("GET /scope?a=%20b HTTP/1.1", "X-A: 1", "x-a: 2", "X_U: 3"),
            "asgi-body": answer("POST /body HTTP/1.1", "Content-Length: 3", data="abc"),
            "asgi-body-chunked": answer(
                "POST /body HTTP/1.1", "Transfer-Encoding: chunked", data="3\r\nabc\r\n0\r\n\r\n"
            ),
            "asgi-socket-echo": talk("/echo", b"\x81\x83\0\0\0\0one"),
            "asgi-socket-quiet": talk("/quiet"),
            "asgi-socket-refuse": talk("/refuse"),
            "asgi-socket-fail": talk("/fail"),
            "asgi-socket-leave": talk("/leave"),
            "asgi-socket-fall": talk("/fall"),
            "asgi-socket-extensions": talk("/extensions"),
            "asgi-socket-deflate": talk(
                "/echo",
                b"\x81\x83\0\0\0\0one",
                OPENING + "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            ),
            "asgi-socket-version": talk("/echo", opening=OPENING.replace(": 13", ": 12")),
            "asgi-socket-key": talk("/echo", opening=OPENING.replace(KEY, "short")),
            "asgi-socket-drain": drained,  # the last: it ends the server
        },
        "-k asgi --asgi-loop asyncio --graceful-timeout 2 --root-path /mount web:app",
        files={"web.py": APP},
    ),
]

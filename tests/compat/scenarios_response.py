"""What an application does with start_response, and the bytes that the client then gets."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from pair import Side
from scenario import Group, Look

LENGTH = ["Content-Length", "5"]
# What the application does -> see apps/scene.py.
ANSWERS: dict[str, dict[str, Any]] = {
    "no-length": {},
    "one-part": {"body": ["hello"]},
    "length": {"headers": [LENGTH]},
    "length-short-body": {"headers": [["Content-Length", "9"]]},
    "length-long-body": {"headers": [["Content-Length", "3"]]},
    "length-zero": {"headers": [["Content-Length", "0"]], "body": []},
    "length-word": {"headers": [["Content-Length", "x"]]},
    "parts": {"body": ["a", "", "bcd", "e"]},
    "empty": {"body": []},
    "empty-part": {"body": [""]},
    "generator": {"how": "gen", "body": ["a", "b"]},
    "tuple": {"how": "tuple", "body": ["a", "b"]},
    "bytes": {"how": "bytes"},
    "str": {"how": "str"},
    "strings": {"how": "strings"},
    "none": {"how": "none"},
    "number": {"how": "number"},
    "mixed": {"how": "mixed"},
    "write": {"how": "write", "body": ["a", "b"]},
    "write-length": {"how": "write", "headers": [LENGTH], "body": ["ab", "cde"]},
    "file": {"how": "file", "headers": [LENGTH]},
    "file-no-length": {"how": "file"},
    "file-part": {"how": "file", "headers": [["Content-Length", "3"]]},
    "close-fails": {"how": "closefails", "headers": [LENGTH]},
    "204": {"status": "204 No Content", "body": []},
    "204-body": {"status": "204 No Content", "headers": [LENGTH]},
    "304-length": {"status": "304 Not Modified", "headers": [LENGTH], "body": []},
    "304-body": {"status": "304 Not Modified"},
    "100": {"status": "100 Odd", "body": []},
    "status-no-reason": {"status": "200"},
    "status-space": {"status": "200 "},
    "status-long-reason": {"status": "299 A \t rather (odd) reason"},
    "status-high": {"status": "200 caf\xe9"},
    "status-999": {"status": "999 Lots"},
    "status-short": {"status": "20 OK"},
    "status-word": {"status": "OK"},
    "status-number": {"status": 200},
    "status-newline": {"status": "200 OK\r\nX: y"},
    "fields": {"headers": [["x-lower", "1"], ["X-UPPER", "2"], ["X-a", "3"], ["X-A", "4"]]},
    "fields-order": {"headers": [["B", "1"], ["Content-Type", "t/x"], ["A", "2"], LENGTH]},
    "field-padded": {"headers": [["X-A", "  b \t"]]},
    "field-empty": {"headers": [["X-A", ""]]},
    "field-high": {"headers": [["X-A", "caf\xe9"]]},
    "field-beyond": {"headers": [["X-A", "\u20ac"]]},
    "field-newline": {"headers": [["X-A", "b\r\nX: y"]]},
    "field-nul": {"headers": [["X-A", "b\0c"]]},
    "field-name-space": {"headers": [["X A", "b"]]},
    "field-name-empty": {"headers": [["", "b"]]},
    "field-name-high": {"headers": [["caf\xe9", "b"]]},
    "field-value-number": {"headers": [["X-A", 5]]},
    "field-hop": {"headers": [
        ["Connection", "keep-alive"], ["Keep-Alive", "5"], ["TE", "x"], ["Trailers", "x"],
        ["Upgrade", "foo"], ["Proxy-Authenticate", "x"], ["Proxy-Authorization", "x"],
    ]},
    "field-coding": {"headers": [["Transfer-Encoding", "chunked"]]},
    "field-server": {"headers": [["Server", "mine"], ["Date", "today"]]},
    "field-upgrade": {"headers": [["Connection", "upgrade"], ["Upgrade", "websocket"]]},
    "field-cookies": {"headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]},
    "raise-first": {"raise": "first"},
    "raise-started": {"raise": "started"},
    "raise-middle": {"raise": "middle", "headers": [LENGTH], "body": ["ab"]},
    "raise-middle-chunked": {"raise": "middle", "body": ["ab"]},
    "raise-middle-empty": {"raise": "middle", "body": []},
    "again": {"again": "plain"},
    "again-exc-info": {"again": "exc_info"},
    "not-started": {"start": False, "body": []},
}  # fmt: skip
# The same with another request line.
HEADS = (
    "no-length",
    "one-part",
    "length",
    "parts",
    "empty",
    "204",
    "field-coding",
    "file",
    "write",
)
TENS = (
    "no-length",
    "one-part",
    "length",
    "parts",
    "empty",
    "204",
    "generator",
    "file-no-length",
    "write",
)
PAGES_DIFFER = "HTTP/1.1 500 Internal Server Error"


def request(spec: dict[str, Any], method: str = "GET", version: str = "1.1") -> bytes:
    target = "/respond?" + quote(json.dumps(spec))
    head = f"{method} {target} HTTP/{version}\r\nHost: h\r\nConnection: close\r\n\r\n"
    return head.encode()


def answer(raw: bytes) -> Look:
    """All bytes; of an error page only its head without the length, for its words are our own."""

    def look(side: Side) -> Any:
        got = side.ask(raw)
        head, _, _ = got.partition("\r\n\r\n")
        if head.startswith(PAGES_DIFFER):
            return [line for line in head.split("\r\n") if not line.startswith("Content-Length")]
        return got

    return look


def notes(side: Side) -> Any:
    """close() of the results, in the order of the requests."""
    return side.trace()


def log_of(spec: dict[str, Any]) -> Look:
    """The first log line of a request that fails, and whether a traceback follows."""

    def look(side: Side) -> Any:
        side.records()
        side.ask(request(spec))
        found = side.records()
        first = [f"{level} {text}" for _, level, text in found if level]
        return first, any("Error: " in text for _, _, text in found)

    return look


FAILURES: dict[str, dict[str, Any]] = {
    "raise-first": ANSWERS["raise-first"],
    "raise-middle": ANSWERS["raise-middle"],
    "again": ANSWERS["again"],
    "strings": ANSWERS["strings"],
}

GROUPS = [
    Group(
        "response",
        {
            **{f"response-{name}": answer(request(spec)) for name, spec in ANSWERS.items()},
            **{f"response-{n}-head": answer(request(ANSWERS[n], "HEAD")) for n in HEADS},
            **{f"response-{n}-10": answer(request(ANSWERS[n], "GET", "1.0")) for n in TENS},
            "response-closed": notes,
            **{f"response-log-{name}": log_of(spec) for name, spec in FAILURES.items()},
        },
        "scene",
    ),
]

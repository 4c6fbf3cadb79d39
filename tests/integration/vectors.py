"""Reads the Markdown vectors (format: tests/vectors/README.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote_to_bytes

FOLDERS = ("h1", "h1_invalid", "chunked")
PLAIN = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|\{([^}]*)\*(\d+)\}|(.))")
DETAILS = ("path", "query", "field", "scheme", "script-name", "data")


@dataclass
class Expected:
    """One accepted request; texts are latin-1."""

    method: str
    target: str
    version: str
    keep_alive: bool = True
    complete: bool = False
    has_body: bool = False
    details: dict[str, list[str]] = field(default_factory=dict)

    def environ(self) -> dict[str, str]:
        """What the environ must hold because of the details; fields of one name are joined."""
        wanted = {"SERVER_PROTOCOL": f"HTTP/{self.version}", "RAW_URI": self.target}
        wanted["REQUEST_METHOD"] = self.method
        names = {"query": "QUERY_STRING", "scheme": "wsgi.url_scheme"}
        for kind, name in names.items():
            if kind in self.details:
                wanted[name] = self.details[kind][0]
        script = self.details.get("script-name", [""])[0]
        if script:
            wanted["SCRIPT_NAME"] = script
        if "path" in self.details:
            path = unquote_to_bytes(self.details["path"][0].encode("latin-1")).decode("latin-1")
            wanted["PATH_INFO"] = path.removeprefix(script)
        wanted.update(self.fields())
        return wanted

    def fields(self) -> dict[str, str]:
        """The named header fields as environ keys."""
        found: dict[str, list[str]] = {}
        for line in self.details.get("field", []):
            name, _, value = line.partition(":")
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            found.setdefault(key, []).append(value.strip(" \t"))
        return {key: ",".join(values) for key, values in found.items()}


@dataclass
class Vector:
    """One case: bytes, settings, and what must come of them."""

    name: str
    settings: tuple[tuple[str, str], ...] = ()
    data: bytes = b""
    requests: list[Expected] = field(default_factory=list)
    error_status: int = 0
    incomplete: bool = False

    def read_event(self, line: str) -> None:
        """Takes in one line of the events block."""
        kind, _, rest = line.partition(" ")
        if kind == "request":
            method, target, version = rest.split(" ")
            self.requests.append(Expected(unescape(method), unescape(target), version))
        elif kind == "error":
            self.error_status = int(rest.split()[1])
        elif kind == "incomplete":
            self.incomplete = True
        else:
            self._read_request_event(self.requests[-1], kind, rest)

    def _read_request_event(self, request: Expected, kind: str, rest: str) -> None:
        if kind == "end":
            request.complete = True
        elif kind == "keep-alive":
            request.keep_alive = rest != "no"
        elif kind == "body":
            request.has_body = True
        elif kind in DETAILS:
            request.details.setdefault(kind, []).append(unescape(rest))


def unescape(text: str) -> str:
    """The bytes that `text` stands for, as latin-1."""

    def replace(match: re.Match[str]) -> str:
        code, repeated, count, plain = match.groups()
        if code:
            return chr(int(code, 16))
        return unescape(repeated) * int(count) if count else PLAIN[plain]

    return ESCAPE.sub(replace, text)


def read_file(path: Path) -> list[Vector]:
    """Every case of a file."""
    vectors: list[Vector] = []
    block = ""
    for line in path.read_text().splitlines():
        if line.startswith("## ") and not block:
            vectors.append(Vector(f"{path.parent.name}/{path.stem}: {line[3:]}"))
        elif line.startswith("```"):
            block = "" if block else line[3:]
        elif block == "settings":
            name, _, value = line.partition(" ")
            vectors[-1].settings += ((name, value),)
        elif block == "http":
            vectors[-1].data += unescape(line).encode("latin-1")
        elif block == "events":
            vectors[-1].read_event(line)
    return vectors


def read_all(root: Path) -> list[Vector]:
    """Every case that a live HTTP/1 server can be asked."""
    files = sorted(path for name in FOLDERS for path in (root / name).glob("*.md"))
    return [vector for path in files for vector in read_file(path)]

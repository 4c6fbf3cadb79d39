"""What the counted applications share: they note every request that they begin.

`release` is the module that a deploy changes. PROBE_DIR receives the notes: `executed` has a line
for each request, `ended` one for each whose application has come to its end, `booted` one for each
worker that has loaded the application.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import parse_qsl

from release import VERSION

_DIRECTORY = Path(os.environ["PROBE_DIR"])
_EXECUTED = os.open(_DIRECTORY / "executed", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
_ENDED = os.open(_DIRECTORY / "ended", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class Asked:
    """A request's query: who asks, for how many bytes, after how many milliseconds."""

    def __init__(self, query: str) -> None:
        fields = dict(parse_qsl(query))
        self.id = fields.get("id", "probe")
        self.size = int(fields.get("size", "100"))
        self.seconds = int(fields.get("ms", "0")) / 1000
        self.post_bytes = int(fields.get("post", "0"))
        self.after_s = int(fields.get("after", "0")) / 1000  # of work when the answer has left

    def begin(self) -> None:
        """Notes that the application has begun; one write, so lines never mix."""
        os.write(_EXECUTED, f"{self.id} {os.getpid()}\n".encode())

    def end(self) -> None:
        """Notes that the application is done, before the server hears of it."""
        line = f"{self.id} {os.getpid()} {time.monotonic()} {self.size}\n"
        os.write(_ENDED, line.encode())

    def body(self) -> bytes:
        """The answer: whose it is, and padding."""
        head = self.id.encode() + b" "
        return head + b"x" * (self.size - len(head))

    def fields(self) -> list[tuple[str, str]]:
        """The answer's head."""
        return [
            ("Content-Type", "text/plain"),
            ("Content-Length", str(self.size)),
            ("X-Version", VERSION),
            ("X-Pid", str(os.getpid())),
        ]


def note_boot() -> None:
    """The last thing that an application does while it is imported."""
    with (_DIRECTORY / "booted").open("a") as file:
        file.write(f"{os.getpid()} {VERSION}\n")

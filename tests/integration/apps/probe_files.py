"""Probe handlers for wsgi.file_wrapper."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probe_tools import Environ, Handler, StartResponse, note, query

FILE_BYTES = 100_000


def content(size: int = FILE_BYTES) -> bytes:
    """What the test file holds; no two places look alike."""
    return b"".join(b"%08d\n" % index for index in range(size // 9 + 1))[:size]


def test_file(size: int = FILE_BYTES) -> Path:
    """Makes the file on first use."""
    path = Path(os.environ["PROBE_DIR"]) / f"file{size}-{os.getpid()}"
    if not path.exists():
        path.write_bytes(content(size))
    return path


class Noted(io.FileIO):
    """A file that notes its closing."""

    token = ""

    def close(self) -> None:
        """Called by the server through the wrapper's close(); again by the interpreter."""
        if not self.closed:
            note("closed", f"{self.token} 1")
        super().close()


def opened(wanted: dict[str, str]) -> Any:
    """The file-like object that ?kind= names."""
    kind = wanted.get("kind", "raw")
    if kind == "memory":
        return io.BytesIO(content())
    if kind == "empty":
        return test_file(0).open("rb")
    if kind == "noted":
        noted = Noted(test_file())
        noted.token = wanted["token"]
        return noted
    if kind == "pipe":
        reader, writer = os.pipe()
        os.write(writer, b"through a pipe")
        os.close(writer)
        return os.fdopen(reader, "rb", buffering=0)
    if kind == "half-read":
        file = test_file().open("rb")
        assert file.read(10) == content()[:10]
        return file
    return test_file(int(wanted.get("size", FILE_BYTES))).open("rb", buffering=0)


def wrapped(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """?kind= of file, ?seek= into it, ?length= announced, ?block= as block size."""
    wanted = query(environ)
    file = opened(wanted)
    if "seek" in wanted:
        file.seek(int(wanted["seek"]))
    headers = [("Content-Type", "application/octet-stream")]
    if "length" in wanted:
        headers.append(("Content-Length", wanted["length"]))
    start_response(wanted.get("status", "200 OK"), headers)
    arguments = [int(wanted["block"])] if "block" in wanted else []
    result: Iterable[bytes] = environ["wsgi.file_wrapper"](file, *arguments)
    if "iterate" in wanted:  # as a middleware would that looks at the body
        return [b"<", *result, b">"]
    return result


ROUTES: dict[str, Handler] = {"/file": wrapped}

"""Probe handlers for wsgi.file_wrapper."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from probe_tools import Environ, Handler, StartResponse, note, query

FILE_BYTES = 100_000


def content(size: int = FILE_BYTES) -> bytes:
    """What the test file holds: lines with their number, in blocks with theirs. Soon made, also
    where each object is a sanitizer's."""
    lines = b"".join(b"%08d\n" % index for index in range(10_000))
    blocks = (b"%08d\n" % number + lines for number in range(size // len(lines) + 1))
    return b"".join(blocks)[:size]


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


class Backwards(io.FileIO):
    """A file whose bytes are not those of its descriptor."""

    def read(self, size: int | None = -1, /) -> bytes:
        return (super().read(size) or b"")[::-1]

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer) or 0
        buffer[:count] = bytes(buffer[:count])[::-1]
        return count


class Liar:
    """Reads from memory, and has the descriptor of something else."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO(content())
        self._other = test_file(1000).open("rb")
        self.read = self._bytes.read
        self.fileno = self._other.fileno
        self.tell = self._other.tell


def zipped() -> Any:
    """A member of an archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("member", content())
    return zipfile.ZipFile(packed).open("member")


def patched() -> Any:
    """A plain file with a read() of its own."""
    file = test_file().open("rb")
    setattr(file, "read", io.BytesIO(content()[::-1]).read)  # noqa: B010
    return file


def spooled(bytes_max: int) -> Any:
    file = tempfile.SpooledTemporaryFile(bytes_max)  # noqa: SIM115
    file.write(content())
    file.seek(0)
    return file


def temporary(position: int, make: Any = tempfile.NamedTemporaryFile) -> Any:
    """Written and not flushed: a part of it is in Python's buffer only."""
    file = make()
    file.write(content())
    file.seek(position)
    file.write(content()[position : position + 5])
    file.seek(position)
    return file


def compressed(module: Any) -> Any:
    path = test_file().with_suffix("." + module.__name__)
    if not path.exists():
        path.write_bytes(module.compress(content()))
    return module.open(path)


# Objects of which not the descriptor is to be sent but what they read.
READ: dict[str, Callable[[], Any]] = {
    "memory": lambda: io.BytesIO(content()),
    "empty": lambda: test_file(0).open("rb"),
    "gzip": lambda: compressed(gzip),
    "bz2": lambda: compressed(bz2),
    "lzma": lambda: compressed(lzma),
    "zip": zipped,
    "liar": Liar,
    "backwards": lambda: Backwards(test_file()),
    "buffered-backwards": lambda: io.BufferedReader(Backwards(test_file()), 2 * FILE_BYTES),
    "patched": patched,
    "spooled": lambda: spooled(1_000_000),
    "rolled": lambda: spooled(1_000),
    "named-temporary": lambda: temporary(0),
    "temporary": lambda: temporary(0, tempfile.TemporaryFile),
    "temporary-from-77": lambda: temporary(77),
    "proc": lambda: open("/proc/self/mounts", "rb"),  # noqa: SIM115
}


def opened(wanted: dict[str, str]) -> Any:
    """The file-like object that ?kind= names."""
    kind = wanted.get("kind", "raw")
    if kind in READ:
        return READ[kind]()
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

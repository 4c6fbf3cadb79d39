"""What the five framework applications have in common, so that they answer alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Protocol

BLOCK = bytes(range(256)) * 256
SECRET = "only-for-the-tests-0123456789abcdef"


class Readable(Protocol):
    """An upload."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes."""


def lines(count: int = 50) -> Iterator[bytes]:
    """The stream."""
    for index in range(count):
        yield b"line %d\n" % index


def blocks(megabytes: int) -> Iterator[bytes]:
    """The large download, made as it goes."""
    for _ in range(megabytes * 16):
        yield BLOCK


def receipt(file: Readable, **more: Any) -> dict[str, Any]:
    """Size and SHA-256 of an upload, with whatever else was sent."""
    size, hashed = 0, hashlib.sha256()
    while data := file.read(65536):
        size += len(data)
        hashed.update(data)
    return {"size": size, "sha256": hashed.hexdigest(), **more}

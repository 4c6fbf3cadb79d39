"""Reads one file out of a multipart/form-data body (RFC 7578) without holding the file."""

from __future__ import annotations

import hashlib
from email.message import Message
from typing import Protocol

STEP_BYTES = 64 * 1024
LINE_BYTES_MAX = 8 * 1024
HEADERS_MAX = 32


class Readable(Protocol):
    """What of `wsgi.input` is needed."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; empty at the end."""

    def readline(self, size: int = -1, /) -> bytes:
        """One line with its end, at most `size` bytes."""


class UploadError(ValueError):
    """The body is not a form with a file in it; the text is for the sender."""


class Receipt:
    """A file that went by: its name, size in bytes and SHA-256."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.size = 0
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Counts in the next bytes."""
        self.size += len(data)
        self._hash.update(data)

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._hash.hexdigest()


def boundary_of(content_type: str) -> bytes:
    """The delimiter that the sender chose, with its two dashes. Raises UploadError."""
    message = Message()
    message["content-type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise UploadError("The form must be sent as multipart/form-data.")
    return b"--" + boundary.encode("latin-1")


def read_headers(stream: Readable) -> Message:
    """The header block of a part. Raises UploadError."""
    message = Message()
    for _ in range(HEADERS_MAX):
        line = stream.readline(LINE_BYTES_MAX)
        if line in (b"\r\n", b"\n"):
            return message
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if not colon:
            break
        message[name.strip()] = value.strip()
    raise UploadError("A part of the form has no proper header.")


def read_part(stream: Readable, boundary: bytes, receipt: Receipt) -> None:
    """Counts the bytes up to the next boundary. Raises UploadError when there is none.

    The CR LF before a boundary belongs to the boundary, so a line's end waits for the next line.
    """
    held = b""
    while line := stream.readline(STEP_BYTES):
        if held[-1:] in (b"", b"\n") and line.startswith(boundary):
            receipt.add(held.removesuffix(b"\r\n"))
            return
        receipt.add(held)
        while line.endswith(b"\r") and (more := stream.readline(1)):
            line += more  # the step ended between CR and LF: keep both together
        held = line
    raise UploadError("The upload ended early.")


def receive_file(stream: Readable, content_type: str, field: str) -> Receipt:
    """Reads the body until the file in `field` is whole. Raises UploadError."""
    boundary = boundary_of(content_type)
    if not stream.readline(LINE_BYTES_MAX).startswith(boundary):
        raise UploadError("The form does not begin with its boundary.")
    while True:
        headers = read_headers(stream)
        name = headers.get_param("name", header="content-disposition")
        filename = headers.get_filename() or ""
        receipt = Receipt(filename)
        read_part(stream, boundary, receipt)
        if name == field and filename:
            while stream.read(STEP_BYTES):  # what follows the file is not needed
                pass
            return receipt

"""curl as a client, for what a client of our own does not speak: TLS and HTTP/2."""

from __future__ import annotations

import subprocess


def curl(*arguments: str, data: bytes | None = None) -> bytes:
    """The body. CalledProcessError: what curl calls a failure; its words are in stderr."""
    command = ["curl", "--silent", "--show-error", "--max-time", "30", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=60, input=data).stdout

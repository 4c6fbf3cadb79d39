"""An application that says who served what, and that can be held until a note says go on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from probe_tools import Environ, StartResponse, plain

HOLD_S_MAX = 120


def hold(token: str) -> None:
    """Says that it is there, and stays until PROBE_DIR/release-<token> exists."""
    directory = Path(os.environ["PROBE_DIR"])
    (directory / f"held-{token}").write_text(str(os.getpid()))
    deadline = time.monotonic() + HOLD_S_MAX
    while not (directory / f"release-{token}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """/hold?<token>, /nap?<seconds>, or anything; the answer tells pid, target and body."""
    path, word = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/hold":
        hold(word)
    if path == "/nap":
        time.sleep(float(word))
    body = environ["wsgi.input"].read()
    found = {
        "pid": os.getpid(),
        "target": f"{path}?{word}",
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return plain(start_response, json.dumps(found).encode(), "application/json")

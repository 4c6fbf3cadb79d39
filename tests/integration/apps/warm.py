"""Tells when it was warmed up; how that goes stands in a file."""

import os
from pathlib import Path

SEEN = []


def app(environ, start_response):
    path = environ["PATH_INFO"]
    SEEN.append(path)
    status = Path(os.environ["PROBE_DIR"], "status").read_text() if path == "/warm" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {SEEN[0]}".encode()]

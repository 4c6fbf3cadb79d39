"""Serves one application with the installed monoceros and asks it a few things over real TCP.

Run by the interpreter to try: `python tools/smoke.py`. Exit code 0 when all is well.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BOOT_S_MAX = 20.0
STOP_S_MAX = 15

APP = """
def application(environ, start_response):
    body = environ["wsgi.input"].read() or b"hello\\n"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body[:3], body[3:]]
"""


def free_port() -> int:
    """A TCP port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connect(port: int, server: subprocess.Popen[bytes]) -> http.client.HTTPConnection:
    """A connection as soon as the server accepts; SystemExit if it never does."""
    deadline = time.monotonic() + BOOT_S_MAX
    while time.monotonic() < deadline and server.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.connect()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return connection
    raise SystemExit(f"smoke: no answer; exit code {server.poll()}")


def ask(connection: http.client.HTTPConnection) -> None:
    """Three requests over one connection; SystemExit when an answer is wrong."""
    for method, sent, expected in (
        ("GET", None, b"hello\n"),
        ("POST", b"x" * 300_000, b"x" * 300_000),
        ("GET", None, b"hello\n"),
    ):
        connection.request(method, "/", body=sent)
        answer = connection.getresponse()
        if answer.status != 200 or answer.read() != expected:
            raise SystemExit(f"smoke: wrong answer to {method}")
    connection.close()


def main() -> None:
    """Starts the server, asks, stops it with TERM, and expects exit code 0."""
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "smoke_app.py").write_text(APP)
        command = [sys.executable, "-m", "monoceros", "--bind", f"127.0.0.1:{port}"]
        server = subprocess.Popen(
            [*command, "--workers", "2", "smoke_app:application"],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": directory},
            stderr=subprocess.PIPE,
        )
        try:
            ask(connect(port, server))
            server.send_signal(signal.SIGTERM)
            code = server.wait(STOP_S_MAX)
        finally:
            server.kill()
        if code != 0:
            raise SystemExit(f"smoke: exit code {code}\n{server.communicate()[1].decode()}")
    print("smoke: served and stopped", sys.version.split()[0])


if __name__ == "__main__":
    main()

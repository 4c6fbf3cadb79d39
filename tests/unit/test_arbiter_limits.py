"""What a configuration asks for and the machine, or the number of workers, does not give."""

from __future__ import annotations

import contextlib
import re
import resource
import signal
import socket
from pathlib import Path

import pytest

from arbiter_harness import Server, children, until

OPENS = """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    held = [open("/dev/null") for _ in range(6)]  # as templates, certificates, sockets are
    return [b"%d" % len(held)]
"""
KINDS = {
    "sync": ["-k", "sync"],
    "gthread": ["-k", "gthread", "--threads", "2"],
    "gevent": ["-k", "gevent"],
    "asgi": ["-k", "asgi"],
}
ASGI = """
async def app(scope, receive, send):
    held = [open("/dev/null") for _ in range(6)]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(held)})
"""


def limited(number: int, *flags: str) -> list[str]:
    return ["sh", "-c", f'ulimit {" ".join(flags)} -n {number}; exec "$@"', "sh"]


@pytest.mark.parametrize("kind", KINDS)
def test_slow_senders_leave_descriptors_for_the_application(tmp_path: Path, kind: str) -> None:
    if kind == "gevent":
        pytest.importorskip("gevent")
    (tmp_path / "app.py").write_text(ASGI if kind == "asgi" else OPENS)
    with Server(tmp_path, *KINDS[kind], prefix=limited(40)) as server:
        until(server.answers)
        with contextlib.ExitStack() as stack:
            for _ in range(60):
                client = stack.enter_context(server.connect())
                client.sendall(b"GET /half HTTP/1.1\r\nHost: a")
            with socket.create_connection(server.address, 30) as whole:
                whole.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = whole.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.") and answer.endswith(b"\r\n\r\n6"), server.log()
        assert "Too many open files" not in server.log()


def test_the_soft_limit_is_raised(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with Server(tmp_path, "--log-level", "debug", prefix=limited(200, "-S")) as server:
        (worker,) = server.ready()
        server.says(f"Open files: {hard}, raised from 200")
        limits = Path(f"/proc/{worker}/limits").read_text()
        found = re.search(r"Max open files +(\d+) +(\d+)", limits)
        assert found is not None
        assert found[1] == found[2]


def test_worker_connections_that_cannot_be_reached(tmp_path: Path) -> None:
    with Server(tmp_path, "--worker-connections", "1000", prefix=limited(300)) as server:
        server.ready()
        said = server.says(r"worker_connections is 1000, but a worker holds about (\d+): ")
        assert 100 < int(said[0]) < 268
        assert "LimitNOFILE" in server.log()
    with Server(tmp_path, "--worker-connections", "10", prefix=limited(300)) as server:
        server.ready()
        assert "holds about" not in server.log()


def test_no_workers_are_said_and_may_come(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "0") as server:
        server.says("workers is 0: nobody serves until TTIN, or a HUP with another number")
        server.send(signal.SIGTTIN)
        server.ready(1)
        assert len(children(server.pid)) == 1
    with Server(tmp_path, "-w", "1") as server:
        server.ready()
        assert "nobody serves" not in server.log()


TOGETHER = """
import os, pathlib, time
folder = pathlib.Path("boots")
folder.mkdir(exist_ok=True)
(folder / str(os.getpid())).touch()
def enough():
    boots = len(list(folder.iterdir()))
    return boots in (5, 6) or boots == 10  # the start; the canary; all others, at once
while not enough():
    time.sleep(0.01)
def app(environ, start_response):
    return [b"%d" % os.getpid()]
"""


def test_after_the_canary_the_rest_boots_together(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(TOGETHER)
    with Server(tmp_path, "-w", "5", "--timeout", "60") as server:
        before = server.ready(5)
        server.send(signal.SIGHUP)
        until(lambda: not set(before) & set(server.workers()) and len(server.workers()) == 5, 30)
        server.says(r"Reload: 1 of 5 workers replaced")
        server.says(r"Reload: all 5 workers replaced in \d+\.\d s")


@pytest.mark.parametrize("more", [[], ["--preload"]])
def test_the_class_that_really_runs_is_named(tmp_path: Path, more: list[str]) -> None:
    (tmp_path / "app.py").write_text(ASGI)
    config = "workers = 1\n"
    with Server(tmp_path, *more, config=config, kind=None) as server:
        until(server.answers)
        assert "Using worker: asgi" in server.log()
        assert ("Using worker: sync" in server.log()) is not bool(more)

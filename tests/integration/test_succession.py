"""A worker that leaves by itself and is not done soon: its successor serves meanwhile, the log says
what is waited for, and nobody is punished."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, can_import, is_running, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it waits until the old worker has ended")

CLASSES = {
    "sync": (),
    "gthread": ("--threads", "4"),
    "gevent": ("-k", "gevent"),
    "asgi": ("-k", "asgi"),
    "tornado": ("-k", "tornado"),
}


def kinds(*names: str) -> pytest.MarkDecorator:
    marks = [
        pytest.param(
            name,
            marks=[]
            if can_import(name) or name in ("sync", "gthread", "asgi")
            else pytest.mark.skip,
        )
        for name in names
    ]
    return pytest.mark.parametrize("kind", marks)


def start(serve: StartServer, kind: str, *args: str, **options: object) -> Server:
    app = "lingering_app:asgi" if kind == "asgi" else "lingering_app:app"
    return serve(app, *CLASSES[kind], *args, **options)


def pid_of(server: Server, path: str = "/") -> int:
    return int(fetch(server.address, path).body)


def open_stream(server: Server) -> tuple[Client, int]:
    """A client that reads events, and the worker that sends them."""
    client = Client(server.address)
    client.send(request("/stream"))
    (worker,) = server.worker_pids()
    client.until(b"data:")
    return client, worker


@kinds("sync", "gthread", "asgi", "tornado")
def test_a_thread_of_the_application(serve: StartServer, kind: str) -> None:
    server = start(serve, kind, "--max-requests", "2", "--timeout", "2")
    old = pid_of(server, "/thread")
    pid_of(server)
    new = wait_for(lambda: (pid_of(server) != old and pid_of(server)) or 0, "the successor")
    server.wait_log(f"Worker (pid:{old}) is done, but its process waits for threads")
    server.wait_log("nightly-report")
    assert is_running(old)
    assert new != old
    end = time.monotonic() + 4  # twice the time of a heart that is still
    while time.monotonic() < end:
        assert is_running(old), server.log()
        assert pid_of(server) != old
    assert "WORKER TIMEOUT" not in server.log()
    (server.directory / "go").touch()
    wait_for(lambda: not is_running(old), "its end")


@kinds("gthread", "gevent", "asgi")
def test_an_event_stream_and_max_requests(serve: StartServer, kind: str) -> None:
    server = start(serve, kind, "--max-requests", "4")
    client, old = open_stream(server)
    wait_for(lambda: pid_of(server) != old, "the successor")
    server.wait_log(f"Worker (pid:{old}) takes no more requests; it waits for 1 connection.")
    server.wait_log("GET /stream")
    assert is_running(old)
    (server.directory / "go").touch()
    wait_for(lambda: not is_running(old), "its end")
    client.sock.close()


@kinds("sync", "gthread", "gevent", "asgi")
def test_an_event_stream_and_a_changed_file(serve: StartServer, kind: str, tmp_path: Path) -> None:
    watched = tmp_path / "watched.txt"
    watched.write_text("1")
    server = start(serve, kind, "--reload", "--reload-extra-file", str(watched))
    client, old = open_stream(server)
    watched.write_text("22")
    server.wait_log("Worker reloading")
    wait_for(lambda: pid_of(server) != old, "the successor")
    assert is_running(old)
    (server.directory / "go").touch()
    wait_for(lambda: not is_running(old), "its end")
    client.sock.close()


@kinds("tornado")
def test_a_slow_request_of_tornado(serve: StartServer, kind: str, tmp_path: Path) -> None:
    """One that is begun when the worker leaves."""
    server = serve(
        "tornado_slow:app", "-k", "tornado", "--max-requests", "3", cwd=write_slow(tmp_path)
    )
    client = Client(server.address)
    client.send(request("/slow"))
    (old,) = server.worker_pids()
    wait_for(lambda: pid_of(server) != old, "the successor")
    server.wait_log(f"Worker (pid:{old}) takes no more requests; it waits for 1 connection.")
    (server.directory / "go").touch()
    wait_for(lambda: not is_running(old), "its end")
    client.sock.close()


def write_slow(folder: Path) -> Path:
    (folder / "tornado_slow.py").write_text(
        "import asyncio, os, pathlib\n"
        "import tornado.web\n"
        "class Plain(tornado.web.RequestHandler):\n"
        "    def get(self): self.write(str(os.getpid()))\n"
        "class Slow(tornado.web.RequestHandler):\n"
        "    async def get(self):\n"
        "        while not pathlib.Path(os.environ['PROBE_DIR'], 'go').exists():\n"
        "            await asyncio.sleep(0.02)\n"
        "app = tornado.web.Application([('/slow', Slow), ('/', Plain)])\n"
    )
    return folder


def test_a_worker_that_does_not_end_is_killed_after_its_grace(serve: StartServer) -> None:
    server = start(serve, "sync", "--max-requests", "1", "--graceful-timeout", "1")
    old = pid_of(server, "/thread")
    wait_for(lambda: pid_of(server) != old, "the successor")
    wait_for(lambda: not is_running(old), "its end", 20)
    server.wait_log(f"Worker (pid:{old}) still waits for threads of the application and is killed")
    (server.directory / "go").touch()

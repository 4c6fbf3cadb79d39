"""The exit that a signal asks for is not lost where Python drops exceptions, and nobody reads of
it: the worker ends at once, in every class."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, is_running, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

CLASSES: dict[str, tuple[str, ...]] = {
    "sync": ("departing:app",),
    "gthread": ("departing:app", "--threads", "2"),
    "gevent": ("departing:app", "-k", "gevent"),
    "pywsgi": ("departing:app", "-k", "green_socket.Handled"),
    "asyncio": ("departing:asgi_app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("departing:asgi_app", "-k", "asgi", "--asgi-loop", "uvloop"),
    "uvicorn": ("departing:asgi_app", "-k", "uvicorn.workers.UvicornWorker"),
    "tornado": ("departing:app", "-k", "tornado"),
}
WAYS = ("in_del", "in_weakref", "in_collector", "in_generator", "in_set_name")
LATE = ("--graceful-timeout", "180", "--timeout", "180")  # who waits for either fails the test


@pytest.mark.parametrize("name", CLASSES)
def test_a_worker_that_serves(name: str, serve: StartServer) -> None:
    server = serve(*CLASSES[name], *LATE)
    for way in WAYS:
        for number in (signal.SIGINT, signal.SIGQUIT):
            (worker,) = server.worker_pids()
            wait_for(lambda: fetch(server.address, "/").text == "ok", "the worker to serve")
            with Client(server.address) as client, contextlib.suppress(OSError):
                client.send(request(f"/{way}/{number:d}"))
                what = f"{way}: the end of worker {worker} by {number.name}"
                wait_for(lambda worker=worker: not is_running(worker), what)
    check_log(server.log())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("name", CLASSES)
def test_a_worker_that_loads(name: str, number: int, serve: StartServer, tmp_path: Path) -> None:
    directory = tmp_path / "server1"
    directory.mkdir()
    (directory / "strikes").write_text(" ".join(f"{way}/{number:d}" for way in WAYS))
    server = serve(*CLASSES[name], *LATE)
    wait_for(lambda: (directory / "strikes").read_text() == "", "each way to have been tried")
    server.worker_pids()
    assert fetch(server.address, "/").text == "ok"
    check_log(server.log())


def check_log(log: str) -> None:
    for words in ("Exception ignored", "Traceback", "Error handling request"):
        assert words not in log, log

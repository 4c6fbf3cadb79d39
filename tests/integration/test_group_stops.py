"""A signal for all processes of a server at once: systemd's KillMode=control-group, supervisord's
stopasgroup, Ctrl-C. It is one stop, whoever hears of it first."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from client import Client
from conftest import StartServer
from harness import Server, is_running, process_state, wait_for
from patience import pace, quiet_for

CLASSES = {
    "sync": ("probe:app", []),
    "gthread": ("probe:app", ["--threads", "4"]),
    "gevent": ("probe:app", ["-k", "gevent"]),
    "asgi": ("asgi_hello:app", ["-k", "asgi"]),
    "tornado": ("probe:app", ["-k", "tornado"]),
}
REQUEST = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


def start(serve: StartServer, kind: str, *more: str, workers: int = 2) -> Server:
    app, args = CLASSES[kind]
    server = serve(app, *args, *more, workers=workers)
    for _ in range(20):  # all workers serve, and have their handlers
        ask(server)
    return server


def ask(server: Server) -> None:
    with Client(server.address) as client:
        client.send(REQUEST)
        assert client.response().status == 200


def held(pid: int) -> bool:
    state = process_state(pid)
    return state is not None and state[0] == "T"


@pytest.fixture
def hold() -> Callable[[Server], None]:
    """Stops the master's clock, so that its workers hear first of what comes."""

    def stop(server: Server) -> None:
        server.signal(signal.SIGSTOP)
        wait_for(lambda: held(server.pid), "the master to stand still")

    return stop


@pytest.mark.parametrize("kind", CLASSES)
def test_workers_that_hear_first_leave_nobody_behind(
    serve: StartServer, hold: Callable[[Server], None], kind: str
) -> None:
    server = start(serve, kind)
    hold(server)
    os.killpg(server.pid, signal.SIGTERM)
    quiet_for(0.2, "nobody leaves: they could be gone by now")
    clients = [Client(server.address) for _ in range(8)]
    for client in clients:
        client.send(REQUEST)
    server.signal(signal.SIGCONT)
    for client in clients:
        assert client.response().status == 200
        client.sock.close()
    assert server.wait() == 0
    assert "Traceback" not in server.log()
    assert "exited with" not in server.log()


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("gap_s", [None, 0.0, 0.04, 0.13])
def test_ctrl_c_is_quiet(serve: StartServer, kind: str, gap_s: float | None) -> None:
    server = start(serve, kind)
    workers = server.worker_pids()
    if gap_s is None:
        os.killpg(server.pid, signal.SIGINT)
    else:
        for pid in workers:
            os.kill(pid, signal.SIGINT)
        pace(gap_s, "workers hear a Ctrl-C before their master")
        server.signal(signal.SIGINT)
    assert server.wait() == 0
    for word in ("Traceback", "Exception", "[ERROR]"):
        assert word not in server.log()


@pytest.mark.parametrize("kind", CLASSES)
def test_a_term_for_one_worker_is_for_that_worker(serve: StartServer, kind: str) -> None:
    server = start(serve, kind)
    first, second = server.worker_pids()
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: not is_running(first), "the worker to leave")
    assert is_running(second)
    server.worker_pids(2)
    ask(server)


LATE = """
import os, sys

class Late:
    # What hangs on sys goes last: Python has given signals their defaults by then.
    def __init__(self):
        self.kill, self.pid, self.here = os.kill, os.getpid(), os.getpid

    def __del__(self):
        if self.here() == self.pid:
            self.kill(self.pid, {number})

sys.late = Late()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_second_signal_does_not_change_the_exit_code(
    serve: StartServer, tmp_path: Path, number: int
) -> None:
    """It reaches the master when its interpreter is at its end already."""
    conf = tmp_path / "late_conf.py"
    conf.write_text(LATE.format(number=int(number)))
    server = serve("probe:app", "-c", str(conf))
    ask(server)
    assert server.stop() == 0

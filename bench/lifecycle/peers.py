"""Who plays in the lifecycle comparison: how each server is started, reloaded and told its limits.

A Site is one server with its code in a directory of its own, as the lifecycle tests have it: the
application of tests/lifecycle/apps notes every request that it begins, and a deploy replaces
release.py. Every server listens on 127.0.0.1 itself; no proxy hides anything.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cpu
from servers import BIN, ROOT, SCRATCH, VENV, free_port

APPS = ROOT / "tests" / "lifecycle" / "apps"
START_S_MAX = 30.0
WSGI = "counted:app"
ASGI = "counted_asgi:app"
Argv = Callable[["Order"], list[str]]


@dataclass(frozen=True)
class Order:
    """What one start asks for; each server says it in its own words."""

    port: int
    workers: int
    deadline_s: int = 0  # a request (or the worker) that is stuck for so long is to be ended
    recycle: int = 0  # a worker leaves after so many requests


@dataclass(frozen=True)
class Peer:
    """A server in one configuration. `lacks` says why a feature is not there, by its name."""

    name: str
    package: str
    setup: str
    argv: Argv
    lacks: dict[str, str] = field(default_factory=dict)


def _gunicorn_like(program: str, *fixed: str) -> Argv:
    def argv(order: Order) -> list[str]:
        command = [str(BIN / program), "--bind", f"127.0.0.1:{order.port}"]
        command += ["--workers", str(order.workers), *fixed]
        if order.deadline_s:
            flag = "--request-timeout" if program == "monoceros" else "--timeout"
            command += [flag, str(order.deadline_s)]
        if order.recycle:
            command += ["--max-requests", str(order.recycle)]
        return [*command, WSGI]

    return argv


def _granian(order: Order) -> list[str]:
    listen = ["--host", "127.0.0.1", "--port", str(order.port), "--workers", str(order.workers)]
    options = ["--interface", "wsgi", "--blocking-threads", "4", "--respawn-failed-workers"]
    return [str(BIN / "granian"), *listen, *options, WSGI]


def _uvicorn(order: Order) -> list[str]:
    listen = ["--host", "127.0.0.1", "--port", str(order.port), "--no-access-log"]
    if order.workers > 1:  # with one there is no supervisor
        listen += ["--workers", str(order.workers)]
    if order.recycle:
        listen += ["--limit-max-requests", str(order.recycle)]
    return [str(BIN / "uvicorn"), *listen, "--lifespan", "off", ASGI]


def _uwsgi(order: Order) -> list[str]:
    options = ["--master", "--need-app", "--lazy-apps", "--disable-logging", "--enable-threads"]
    options += ["--virtualenv", str(VENV), "--processes", str(order.workers)]
    # Its own listener ties a process to a connection that is kept; its router does not.
    options += ["--http", f"127.0.0.1:{order.port}", "--http-keepalive=75"]
    # Otherwise TERM means a brutal reload; this is what its documentation has for a graceful end.
    options += ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
    if order.deadline_s:
        options += ["--harakiri", str(order.deadline_s), "--threads", "4"]
    if order.recycle:
        options += ["--max-requests", str(order.recycle)]
    return [str(BIN / "uwsgi"), *options, "--module", WSGI]


def _waitress(order: Order) -> list[str]:
    listen = ["--listen", f"127.0.0.1:{order.port}", "--threads", "4"]
    return [str(BIN / "waitress-serve"), *listen, WSGI]


_NO_DEADLINE = "no limit for a request that runs"
_ONE_PROCESS = "one process without a master"
_THREADS = ("--threads", "4", "--keep-alive", "5")
_NO_STOPWATCH = {"deadline": "its processes have one thread here"}
PEERS = (
    Peer("monoceros sync", "monoceros", "2 workers", _gunicorn_like("monoceros"), _NO_STOPWATCH),
    Peer(
        "monoceros gthread",
        "monoceros",
        "2 workers of 4 threads",
        _gunicorn_like("monoceros", *_THREADS),
    ),
    Peer("gunicorn sync", "gunicorn", "2 workers", _gunicorn_like("gunicorn"), _NO_STOPWATCH),
    Peer(
        "gunicorn gthread",
        "gunicorn",
        "2 workers of 4 threads",
        _gunicorn_like("gunicorn", "--worker-class", "gthread", *_THREADS),
    ),
    Peer(
        "granian",
        "granian",
        "WSGI, 2 workers of 4 blocking threads, failed workers respawned",
        _granian,
        {"deadline": _NO_DEADLINE, "recycle": "workers end by age or memory, not by requests"},
    ),
    Peer("uvicorn", "uvicorn", "ASGI, 2 workers", _uvicorn, {"deadline": _NO_DEADLINE}),
    Peer("uWSGI", "uwsgi", "master, HTTP router with keep-alive, 2 processes, lazy apps", _uwsgi),
    Peer(
        "waitress",
        "waitress",
        "4 threads",
        _waitress,
        {"deadline": _NO_DEADLINE, "recycle": _ONE_PROCESS, "reload": _ONE_PROCESS},
    ),
)


class Site:
    """A running server with its code. A context manager; all its processes end with the block."""

    def __init__(self, peer: Peer, workers: int, deadline_s: int = 0, recycle: int = 0) -> None:
        self.peer = peer
        self.port = free_port()
        self.order = Order(self.port, workers, deadline_s, recycle)
        self.directory = SCRATCH / "lifecycle" / peer.name.replace(" ", "-")
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.deploy("VERSION = 'old'\n")

    def __enter__(self) -> "Site":
        path = os.pathsep.join([str(self.directory), str(APPS)])
        kept = {k: v for k, v in os.environ.items() if not k.endswith("_CMD_ARGS")}
        environment = {
            **kept,
            "PYTHONPATH": path,
            "PROBE_DIR": str(self.directory),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with (self.directory / "server.log").open("wb") as log:
            self.process = subprocess.Popen(
                self.peer.argv(self.order),
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not self.version():
            if self.process.poll() is not None or time.monotonic() > deadline:
                words = (self.directory / "server.log").read_text(errors="replace")[-300:]
                raise RuntimeError(f"{self.peer.name} does not start: {words}")
            time.sleep(0.05)
        # All of its workers, not only the first one.
        while len(self.booted()) < self.order.workers and time.monotonic() < deadline:
            if self.peer.name == "waitress":
                break
            time.sleep(0.05)

    def kill(self) -> None:
        """Ends every process of it at once."""
        pids = cpu.tree(self.process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def ended(self) -> int | None:
        """The exit code of a server that has left; None while it runs."""
        return self.process.poll()

    def signal(self, number: int) -> None:
        """To the master, or to the only process."""
        self.process.send_signal(number)

    def deploy(self, text: str) -> None:
        """Replaces the release, whole."""
        fresh = self.directory / "release.new"
        fresh.write_text(text)
        fresh.rename(self.directory / "release.py")

    def booted(self) -> list[str]:
        """A line for each process that has loaded the application."""
        path = self.directory / "booted"
        return path.read_text().splitlines() if path.exists() else []

    def began(self, name: str, seconds_max: float = 10.0) -> int:
        """The process that began this request, once one has; 0: none did."""
        deadline = time.monotonic() + seconds_max
        path = self.directory / "executed"
        while time.monotonic() < deadline:
            for line in path.read_text().splitlines() if path.exists() else []:
                if line.startswith(name + " "):
                    return int(line.split()[1])
            time.sleep(0.02)
        return 0

    def version(self) -> str:
        """The release that answers a request now; empty when nobody does."""
        with contextlib.suppress(OSError), socket.create_connection(self.address, 3) as sock:
            sock.sendall(b"GET /?id=probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            head = sock.recv(65536).decode("latin-1").lower()
            _, found, rest = head.partition("x-version: ")
            return rest.split("\r\n")[0] if found else ""
        return ""

    def wait_for_version(self, version: str, seconds_max: float) -> None:
        """Returns when this release answers five times in a row, or when the time is over."""
        deadline = time.monotonic() + seconds_max
        row = 0
        while row < 5 and self.ended() is None and time.monotonic() < deadline:
            row = row + 1 if self.version() == version else 0
            time.sleep(0.1)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return ("127.0.0.1", self.port)

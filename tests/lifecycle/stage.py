"""The stage of every lifecycle test: a server, nginx and haproxy in front of it, and load.

The same load goes three ways at once: straight to the server, through nginx, and through haproxy.
Neither proxy tries a request again, so what the server loses shows. A deploy is what an operator
does: the file release.py in the server's directory changes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from accounts import Account, CountedLoad, check_books, check_ledger, executed
from client import fetch
from haproxy import haproxy
from harness import BOOT_S_MAX, Server, children_of, is_running, wait_for
from nginx import Front, nginx

APPS = Path(__file__).resolve().parent / "apps"
SOAK = os.environ.get("MONO_SOAK") == "1"
WORKERS = 3
SETTLE_S_MAX = 40.0
# How each kind of worker is asked for, and what it serves.
KINDS: dict[str, tuple[list[str], str]] = {
    "sync": ([], "counted:app"),
    "gthread": (["--threads", "4"], "counted:app"),
    "gevent": (["--worker-class", "gevent"], "counted:app"),
    "asgi": (["--worker-class", "asgi"], "counted_asgi:app"),
}
# Becomes a server whose listening socket is given as systemd does: descriptor 3.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
os.execv(sys.argv[2], sys.argv[2:])
"""


def kinds(*short: str) -> list[str]:
    """The kinds of worker to run a scenario with: all in `make soak-lifecycle`."""
    return list(KINDS) if SOAK else list(short)


def full(short: int, whole: int) -> int:
    """How often: a few times in `make test`, the issue's number in `make soak-lifecycle`."""
    return whole if SOAK else short


class Stage:
    """One site: its code, its servers, and what clients made of them."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.directory = directory
        self.site = directory / "site"
        self.site.mkdir(parents=True)
        self.notes = directory / "notes"
        self.notes.mkdir()
        self.pidfile = directory / "pid"
        self.arguments, self.app = KINDS[kind]
        self.servers: list[Server] = []
        self.deploy("1")

    # ---- servers

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """No process outlives the block; after a failure it says what the servers said."""
        try:
            for server in self.servers:
                if error is None and server.code() is not None:
                    server.check_ended()
        finally:
            for server in self.servers:
                server.kill()
        if error is not None:
            print(f"--- {' '.join(self.servers[0].command)}\n{self.log()[-6000:]}")

    def server(
        self,
        *args: str,
        listener: socket.socket | None = None,
        port: int = 0,
        pidfile: bool = True,
    ) -> Server:
        """A server of this site, not started yet; with a `listener` it is socket-activated."""
        if pidfile:
            args = (*args, "--pid", str(self.pidfile))
        path = os.pathsep.join([str(self.site), str(APPS)])
        server = Server(
            self.app, *self.arguments, *args,
            directory=self.directory / f"server{len(self.servers)}",
            workers=WORKERS,
            binds=[f"127.0.0.1:{port}"] if port else None,
            cwd=self.site,
            env={
                "PYTHONPATH": path, "PROBE_DIR": str(self.notes), "PYTHONDONTWRITEBYTECODE": "1",
            },
            pass_fds=[listener.fileno()] if listener else [],
        )  # fmt: skip
        server.port = port or server.port
        if listener is not None:
            server.port = listener.getsockname()[1]
            activate = [sys.executable, "-c", ACTIVATE, str(listener.fileno())]
            server.command = activate + server.command
        self.servers.append(server)
        return server

    def log(self) -> str:
        """What all servers of this site have logged."""
        return "".join(server.log() for server in self.servers)

    # ---- deploys

    def deploy(self, version: str) -> None:
        """The next release; it takes effect when workers load it."""
        self.write_release(f"VERSION = {version!r}\n")

    def write_release(self, text: str) -> None:
        """At once: no worker ever sees half a file."""
        fresh = self.site / "release.new"
        fresh.write_text(text)
        fresh.rename(self.site / "release.py")

    def booted(self) -> dict[int, str]:
        """Workers that have loaded the application, with the version that they loaded."""
        path = self.notes / "booted"
        lines = path.read_text().splitlines() if path.exists() else []
        pairs = [line.split() for line in lines]
        return {int(pid): version for pid, version in pairs}

    # ---- looking at masters

    def ready(self, master: int, count: int = WORKERS) -> bool:
        """Whether the master has so many workers, all with the application loaded."""
        loaded = self.booted()
        workers = self.workers_of(master)
        return len(workers) == count and all(pid in loaded for pid in workers)

    def workers_of(self, master: int) -> list[int]:
        """Its children, but for another master that it has started."""
        return [pid for pid in children_of(master) if not self.is_master(pid)]

    def is_master(self, pid: int) -> bool:
        """Whether this process has said where it listens."""
        return f"({pid})\n" in self.log()

    def wait_ready(self, master: int, count: int = WORKERS) -> None:
        """Returns when the master's workers serve."""
        wait_for(lambda: self.ready(master, count), f"{count} workers of {master}", BOOT_S_MAX)

    def wait_served_by(self, port: int, version: str) -> None:
        """Returns when only this version answers, ten times in a row."""
        row = 0

        def settled() -> bool:
            nonlocal row
            response = fetch(("127.0.0.1", port), "/?id=probe&size=100")
            row = row + 1 if response.get("X-Version") == version else 0
            return row >= 10

        wait_for(settled, f"version {version} to serve", SETTLE_S_MAX)

    def master(self) -> int:
        """The present one, as the pidfile says; 0 between an old one's end and a promotion."""
        try:
            return int(self.pidfile.read_text())
        except FileNotFoundError:
            return 0

    def stop_all(self) -> None:
        """Whatever serves now ends, with exit code 0 where this process is the parent."""
        for server in self.servers:
            if server.code() is None:
                server.check_running()
                server.signal(signal.SIGTERM)
            assert server.wait(SETTLE_S_MAX) == 0, server.log()[-4000:]
        if self.pidfile.exists():  # of a master that came by USR2
            self.stop(self.master())

    def stop(self, master: int) -> None:
        """TERM, and its end."""
        os.kill(master, signal.SIGTERM)
        wait_for(lambda: not is_running(master), f"the end of {master}", SETTLE_S_MAX)


def start_successor(stage: Stage, *loads: CountedLoad) -> int:
    """USR2 to the present master; returns the new one, once its workers serve."""
    old = stage.master()
    for load in loads:
        load.mark(f"USR2 to {old}")
    os.kill(old, signal.SIGUSR2)
    beside = stage.pidfile.with_name("pid.2")

    def said() -> int:
        text = beside.read_text().strip() if beside.exists() else ""
        return int(text) if text else 0

    fresh = wait_for(said, "the new master's pidfile", 30)
    wait_for(lambda: stage.is_master(fresh), "where the new master listens", 30)
    stage.wait_ready(fresh)
    return fresh


def close_books(stage: Stage, load: CountedLoad, *more: CountedLoad) -> Account:
    """Ends load and servers, and compares what was asked, answered and executed."""
    account = load.finish()
    for other in more:
        account = account + other.finish()
    stage.stop_all()
    check_books(account, executed(stage.notes))
    check_ledger(stage.log())
    assert "still open after graceful_timeout" not in stage.log(), "a drain that did not end"
    return account


def nothing_failed(stage: Stage, *loads: CountedLoad) -> Account:
    """The promise: not one failed or duplicated request."""
    account = close_books(stage, *loads)
    assert account.failed == 0, account.explain()
    return account


@contextlib.contextmanager
def fronts(port: int, directory: Path) -> Iterator[dict[str, int]]:
    """All ways to a server on this port, by name."""
    with (
        nginx(f"127.0.0.1:{port}", directory / "nginx", Front(keep_alive=True)) as by_nginx,
        haproxy({"a": port}, directory / "haproxy") as by_haproxy,
    ):
        yield {"direct": port, "nginx": by_nginx, "haproxy": by_haproxy.port}


@contextlib.contextmanager
def playing(
    kind: str, directory: Path, *args: str, **lanes: int
) -> Iterator[tuple[Stage, Server, CountedLoad]]:
    """A running site under load from three sides; what is left of it ends with the block."""
    stage = Stage(kind, directory)
    server = stage.server(*args)
    with stage:
        server.start()
        stage.wait_ready(server.pid)
        with (
            fronts(server.port, directory) as targets,
            CountedLoad(targets, directory / "load", **lanes) as load,
        ):
            yield stage, server, load


@contextlib.contextmanager
def standing_socket() -> Iterator[socket.socket]:
    """A listening socket that outlives servers, as systemd's socket unit has it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        yield listener

"""Who is measured: how each server is started, in which configuration, and how it is ended.

Every server runs one worker (unless asked for more), pinned with all its processes to one core.
A server lives for one round only, so that no idle neighbour shares its core, its memory pages
or its luck with addresses.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cpu

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
# Which set of cases and servers: "speed" (`make bench`), "workers" (`make bench-workers`) or
# "lifecycle" (`make bench-lifecycle`), or "builds", two of ours (`make bench-builds`). Each has an
# environment of its own, for some servers change with what else is installed (uvloop).
SUITES = ("speed", "workers", "lifecycle", "builds")
SUITE = os.environ.get("BENCH_SUITE") or "speed"
if SUITE not in SUITES:
    raise SystemExit(f"bench: unknown BENCH_SUITE {SUITE}; known: {', '.join(SUITES)}")
VENV = BUILD / ("bench-venv" if SUITE == "speed" else f"bench-{SUITE}-venv")
BIN = VENV / "bin"
BARE = BUILD / "bench-bare"
WS_LOAD = BUILD / "bench-ws-load"
HTTP_LOAD = BUILD / "bench-http-load"
SCRATCH = BUILD / "bench-scratch"
APPS = ROOT / "bench" / "apps"
SERVER_CORE = 0
LOAD_CORE = 1


@dataclass(frozen=True)
class Launch:
    """What one start needs to know."""

    app: str
    port: int
    workers: int = 1
    closes: bool = False
    bare: tuple[str, ...] = ()
    body: bytes = b""
    under: tuple[str, ...] = ()  # a program that is to run ours, with its options (builds.py)

    @property
    def address(self) -> str:
        """host:port as most command lines want it."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True)
class Server:
    """A server in one configuration. `package` is what must be installed, None for the loop."""

    name: str
    package: str | None
    argv: Callable[[Launch], list[str]]
    setup: str
    extra: bool = False  # only in cases that name it
    needs: tuple[str, ...] = ()  # further packages that this configuration takes


def _bare(launch: Launch) -> list[str]:
    body = SCRATCH / "body"
    body.write_bytes(launch.body)
    return [str(BARE), str(launch.port), str(body), *launch.bare]


def _embedded(module: str) -> Callable[[Launch], list[str]]:
    script = str(ROOT / "bench" / "run_embedded.py")
    return lambda launch: [str(BIN / "python"), script, module, launch.app, str(launch.port)]


def granian(threads: int) -> Callable[[Launch], list[str]]:
    """granian as a WSGI server with so many blocking threads."""

    def argv(launch: Launch) -> list[str]:
        options = ["--interface", "wsgi", "--http", "1", "--no-ws", "--no-log"]
        sizes = ["--workers", str(launch.workers), "--blocking-threads", str(threads)]
        listen = ["--host", "127.0.0.1", "--port", str(launch.port)]
        return [str(BIN / "granian"), *options, *sizes, *listen, launch.app]

    return argv


def _uwsgi(launch: Launch) -> list[str]:
    listen = ["--http11-socket", launch.address]
    if launch.closes:  # it never answers "Connection: close" by itself
        listen = ["--http-socket", launch.address, "--add-header", "Connection: close"]
    if launch.app.startswith("stream"):  # nor frames an answer without a length
        listen += ["--route-run", "chunked:"]
    options = ["--master", "--need-app", "--disable-logging", "--die-on-term", "--tcp-nodelay"]
    sizes = ["--processes", str(launch.workers), "--virtualenv", str(VENV)]
    return [str(BIN / "uwsgi"), *options, *sizes, *listen, "--module", launch.app]


def gunicorn(*options: str) -> Callable[[Launch], list[str]]:
    """gunicorn with one worker class's options."""

    def argv(launch: Launch) -> list[str]:
        common = ["--workers", str(launch.workers), "--bind", launch.address]
        return [str(BIN / "gunicorn"), *common, "--log-level", "warning", *options, launch.app]

    return argv


def _waitress(launch: Launch) -> list[str]:
    return [str(BIN / "waitress-serve"), "--listen", launch.address, "--threads", "4", launch.app]


def monoceros(*options: str) -> Callable[[Launch], list[str]]:
    """monoceros with one worker class's options."""

    def argv(launch: Launch) -> list[str]:
        common = ["--workers", str(launch.workers), "--bind", launch.address]
        common += ["--keep-alive", "5", "--log-level", "warning"]
        return [str(BIN / "monoceros"), *common, *options, launch.app]

    return argv


SERVERS = (
    Server("bare", None, _bare, "epoll loop in C++, fixed answer: the limit"),
    Server("bjoern", "bjoern", _embedded("bjoern"), "as it comes"),
    Server("fastwsgi", "fastwsgi", _embedded("fastwsgi"), "as it comes"),
    Server("fastpysgi", "fastpysgi", _embedded("fastpysgi"), "as it comes"),
    Server("freastal", "freastal", _embedded("freastal"), "as it comes; no Date, no Server"),
    Server("granian-1", "granian", granian(1), "wsgi, 1 blocking thread"),
    Server("granian-4", "granian", granian(4), "wsgi, 4 blocking threads"),
    Server("uwsgi", "uwsgi", _uwsgi, "master, http11-socket, no request log"),
    Server("gunicorn-sync", "gunicorn", gunicorn(), "sync"),
    Server(
        "gunicorn-gthread",
        "gunicorn",
        gunicorn("--worker-class", "gthread", "--threads", "4", "--keep-alive", "5"),
        "gthread, 4 threads",
    ),
    Server("waitress", "waitress", _waitress, "4 threads"),
    Server("monoceros", "monoceros", monoceros(), "sync, access log off"),
    Server(
        "monoceros-log",
        "monoceros",
        monoceros("--access-logfile", str(SCRATCH / "access.log")),
        "sync, access log to a file",
        extra=True,
    ),
)


def pick_servers(filters: list[str], servers: tuple[Server, ...] = SERVERS) -> list[Server]:
    """The servers named in `filters`; "granian" stands for granian-1 and granian-4."""

    def wanted(server: Server, word: str) -> bool:
        return server.name == word or server.name.startswith(word + "-")

    for word in filters:
        if not any(wanted(server, word) for server in servers):
            known = ", ".join(server.name for server in servers)
            raise SystemExit(f"bench: unknown server {word}; known: {known}")
    return [s for s in servers if not filters or any(wanted(s, word) for word in filters)]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    """A started server: a process group of its own, killed whole when the context ends."""

    def __init__(self, server: Server, launch: Launch, core: int | None = SERVER_CORE) -> None:
        SCRATCH.mkdir(parents=True, exist_ok=True)
        self.log_path = SCRATCH / f"{server.name}.log"
        pin = [] if core is None else ["taskset", "-c", str(core)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GUNICORN")}
        environment.pop("WEB_CONCURRENCY", None)
        environment["PYTHONPATH"] = str(APPS)
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*pin, *server.argv(launch)],
                cwd=SCRATCH,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> "Running":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pids(self) -> list[int]:
        """The server's process and all its living descendants."""
        return cpu.tree(self.process.pid)

    def ended(self) -> bool:
        """True when the first process is gone already."""
        return self.process.poll() is not None

    def last_words(self) -> str:
        """The last line that the server wrote, for a report."""
        text = self.log_path.read_text(errors="replace").strip()
        return text.splitlines()[-1][:200] if text else "no output"

    def kill(self) -> None:
        """End the server at once; what it started in sessions of its own too."""
        pids = self.pids
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        for pid in pids[1:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(timeout=10)

"""Starts the real server and looks at it from outside: processes, logs, exit code.

Shared by tests/integration, tests/compat and tests/lifecycle, which find this folder by pytest's
`pythonpath`.

MONO_SERVER names the module that is run with `python -m` (default monoceros). With gunicorn the
same tests show what is common ground; keep-alive then needs its threaded worker. MONO_ARGS adds
options to every command line, such as another worker class. MONO_PYTHON is the interpreter.

Every test that has passed pays at its end for what must hold of any server (invariants.py). What a
test provokes on purpose it announces: serve(..., expects=["KeyError: 1"]) or, at any
time, server.announce("ZeroDivisionError"): log entries with these words may hold a traceback, or be
critical. What says that it was raised "on purpose" needs no announcement. announce(busy=True): its
application uses the CPU unasked; announce(descriptors=2): it opens as many and keeps them;
announce(orphans=True): what it has forked outlives the server.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import invariants
from invariants import Announced

T = TypeVar("T")

SERVER = os.environ.get("MONO_SERVER", "monoceros")
MORE_ARGS = shlex.split(os.environ.get("MONO_ARGS", ""))
IS_GUNICORN = SERVER == "gunicorn"
PYTHON = os.environ.get("MONO_PYTHON", sys.executable)
HERE = Path(__file__).resolve().parent
APPS = HERE.parent / "integration" / "apps"
BOOT_S_MAX = 30.0
STOP_S_MAX = 15.0
POLL_S = 0.02
FILES_MAX = 12_000
STUCK = ("WORKER TIMEOUT", "in handle_abort")  # expects=STUCK: a worker is found stuck
READY_S_MAX = 2.0  # for the descriptors at the start to be counted


def wait_for(condition: Callable[[], T], what: str, timeout_s: float = 10.0) -> T:
    """Polls until `condition()` is true and returns its value; fails naming `what`."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_S)


def can_import(module: str) -> bool:
    """Whether the server's interpreter has it."""
    command = [PYTHON, "-c", f"import {module}"]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on just now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def raise_file_limit() -> None:
    """Lets this process and its children open as many files as the crowd tests need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES_MAX:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES_MAX, hard), hard))


def process_state(pid: int) -> tuple[str, int] | None:
    """(state letter, parent's pid) from /proc, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[1])


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    state = process_state(pid)
    return state is not None and state[0] not in "ZX"


def children_of(pid: int) -> list[int]:
    """Living direct children, oldest pid first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state = process_state(int(entry.name))
            if state is not None and state[1] == pid and state[0] not in "ZX":
                found.append(int(entry.name))
    return sorted(found)


def rss_mib(pid: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"process {pid} has no VmRSS")


def whole_lines(path: Path) -> str:
    """A log so far, without the line that is being written at this moment."""
    text = path.read_text(errors="replace")
    return text[: text.rfind("\n") + 1]


def is_established(local_port: int, remote_port: int) -> bool:
    """Whether the IPv4 connection with these ends is open on the local end's side."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        ports = (int(local.partition(":")[2], 16), int(remote.partition(":")[2], 16))
        if ports == (local_port, remote_port):
            return state == "01"
    return False


class Server:
    """One master with its workers. A context manager: leaving it stops the server with TERM and
    demands exit code 0, unless the test stopped it itself, and checks the invariants; no process
    of it outlives the test."""

    def __init__(
        self,
        app: str,
        *args: str,
        directory: Path,
        workers: int = 1,
        binds: Sequence[str] | None = None,
        sync: bool = False,
        cwd: Path = APPS,
        env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        expects: Sequence[str] = (),
    ) -> None:
        """`directory` receives the logs; `sync` insists on one application slot a worker;
        `expects`: see announce()."""
        self.announced = Announced(words=list(expects))
        self._at_start: dict[str, int] = {}  # descriptors of the master, and of a worker
        self.directory = directory
        self.workers = workers
        self.port = 0
        if binds is None:
            self.port = free_port()
            binds = [f"127.0.0.1:{self.port}"]
        self.binds = list(binds)
        self.error_log = directory / "stderr.log"
        self.access_log = directory / "stdout.log"
        self.command = [PYTHON, "-m", SERVER, "--workers", str(workers)]
        for bind in self.binds:
            self.command += ["--bind", bind]
        if IS_GUNICORN:
            self.command.append("--no-control-socket")
            if not sync and "--worker-class" not in args:
                self.command += ["--worker-class", "gthread", "--threads", "4"]
        self.command += [*args, *MORE_ARGS, app]
        self.cwd = cwd
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", "PROBE_DIR": str(directory)}
        self.env.update(env or {})
        self.pass_fds = tuple(pass_fds)
        self.process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()

    # Life

    def launch(self) -> Server:
        """Starts the master without waiting for anything."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.error_log.open("ab") as err, self.access_log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=self.pass_fds,
                start_new_session=True,
            )
        return self

    def start(self) -> Server:
        """Starts the master and returns when every worker has booted."""
        self.launch()
        try:
            wait_for(self._booted, "the workers to boot", BOOT_S_MAX)
            pids = self.worker_pids()
            self._count_descriptors(pids)
        except BaseException:
            self.kill()
            raise
        return self

    def _count_descriptors(self, workers: list[int]) -> None:
        """As soon as they serve; not at all where that takes long."""
        if IS_GUNICORN:
            return
        with contextlib.suppress(AssertionError):
            for pid in workers:
                wait_for(lambda pid=pid: invariants.watches_listener(pid), "", READY_S_MAX)
            self._at_start["worker"] = max(len(invariants.descriptors(pid)) for pid in workers)
            boxes = len(workers)  # one a worker
            self._at_start["master"] = len(invariants.descriptors(self.pid)) - boxes

    # Invariants

    def announce(
        self, *words: str, busy: bool = False, descriptors: int = 0, orphans: bool = False
    ) -> None:
        """What this test provokes: log entries with one of the words, and as named in the head of
        this module."""
        self.announced.words += words
        self.announced.busy |= busy
        self.announced.descriptors += descriptors
        self.announced.orphans |= orphans

    def check_running(self) -> None:
        """What holds of a server that runs, once nobody asks it for anything."""
        if IS_GUNICORN:
            return
        if not self.announced.busy:
            invariants.check_rest(self.pid)
        if self._at_start:
            more = self.announced.descriptors
            workers = children_of(self.pid)
            invariants.check_descriptors(workers, self._at_start["worker"], more)
            boxes = len(workers)
            invariants.check_descriptors([self.pid], self._at_start["master"] + boxes, more)

    def check_ended(self) -> None:
        """What holds of a server that has ended."""
        if IS_GUNICORN:
            return
        if not self.announced.orphans:
            invariants.check_no_orphans(self.pid)
        invariants.check_ledger(self.log())
        invariants.check_log(self.log(), self.announced.words)

    def _booted(self) -> bool:
        text = self.log()
        code = self.code()
        if code is not None:
            raise AssertionError(f"the server left with code {code}:\n{text}")
        booting = text.count("Booting worker with pid")
        return "Listening at" in text and booting >= self.workers

    def stop(self, signum: int = signal.SIGTERM, timeout_s: float = STOP_S_MAX) -> int:
        """Sends the signal and returns the exit code."""
        self.signal(signum)
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = STOP_S_MAX) -> int:
        """The exit code of a server that ends by itself."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s} s:\n{self.log()}") from None

    def code(self) -> int | None:
        """The exit code, None while it runs."""
        assert self.process is not None
        return self.process.poll()

    def kill(self) -> None:
        """Ends whatever is left of this server: only processes of its own session."""
        if self.process is None:
            return
        session = self.process.pid
        with contextlib.suppress(ProcessLookupError):
            os.killpg(session, signal.SIGKILL)  # also the orphans of a killed master
        self.process.wait(STOP_S_MAX)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.code() is None:
                if error is None:
                    self.check_running()
                code = self.stop()
                assert code == 0 or error is not None, f"exit code {code}:\n{self.log()}"
            if error is None:
                self.check_ended()
        finally:
            self.kill()
            if error is not None:
                print(f"--- {' '.join(self.command)}\n{self.log()[-8000:]}")

    # Looking at it

    @property
    def pid(self) -> int:
        """The master."""
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        """Of the first TCP listener, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """Of the first TCP listener."""
        return ("127.0.0.1", self.port)

    def worker_pids(self, count: int | None = None, timeout_s: float = 10.0) -> list[int]:
        """The workers, once there are as many as asked for (default: as many as configured)."""
        wanted = self.workers if count is None else count

        def settled() -> list[int]:
            pids = children_of(self.pid)
            return pids if len(pids) == wanted else []

        return wait_for(settled, f"{wanted} workers, not {children_of(self.pid)}", timeout_s)

    def signal(self, signum: int) -> None:
        """To the master."""
        assert self.process is not None
        self.process.send_signal(signum)

    def log(self) -> str:
        """The error log so far."""
        return whole_lines(self.error_log) if self.error_log.exists() else ""

    def output(self) -> str:
        """Standard output so far."""
        return self.access_log.read_text(errors="replace")

    def access_lines(self) -> list[str]:
        """The access log so far (needs --access-logfile -)."""
        return whole_lines(self.access_log).splitlines()

    def wait_log(self, text: str, count: int = 1, timeout_s: float = 10.0) -> str:
        """The error log, once `text` is in it `count` times."""
        try:
            wait_for(lambda: self.log().count(text) >= count, text, timeout_s)
        except AssertionError as late:
            raise AssertionError(f"{late}\nin:\n{self.log()}") from None
        return self.log()


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator[int]:
    """A foreground program (nginx) as a child, with its output in `log`; yields its pid."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:

        def alive_and_ready() -> bool:
            assert process.poll() is None, f"{command[0]} left:\n{log.read_text()}"
            return ready()

        wait_for(alive_and_ready, f"{command[0]} to be ready")
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

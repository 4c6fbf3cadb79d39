"""One server of a pair: started in a directory of its own, and looked at from outside.

A scenario looks at a Side and returns something that can be compared. What must differ between
two runs (pids, ports, dates, directories) or between the two servers (name, version) becomes a
placeholder in clean(); every other difference is one.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import invariants
from client import Client, request
from harness import Server, children_of, free_port, is_running, wait_for

HERE = Path(__file__).resolve().parent

APPS = HERE / "apps"
SERVERS = ("gunicorn", "monoceros")
# What would change settings behind a scenario's back.
MEANINGFUL = (
    "PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE", "PWD", "SCRIPT_NAME",
    "NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS",
)  # fmt: skip
LOG_LINE = re.compile(r"\[[^]]+\] \[(\d+)\] \[([A-Z]+)\] (.*)", re.DOTALL)
NOT_OURS = re.compile(
    "Control socket |Hang up: |graceful stop of workers|Parent changed|"
    r"Worker \(pid:\d+\) was sent SIGTERM!"  # it sends more than one, some too late for the handler
)
ONLY_OURS = re.compile(  # the ledger, how far a reload is, which version a new master is
    r"^.*(Requests: accepted \d+ = |Reload: |Starting a new master: |After process |This one is ).*"
    r"\n?",
    re.MULTILINE,
)
PLACES = [
    (re.compile(r"X-Request-ID: [0-9a-f]{28}\r\n"), ""),
    (re.compile(r"<p>Request id: [0-9a-f]{28}</p>\n"), ""),
    (re.compile(r" \(request id [0-9a-f]{28}\)|, request id [0-9a-f]{28}(?=\])"), ""),
    (re.compile(r"\b(gunicorn|monoceros)\b", re.IGNORECASE), "<server>"),
    (re.compile(r"\b(27\.0\.1|0\.1\.0)\b"), "<version>"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"), "<date>"),
    (re.compile(r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"), "[<date>]"),
    (re.compile(r"(pid: ?|\(pid:? ?)\d+"), r"\1<pid>"),
    (re.compile(r"(Listening at: .*\()\d+\)"), r"\1<pid>)"),
]
ABORT_BIT = 1 << (signal.SIGABRT - 1)
_ports_lock = threading.Lock()
_ports_given: set[int] = set()


def fresh_port() -> int:
    """A free port that no other scenario of this run was given."""
    with _ports_lock:
        while (port := free_port()) in _ports_given:
            pass
        _ports_given.add(port)
        return port


def environment(name: str, more: Mapping[str, str]) -> dict[str, str]:
    """Ours without what changes settings. Both find the scenarios' modules on PYTHONPATH."""
    kept = {
        key: value for key, value in os.environ.items()
        if key not in MEANINGFUL and not key.endswith("_CMD_ARGS")
    }  # fmt: skip
    ours = [kept["PYTHONPATH"]] if name == "monoceros" and kept.get("PYTHONPATH") else []
    kept["PYTHONPATH"] = os.pathsep.join([str(APPS), *ours])
    kept["PYTHONUNBUFFERED"] = "1"
    kept["PYTHONDONTWRITEBYTECODE"] = "1"
    return {**kept, **more}


class SideServer(Server):
    """The harness's server, but of either package and with nothing added to its command line."""

    def __init__(
        self, name: str, python: str, args: Sequence[str], *, cwd: Path, env: dict[str, str],
        pass_fds: Sequence[int], prefix: Sequence[str], command: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__("", directory=cwd, binds=[], cwd=cwd, pass_fds=pass_fds)
        self.command = [*prefix, python, *(command or ["-m", name]), *args]
        self.env = env


class Side:
    """gunicorn or monoceros in one group of scenarios. Used by one thread."""

    def __init__(self, name: str, python: str, directory: Path) -> None:
        self.name = name
        self.python = python
        self.dir = directory
        self.port = fresh_port()
        self.other_port = fresh_port()
        self.server: SideServer | None = None
        self.notes: dict[str, Any] = {}  # what one step leaves for a later one
        self._marks: dict[str, int] = {}
        self._stack = contextlib.ExitStack()
        directory.mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"<Side {self.name}>"

    # ---- commands and files

    def fill(self, text: str) -> str:
        """{dir}, {port}, {port2} and {name} are this side's."""
        for key, value in {
            "{dir}": self.dir, "{port}": self.port, "{port2}": self.other_port, "{name}": self.name,
        }.items():  # fmt: skip
            text = text.replace(key, str(value))
        return text

    def write(self, name: str, text: str) -> None:
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.fill(text))

    def read(self, name: str) -> str:
        path = self.dir / name
        return ONLY_OURS.sub("", path.read_text(errors="replace")) if path.exists() else ""

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        filled = {key: self.fill(value) for key, value in (more or {}).items()}
        # gunicorn keeps its control socket in the home directory, one for all its servers.
        home = {"HOME": str(self.dir), "XDG_RUNTIME_DIR": str(self.dir)}
        return environment(self.name, {"COMPAT_DIR": str(self.dir), **home, **filled})

    def command(
        self, args: str | Sequence[str], env: Mapping[str, str] | None = None, timeout_s: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Runs the server's command to its end."""
        words = args.split() if isinstance(args, str) else list(args)
        return subprocess.run(
            [self.python, "-m", self.name, *(self.fill(word) for word in words)],
            cwd=self.dir, env=self.env(env), capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def script(self, text: str, *args: str, timeout_s: float = 30) -> str:
        """Runs Python code that finds the package's name in sys.argv[1]; what it printed."""
        done = subprocess.run(
            [self.python, "-W", "ignore", "-c", text, self.name, *args],
            cwd=self.dir, env=self.env(), capture_output=True, text=True, timeout=timeout_s,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    # ---- life

    def launch(
        self, args: str | Sequence[str], env: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (), prefix: Sequence[str] = (), command: Sequence[str] = (),
    ) -> SideServer:  # fmt: skip
        """Starts the master and waits for nothing. `command`: instead of -m and the name."""
        words = args.split() if isinstance(args, str) else list(args)
        filled = [self.fill(word) for word in words]
        self.server = SideServer(
            self.name, self.python, filled, cwd=self.dir, env=self.env(env), pass_fds=pass_fds,
            prefix=prefix, command=command,
        )  # fmt: skip
        self.server.launch()
        self._stack.callback(self.server.kill)
        return self.server

    def start(
        self, args: str | Sequence[str], env: Mapping[str, str] | None = None, workers: int = 1,
        **more: Any,
    ) -> SideServer:  # fmt: skip
        """Starts the server and returns when its workers have their signal handlers."""
        server = self.launch(args, env, **more)
        wait_for(lambda: self._up(workers), f"{self.name} to start", 20.0)
        return server

    def _up(self, workers: int) -> bool:
        assert self.server is not None
        if self.server.code() is not None:
            raise AssertionError(f"left with {self.server.code()}:\n{self.log()}")
        return len(self.ready_workers()) >= workers

    def ready_workers(self) -> list[int]:
        """Workers that catch SIGABRT, which a master does not: their handlers are in place."""
        return [pid for pid in self.workers() if _catches_abort(pid)]

    def workers(self) -> list[int]:
        return children_of(self.pid)

    @property
    def pid(self) -> int:
        if "pid" in self.notes:
            return int(self.notes["pid"])  # of a daemon
        assert self.server is not None
        return self.server.pid

    def settle(self, count: int, timeout_s: float = 10.0) -> int:
        """Waits for that many ready workers, no more; their number."""
        try:
            wait_for(
                lambda: len(self.workers()) == count and len(self.ready_workers()) == count,
                f"{count} workers on {self.name}",
                timeout_s,
            )
        except AssertionError as late:
            raise AssertionError(f"{late}; there are {self.workers()}") from None
        return count

    def replaced(self, old: list[int], timeout_s: float = 10.0) -> bool:
        """Waits until none of `old` is left and as many new ones are ready."""
        wait_for(
            lambda: len(self.ready_workers()) == len(old) and not set(old) & set(self.workers()),
            f"new workers on {self.name}: {self.log()[-2000:]}",
            timeout_s,
        )
        return True

    def kill(self, signum: int) -> None:
        os.kill(self.pid, signum)

    def stop(self, signum: int = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Sends the signal to the master; its exit code."""
        assert self.server is not None
        return self.server.stop(signum, timeout_s)

    def finish(
        self, args: str, env: Mapping[str, str] | None = None, timeout_s: float = 8
    ) -> dict[str, Any]:
        """A server that is expected to leave by itself: its exit code and its log."""
        server = self.launch(args, env)
        try:
            return {"code": server.wait(timeout_s), "log": self.lines()}
        except AssertionError:
            server.kill()
            self.trace()
            self.records()
            return {"code": "runs on", "log": []}

    def check_invariants(self) -> None:
        """What holds of any server of ours (invariants.py), once the scenarios are done with it."""
        if self.server is None or self.name == "gunicorn":
            return
        if self.server.code() is None:
            invariants.check_rest(self.server.pid)
            self.server.stop()
        invariants.check_no_orphans(self.server.pid)
        invariants.check_sums((self.dir / "stderr.log").read_text(errors="replace"))

    def close(self) -> None:
        self._stack.close()

    def keep(self, context: Any) -> Any:
        """Enters a context manager that ends with this side."""
        return self._stack.enter_context(context)

    # ---- looking at it

    def clean(self, text: str) -> str:
        """`text` with placeholders for what may differ."""
        text = text.replace(str(self.dir), "<dir>").replace(str(APPS), "<apps>")
        text = text.replace(f":{self.port}", ":<port>").replace(f":{self.other_port}", ":<port2>")
        for pattern, place in PLACES:
            text = pattern.sub(place, text)
        return text

    def log(self) -> str:
        """Everything on standard error so far, and in error.log."""
        return self.read("stderr.log") + self.read("error.log")

    def _since_mark(self, name: str) -> str:
        """What was added to a file since the last call."""
        text = self.read(name)
        start = self._marks.get(name, 0)
        self._marks[name] = len(text)
        return text[start:]

    def records(self, name: str = "stderr.log") -> list[tuple[int, str, str]]:
        """(pid, level, cleaned text) of the log lines since the last call; other lines: level "".

        Lines of gunicorn's own (see NOT_OURS) are left out, unless notes["all-lines"] is set.
        """
        found: list[tuple[int, str, str]] = []
        for line in self._since_mark(name).splitlines():
            match = LOG_LINE.fullmatch(line)
            if match and NOT_OURS.match(match[3]) and "all-lines" not in self.notes:
                continue
            if match:
                found.append((int(match[1]), match[2], self.clean(match[3])))
            elif line:
                found.append((0, "", self.clean(line)))
        return found

    def lines(self, name: str = "stderr.log") -> list[str]:
        """ "LEVEL text" of each record since the last call, without what is no record."""
        return [f"{level} {text}" for _, level, text in self.records(name) if level]

    def lines_by_process(self, name: str = "stderr.log") -> list[list[str]]:
        """The same, a list a process, since only the order within a process is certain."""
        return self._by_process(
            [(pid, f"{level} {text}") for pid, level, text in self.records(name) if level]
        )

    def trace(self) -> list[list[str]]:
        """What the hooks of apps/traced.py noted since the last call, a list a process."""
        pairs = [line.split(" ", 1) for line in self._since_mark("trace.txt").splitlines()]
        return self._by_process([(int(pid), self.clean(text)) for pid, text in pairs])

    def _by_process(self, pairs: list[tuple[int, str]]) -> list[list[str]]:
        """The master's list first, the others' sorted."""
        lists: dict[int, list[str]] = {}
        for pid, text in pairs:
            lists.setdefault(pid, []).append(text)
        master = lists.pop(self.pid, [])
        return [master, *sorted(lists.values())]

    # ---- requests

    def ask(self, raw: bytes, address: Any = None, timeout_s: float = 10.0) -> str:
        """Everything that the server answers to these bytes until it closes, cleaned."""
        with Client(address or ("127.0.0.1", self.port), timeout_s) as client:
            client.send(raw)
            return self.clean(client.rest().decode("latin-1"))

    def get(self, target: str, address: Any = None, **headers: str) -> str:
        """The body of an answer, cleaned."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        with Client(address or ("127.0.0.1", self.port), 10.0) as client:
            answer = client.ask(target, "GET", {"Connection": "close", **fields})
            return self.clean(answer.body.decode("latin-1"))

    def status(self, target: str = "/", address: Any = None) -> int:
        with Client(address or ("127.0.0.1", self.port), 10.0) as client:
            client.send(request(target, "GET", {"Connection": "close"}))
            return client.response().status


def _catches_abort(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    match = re.search(r"^SigCgt:\s*([0-9a-f]+)", text, re.MULTILINE)
    return match is not None and bool(int(match[1], 16) & ABORT_BIT)


def gone(pids: list[int], timeout_s: float = 10.0) -> bool:
    """Waits until none of the processes runs."""
    return wait_for(lambda: not any(map(is_running, pids)), f"{pids} to end", timeout_s)


@contextlib.contextmanager
def killing(pid: Callable[[], int]) -> Iterator[None]:
    """Ends a process that left its session, such as a daemon."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
            os.kill(pid(), signal.SIGKILL)

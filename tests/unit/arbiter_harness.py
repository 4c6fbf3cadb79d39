"""A real monoceros master with a small worker in Python, for the tests of the process model."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

WORKER = '''
import os, pathlib, select
from monoceros.workers.base import Worker

class Small(Worker):
    """Accepts, answers with what the application returns, closes. Serves one at a time."""

    def run(self):
        pathlib.Path(os.environ["READY_PATH"], str(os.getpid())).touch()
        poll = select.poll()
        for listener in self.sockets:
            poll.register(listener.fileno(), select.POLLIN)
        poll.register(self.PIPE[0], select.POLLIN)
        socks = {listener.fileno(): listener.sock for listener in self.sockets}
        while self.alive:
            self.notify()
            if os.getppid() != self.ppid:
                return
            for fd, _ in poll.poll(500):
                if fd == self.PIPE[0]:
                    os.read(fd, 100)
                else:
                    self.serve(socks[fd])

    def serve(self, listener):
        try:
            client, _ = listener.accept()
        except OSError:
            return
        client.setblocking(True)
        path = client.recv(65536).split(b" ")[1].decode()
        body = b"".join(self.wsgi({"PATH_INFO": path}, lambda status, headers: None))
        client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n" + body)
        client.close()
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
'''

APP = """
import os, pathlib, time

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hang" or path.startswith("/sleep/"):
        pathlib.Path(os.environ["READY_PATH"]).with_name("entered").touch()
    if path == "/hang":
        time.sleep(1000)
    if path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
    if path == "/crash":
        os.kill(os.getpid(), 11)
    if path.startswith("/env/"):
        return [os.environ.get(path[5:], "-").encode()]
    if path == "/ids":
        return [f"{os.getuid()} {os.getgid()} {os.getgroups()}".encode()]
    return [b"%d" % os.getpid()]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: Callable[[], object], seconds: float = 10.0) -> object:
    """What the function returns once it is true; AssertionError after the time."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(child) for child in text.split()]


class Server:
    """One master in a directory of its own. Its log is one file, whatever its processes."""

    def wait_entered(self) -> None:
        """Until the application has got a request for /sleep or /hang."""
        until((self.folder / "entered").exists)

    def __init__(
        self,
        folder: Path,
        *args: str,
        config: str = "",
        env: dict[str, str] | None = None,
        bind: str | None = None,
        app: str = "app:app",
        prefix: list[str] | None = None,
        program: list[str] | None = None,
        cwd: Path | None = None,
        kind: str | None = "small.Small",
    ) -> None:
        """program: in the place of python -m monoceros; cwd: in that of the folder; kind: None
        leaves the worker class to the server."""
        self.folder = folder
        self.port = free_port()
        self.address: str | tuple[str, int] = ("127.0.0.1", self.port)
        self.ready_path = folder / "ready"
        (folder / "small.py").write_text(WORKER)
        self.ready_path.mkdir(exist_ok=True)
        self.ready_path.chmod(0o777)  # for workers of another user
        if not (folder / "app.py").exists():
            (folder / "app.py").write_text(APP)
        self.configure(config)
        self.log_path = folder / "log"
        program = program or [sys.executable, "-m", "monoceros"]
        command = [*(prefix or []), *program, *(["-k", kind] if kind else [])]
        if bind != "":  # "": the configuration file says
            command += ["-b", bind or f"127.0.0.1:{self.port}"]
        command += [*args, app]
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
        environ["READY_PATH"] = str(self.ready_path)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=cwd or folder,
                stderr=log,
                stdout=log,
                env=environ,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def configure(self, text: str) -> None:
        (self.folder / "gunicorn.conf.py").write_text(textwrap.dedent(text))

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing that a test started outlives it."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)

    # ---- looking

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def says(self, pattern: str, times: int = 1, seconds: float = 10.0) -> list[str]:
        """Waits until the log has so many matches."""
        try:
            until(lambda: len(re.findall(pattern, self.log())) >= times, seconds)
        except AssertionError:
            raise AssertionError(f"no {times} x {pattern!r} in:\n{self.log()}") from None
        return re.findall(pattern, self.log())

    def workers(self) -> list[int]:
        return children(self.pid)

    def wait_workers(self, number: int, seconds: float = 10.0) -> list[int]:
        try:
            until(lambda: len(self.workers()) == number, seconds)
        except AssertionError:
            raise AssertionError(f"{self.workers()} are not {number}; {self.log()}") from None
        return self.workers()

    def ready(self, number: int = 1) -> list[int]:
        """Waits for the workers to exist and for all of them to serve."""
        workers = self.wait_workers(number)
        try:
            until(lambda: all((self.ready_path / str(pid)).exists() for pid in workers))
            until(self.answers)
        except AssertionError:
            raise AssertionError(f"not ready, or no answer; {self.log()}") from None
        return workers

    # ---- talking

    def connect(self) -> socket.socket:
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        if not isinstance(self.address, str) and ":" in self.address[0]:
            family = socket.AF_INET6
        client = socket.socket(family)
        client.settimeout(10)
        client.connect(self.address)
        return client

    def get(self, path: str = "/") -> str:
        with self.connect() as client:
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while data := client.recv(65536):
                answer += data
        assert answer.startswith(b"HTTP/1."), answer
        return answer.partition(b"\r\n\r\n")[2].decode()

    def answers(self) -> bool:
        try:
            return bool(self.get())
        except (OSError, AssertionError):
            return False

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 10.0) -> int:
        self.send(number)
        return self.process.wait(seconds)

    def exit_code(self, seconds: float = 10.0) -> int:
        return self.process.wait(seconds)

"""A log that nobody reads, or that has no room, stalls no worker: pipes, sockets, full disks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import APPS, IS_GUNICORN, children_of, free_port, is_running, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn's workers wait for their logs")

ANSWER_S_MAX = 3.0
REQUESTS = 400  # of about 1.5 KiB of traceback each: several times the pipe


class Logged:
    """A server whose standard error and output are what the test gives; ends with the test."""

    def __init__(
        self,
        *args: str,
        stderr: int,
        stdout: int | None = None,
        prefix: tuple[str, ...] = (),
        app: str = "log_app:app",
        **env: str,
    ) -> None:
        self.port = free_port()
        self.asked = 0  # requests that were answered
        command = [
            *prefix,
            sys.executable,
            "-m",
            "monoceros",
            "-b",
            f"127.0.0.1:{self.port}",
            *args,
        ]
        self.process = subprocess.Popen(
            [*command, app], cwd=APPS, stdin=subprocess.DEVNULL, stderr=stderr,
            stdout=stderr if stdout is None else stdout, env={**os.environ, **env},
            start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Logged:
        wait_for(self.answers, "an answer")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def answers(self) -> bool:
        assert self.process.poll() is None, "the server has left"
        try:
            return bool(self.get("/"))
        except OSError:
            return False

    def get(self, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), ANSWER_S_MAX) as client:
            client.settimeout(ANSWER_S_MAX)
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while data := client.recv(65536):
                answer += data
        self.asked += bool(answer)
        return answer

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A small pipe: (read end, write end). Blocking, as a shell or a container gives it."""
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    for fd in (read, write):
        with contextlib.suppress(OSError):
            os.close(fd)


def fill(write: int) -> None:
    """Leaves no byte of room."""
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"." * 512)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b".")
    os.set_blocking(write, True)


class Reader(threading.Thread):
    """Reads all there is, from the moment it is started, until the other end is closed."""

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.fd = fd
        self.data = b""
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while data := os.read(self.fd, 65536):
                self.data += data

    def text(self) -> str:
        return self.data.decode()


WAYS = {
    "light": [],
    "full": ["--access-logfile", "-", "--access-logformat", "%(h)s %({x}e)s %(r)s %(s)s"],
    "own logger": ["--logger-class", "own_logger.Own", "--access-logfile", "-"],
    "dict": ["-c", "dict_conf.py"],
}


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("configs")
    (directory / "own_logger.py").write_text(
        "from monoceros.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def atoms(self, *args):\n"
        "        return super().atoms(*args)\n"
    )
    (directory / "dict_conf.py").write_text(
        "logconfig_dict = {'version': 1, 'formatters': {'plain': {'format': '%(message)s'}},"
        " 'handlers': {'err': {'class': 'logging.StreamHandler', 'formatter': 'plain'}},"
        " 'root': {'handlers': []}, 'loggers': {name: {'handlers': ['err'], 'level': 'INFO'}"
        " for name in ('gunicorn.error', 'gunicorn.access')}}\n"
    )
    return directory


def arguments(way: str, configs: Path) -> list[str]:
    return [str(configs / arg) if arg.endswith("conf.py") else arg for arg in WAYS[way]]


def environment(configs: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(configs)])}


@pytest.mark.parametrize("way", WAYS)
def test_a_pipe_that_nobody_reads(way: str, configs: Path, pipe: tuple[int, int]) -> None:
    read, write = pipe
    fill(write)
    options = arguments(way, configs)
    with Logged(*options, "-w", "2", stderr=write, **environment(configs)) as server:
        started = time.monotonic()
        for _ in range(REQUESTS):
            assert server.get("/raise").startswith(b"HTTP/1.1 500")
        assert server.get("/errors").startswith(b"HTTP/1.0 200")
        assert time.monotonic() - started < 30
        # The master lives as well: it reloads and stops. What old workers could not write is lost.
        old = children_of(server.process.pid)
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not any(map(is_running, old)), "the old workers to leave")
        assert server.get("/raise")
        os.close(write)
        before = Reader(read)
        wait_for(lambda: "on purpose" in before.text(), "the lines that waited")
        assert server.get("/raise")
        assert server.stop() == 0
        wait_for(lambda: "Shutting down: Master" in before.text(), "the last line")


def test_drops_are_reported_and_lines_stay_whole_and_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    fill(write)
    with Logged(stderr=write) as server:
        count = 6000  # of 213 bytes each, and room for 1 MiB
        with socket.create_connection(("127.0.0.1", server.port), 10) as client:
            client.settimeout(10)
            for number in range(count):
                request = f"GET /numbered?{number} HTTP/1.1\r\nHost: a\r\n\r\n"
                client.sendall(request.encode())
                assert b"light" in client.recv(65536)
        os.close(write)
        reader = Reader(read)
        wait_for(lambda: "were lost" in reader.text(), "the report")
        server.get("/numbered?last")
        wait_for(lambda: "number last" in reader.text(), "what comes afterwards")
        text = reader.text().lstrip(".")
        numbers = [int(n) for n in re.findall(r"^number (\d+) y{200}$", text, re.MULTILINE)]
        assert numbers == list(range(len(numbers)))
        assert text.count("number ") == len(numbers) + 1, "a line is torn"
        assert len(numbers) > 4000
        (lost,) = re.findall(r"\[WARNING\] (\d+) log lines were lost", text)
        assert len(numbers) + int(lost) == count


@pytest.mark.parametrize("kind", [(), ("-k", "gevent"), ("-k", "asgi")], ids=str)
def test_dropped_access_lines_are_counted_once_a_second(
    kind: tuple[str, ...], pipe: tuple[int, int], tmp_path: Path
) -> None:
    """A line for each request that found no room would fill the other log instead. The sum of
    what was told and of what is in the pipe is what was asked, to the line."""
    read, write = pipe
    log = tmp_path / "log"
    line = "%(m)s " + "x" * 1000
    options = ["--error-logfile", str(log), "--access-logfile", "-", "--access-logformat", line]
    began = time.monotonic()
    app = "asgi_hello:app" if "asgi" in kind else "log_app:app"
    with Logged(*options, *kind, stderr=subprocess.DEVNULL, stdout=write, app=app) as server:
        os.close(write)
        asked = server.asked
        with socket.create_connection(("127.0.0.1", server.port), 30) as client:
            client.settimeout(30)
            for _ in range(3000):  # and room for 1 MiB
                client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.recv(65536).startswith(b"HTTP/1.1 200")
                asked += 1
        assert server.stop() == 0
    told = [int(n) for n in re.findall(r"(\d+) access log lines were dropped", log.read_text())]
    assert 1 <= len(told) <= time.monotonic() - began + 2
    reader = Reader(read)
    reader.join(30)
    kept = re.findall(r"^(?:GET|PUT) x{1000}$", reader.text(), re.MULTILINE)
    assert sum(told) + len(kept) == asked


@pytest.mark.parametrize("way", ["light", "full"])
def test_a_full_disk(way: str, configs: Path) -> None:
    with open("/dev/full", "wb") as full, Logged(
        *arguments(way, configs), stderr=full.fileno()
    ) as server:  # fmt: skip
        for _ in range(20):
            assert server.get("/raise").startswith(b"HTTP/1.1 500")
        assert server.get("/errors").startswith(b"HTTP/1.0 200")
        assert server.stop() == 0


def test_a_disk_that_has_room_again(small_disk: Path) -> None:
    """Full, then emptied."""
    log = small_disk / "log"
    (small_disk / "filler").write_bytes(b"x" * 40000)
    with Logged("--error-logfile", str(log), stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            assert server.get("/raise").startswith(b"HTTP/1.1 500")
        (small_disk / "filler").unlink()
        server.get("/raise")
        found = wait_for(
            lambda: re.findall(r"^.*\[WARNING\] (\d+) log lines were lost", log.read_text(),
                               re.MULTILINE), "the report",
        )  # fmt: skip
        assert int(found[0]) > 50


def test_a_socket_that_nobody_reads() -> None:
    """Standard error is a stream socket under systemd."""
    ours, theirs = socket.socketpair()
    with ours, Logged(stderr=theirs.fileno()) as server:
        theirs.close()
        for _ in range(REQUESTS):
            assert server.get("/raise").startswith(b"HTTP/1.1 500")
        reader = Reader(ours.fileno())
        wait_for(lambda: reader.text().count("ValueError: on purpose") == REQUESTS, "all lines")
        assert server.stop() == 0


def test_a_pipe_of_another_user(pipe: tuple[int, int]) -> None:
    """It cannot be opened again through /proc: a thread of the worker waits instead."""
    if os.getuid():
        pytest.skip("needs to be root")
    read, write = pipe
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    with Logged(stderr=write, stdout=subprocess.DEVNULL, prefix=prefix) as server:
        for _ in range(REQUESTS):
            assert server.get("/raise").startswith(b"HTTP/1.1 500")
        reader = Reader(read)
        wait_for(lambda: reader.text().count("ValueError: on purpose") == REQUESTS, "all lines")
        assert server.stop() == 0


def test_logs_that_are_read_need_no_thread(tmp_path: Path) -> None:
    with open(tmp_path / "log", "wb") as log, Logged(stderr=log.fileno()) as server:
        for _ in range(20):
            server.get("/raise")
        assert b"logging" in server.get("/")  # a traceback has been formatted
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        for pid in children.read_text().split():
            names = [
                (path / "comm").read_text().strip() for path in Path(f"/proc/{pid}/task").iterdir()
            ]
            assert len(names) <= 2, names  # the main thread, and the engine's standby

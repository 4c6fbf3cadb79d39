"""What the server needs of the machine: nothing that is written, no particular user, memory that
is shared, and names that ps shows."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import monoceros
import third_party
from conftest import StartServer
from harness import APPS, IS_GUNICORN, Server, children_of, free_port, process_state, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn's heartbeats are files")

ANY_UID = 54321  # nobody's, as a container platform gives it
READ_ONLY = (
    "for mount in / /tmp /dev/shm /var/tmp /run; do"
    ' mountpoint -q $mount && mount -o remount,bind,ro $mount; done; exec "$@"'
)


def ask(port: int, path: str = "/", body: bytes | None = None) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


class Wrapped:
    """A server started through another program; ends with the test."""

    def __init__(self, log: Path, *prefix: str, args: tuple[str, ...] = ()) -> None:
        self.port = free_port()
        self.log_path = log
        command = [*prefix, sys.executable, "-B", "-m", "monoceros", "-b", f"127.0.0.1:{self.port}"]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, *args, "facts_app:app"], cwd=APPS, stdin=subprocess.DEVNULL,
                stderr=out, stdout=out, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> Wrapped:
        wait_for(self.answers, "an answer")
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            return bool(ask(self.port))
        except OSError:
            return False

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def booted(self, count: int) -> None:
        """Waits until so many workers have said so. Before a HUP: one that boots as it comes is
        told to leave, and may do so before its line."""
        try:
            wait_for(
                lambda: self.log_path.read_text().count("Booting worker") == count,
                f"{count} workers",
            )
        except AssertionError as late:
            raise AssertionError(f"{late}\nin:\n{self.log_path.read_text()}") from None

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)


@pytest.fixture(scope="module")
def read_only() -> tuple[str, ...]:
    """The beginning of a command that runs where nothing can be written, as nobody's uid."""
    user = ("setpriv", f"--reuid={ANY_UID}", f"--regid={ANY_UID}", "--clear-groups")
    command = ("unshare", "--mount", "sh", "-c", READ_ONLY, "sh", *user)
    probe = [*command, "sh", "-c", "! touch /tmp/probe /dev/shm/probe 2>/dev/null"]
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("needs root, to take rights away")
    if subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("mount namespaces are not permitted here")
    return command


@pytest.mark.parametrize("args", [(), ("--preload",), ("--threads", "4"), ("-k", "gthread")])
def test_a_read_only_file_system_as_any_user(
    read_only: tuple[str, ...], tmp_path: Path, args: tuple[str, ...]
) -> None:
    with Wrapped(tmp_path / "log", *read_only, args=("-w", "2", *args)) as server:
        found = ask(server.port, "/write")
        assert found["uid"] == ANY_UID
        assert found["gid"] == ANY_UID
        assert found["groups"] == []
        assert found["writes"] is False, "the test itself: something could be written"
        assert ask(server.port, body=b"x" * 100_000)["body"] == 100_000
        server.booted(2)
        server.process.send_signal(signal.SIGHUP)
        server.booted(4)
        wait_for(server.answers, "an answer")
        assert server.stop() == 0
    text = server.log_path.read_text()
    assert "Traceback" not in text
    assert "[WARNING]" not in text, text


def test_a_body_that_spills_finds_no_disk(read_only: tuple[str, ...], tmp_path: Path) -> None:
    """Large bodies want a temporary file; without one there is an error, or memory, no hang."""
    with Wrapped(tmp_path / "log", *read_only) as server:
        try:
            assert ask(server.port, body=b"x" * 8_000_000)["body"] == 8_000_000
        except urllib.error.HTTPError as error:
            assert error.code in (500, 503, 507)
        except (ConnectionError, urllib.error.URLError):
            pass
        assert ask(server.port)["body"] == 0
        assert server.stop() == 0


WRITES = re.compile(
    r"(?:open|openat|creat)\((?P<open>.*(?:O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE).*)\) += (?P<fd>\d+)"
    r"|(?P<other>\b(?:mkdir|mkdirat|mknod|mknodat|rename|renameat|renameat2|unlink|unlinkat"
    r"|link|linkat|symlink|symlinkat|truncate|rmdir|chmod|fchmodat|chown|lchown|fchownat)\(.*)"
)
HARMLESS = ("/dev/null", "/proc/self/fd/", "/dev/tty")


def test_no_file_is_written_by_default(tmp_path: Path) -> None:
    """Every system call that names a file, of the master and its workers, over a life."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    trace = tmp_path / "trace"
    prefix = (strace, "-f", "-qq", "-e", "trace=%file", "-o", str(trace))
    with Wrapped(tmp_path / "log", *prefix, args=("-w", "2")) as server:
        assert ask(server.port, body=b"x" * 10_000)["body"] == 10_000
        (master,) = children_of(server.process.pid)
        server.booted(2)
        os.kill(master, signal.SIGHUP)
        server.booted(4)
        os.kill(master, signal.SIGUSR1)
        wait_for(server.answers, "an answer")
        os.kill(master, signal.SIGTERM)
        assert server.process.wait(10) == 0
    lines = trace.read_text().splitlines()
    assert any("facts_app.py" in line for line in lines), "the trace is empty"
    found = [line for line in lines if WRITES.search(line)]
    assert [line for line in found if not any(name in line for name in HARMLESS)] == []


def test_preload_freezes_what_was_loaded(serve: StartServer) -> None:
    server = serve("facts_app:app", "--preload", workers=2)
    assert ask(server.port)["frozen"] > 100_000
    # A worker that is started later shares it as well.
    for pid in server.worker_pids():
        os.kill(pid, signal.SIGKILL)
    server.wait_log("Booting worker", 4)
    server.worker_pids()
    assert wait_for(lambda: _frozen(server), "an answer") > 100_000


def _frozen(server: Server) -> int:
    try:
        return int(ask(server.port)["frozen"])
    except OSError:
        return 0


def cmdline(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0 ")


@pytest.mark.parametrize(("args", "name"), [((), "facts_app:app"), (("--name", "shop"), "shop")])
def test_process_names(serve: StartServer, args: tuple[str, ...], name: str) -> None:
    env = third_party.path_with(third_party.third_party())
    server = serve("facts_app:app", *args, workers=1, env=env)
    assert cmdline(server.pid) == f"monoceros: master [{name}]"
    (worker,) = server.worker_pids()
    assert cmdline(worker) == f"monoceros: worker [{name}]"


def test_process_names_cost_no_logging(serve: StartServer) -> None:
    """The setproctitle package imports logging; its extension alone does not (adr/0006)."""
    env = third_party.path_with(third_party.third_party())
    server = serve("log_app:app", env=env)
    assert cmdline(server.pid).startswith("monoceros: master")
    assert urllib.request.urlopen(server.url, timeout=10).read() == b"light"


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Wrapped]:
    """PID 1 of its own PID namespace, as in a container."""
    prefix = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if os.getuid() or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("PID namespaces are not permitted here")
    with Wrapped(tmp_path / "log", *prefix, args=("-w", "2")) as server:
        yield server


def all_children_of(pid: int) -> list[int]:
    """Those that have ended and wait to be reaped as well."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [child for child in pids if (process_state(child) or ("", 0))[1] == pid]


def test_pid_1_of_a_container(container: Wrapped) -> None:
    log = container.log_path
    assert re.search(r"Listening at: \S+ \(1\)", log.read_text())
    (master,) = children_of(container.process.pid)
    assert ask(container.port)["pid"] in (2, 3)
    for number in range(3):  # programs run in the container, whose parents are gone
        subprocess.run(
            ["nsenter", "-t", str(master), "-p", "sh", "-c", f"(sleep 1; exit {number}) &"],
            check=True,
        )
    wait_for(lambda: len(all_children_of(master)) > 2, "orphans")
    wait_for(lambda: len(all_children_of(master)) == 2, "the orphans to be reaped")
    os.kill(master, signal.SIGTERM)
    assert container.process.wait(10) == 0
    assert "[WARNING]" not in log.read_text()
    assert "[ERROR]" not in log.read_text()


def test_python_m_monoceros_names_itself(tmp_path: Path) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "monoceros", *args], cwd=tmp_path, capture_output=True,
            text=True, timeout=30, check=False,
        )  # fmt: skip

    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"monoceros (version {monoceros.__version__})\n")
    done = run("--nonsense")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: monoceros [OPTIONS] [APP_MODULE]")
    assert "monoceros: error: unrecognized arguments: --nonsense" in done.stderr

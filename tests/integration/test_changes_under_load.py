"""Reload, scaling and upgrade under wrk's load: no request fails, no connection is refused."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client import Address, fetch
from conftest import StartServer
from harness import APPS, IS_GUNICORN, Server, children_of, free_port, is_running, wait_for
from patience import pace

WORKERS = 4
RELOADS = 20
FOREVER_S = 300  # wrk is told to end when the test has seen enough

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn refuses connections meanwhile")

CLOSE = pytest.mark.parametrize("close", [False, True], ids=["kept", "closing"])


class Wrk:
    """wrk with 8 connections until finish(), which gives (requests, complaints)."""

    def __init__(self, address: Address, close: bool) -> None:
        header = ["-H", "Connection: close"] if close else []
        url = "http://{}:{}/hello".format(*address)
        command = ["wrk", "-t", "1", "-c", "8", "-d", f"{FOREVER_S}s", "--timeout", "30s"]
        self._process = subprocess.Popen(
            [*command, *header, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(self) -> tuple[int, list[str]]:
        self._process.send_signal(signal.SIGINT)
        text, _ = self._process.communicate(timeout=60)
        counted = re.search(r"(\d+) requests in", text)
        assert counted is not None, text
        bad = [line for line in text.splitlines() if "errors" in line or "Non-2xx" in line]
        return int(counted[1]), bad

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def loaded(address: Address, close: bool) -> Iterator[Wrk]:
    """Load all the while, and what it says at the end must be good."""
    if shutil.which("wrk") is None:
        pytest.skip("needs wrk")
    fetch(address, "/hello")
    load = Wrk(address, close)
    try:
        pace(0.5, "load before anything changes")
        yield load
        requests, bad = load.finish()
    finally:
        load.kill()
    assert bad == []
    assert requests > 0  # how many is the machine's affair


def replaced(server: Server, old: set[int]) -> bool:
    now = set(children_of(server.pid))
    return len(now) == WORKERS and not now & old


@CLOSE
def test_twenty_reloads(serve: StartServer, close: bool) -> None:
    server = serve(workers=WORKERS)
    with loaded(server.address, close):
        for _ in range(RELOADS):
            old = set(server.worker_pids())
            server.signal(signal.SIGHUP)
            wait_for(lambda o=old: replaced(server, o), "new workers", 60)  # type: ignore[misc]
    assert server.log().count("Handling signal: hup") == RELOADS
    assert "[ERROR]" not in server.log()


@CLOSE
def test_reloads_that_overtake_each_other(serve: StartServer, close: bool) -> None:
    """HUP while the HUP before is still under way."""
    server = serve(workers=WORKERS)
    old = set(server.worker_pids())
    with loaded(server.address, close):
        for _ in range(RELOADS):
            server.signal(signal.SIGHUP)
            pace(0.1, "who reloads does so ten times a second")
        wait_for(lambda: replaced(server, old), "new workers", 60)
    assert "[ERROR]" not in server.log()


@CLOSE
def test_scaling_up_and_down(serve: StartServer, close: bool) -> None:
    server = serve(workers=WORKERS)
    with loaded(server.address, close):
        for _ in range(3):
            for signum, wanted in ((signal.SIGTTIN, 6), (signal.SIGTTOU, 2), (signal.SIGTTIN, 4)):
                for _ in range(abs(wanted - len(server.worker_pids(None)))):
                    taken = server.log().count("Handling signal: tt")
                    server.signal(signum)
                    server.wait_log("Handling signal: tt", taken + 1)
                server.workers = wanted
                server.worker_pids(wanted, 60)
    assert "[ERROR]" not in server.log()


@CLOSE
def test_upgrade_and_roll_back(tmp_path: Path, close: bool) -> None:
    """USR2, WINCH, then HUP and TERM (back) or QUIT (on): the classic way with a daemon."""
    pidfile, log = tmp_path / "pid", tmp_path / "log"
    port = free_port()
    subprocess.run(
        [sys.executable, "-m", "monoceros", "--daemon", "-w", str(WORKERS), "--pid", str(pidfile),
         "-b", f"127.0.0.1:{port}", "--error-logfile", str(log), "probe:app"],
        cwd=APPS, check=True, timeout=60,
    )  # fmt: skip
    masters = [wait_for(lambda: _number(pidfile), "the pidfile")]
    try:
        wait_for(lambda: len(children_of(masters[0])) == WORKERS, "workers", 60)
        with loaded(("127.0.0.1", port), close):
            masters.append(_upgraded(masters[0], pidfile))
            os.kill(masters[0], signal.SIGHUP)  # the old one goes on after all
            wait_for(lambda: len(_workers(masters[0])) == WORKERS, "the old workers again", 60)
            os.kill(masters[1], signal.SIGTERM)
            wait_for(lambda: not is_running(masters[1]), "the new master to leave", 60)
            masters.append(_upgraded(masters[0], pidfile))
            os.kill(masters[0], signal.SIGQUIT)
            wait_for(lambda: not is_running(masters[0]), "the old master to leave", 60)
            wait_for(lambda: _number(pidfile) == masters[2], "the promotion", 60)
        os.kill(masters[2], signal.SIGTERM)
        wait_for(lambda: not is_running(masters[2]), "its end", 30)
        assert "[ERROR]" not in log.read_text()
    finally:
        for pid in masters:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


def _number(pidfile: Path) -> int:
    """What it holds; 0 while it does not exist."""
    try:
        return int(pidfile.read_text())
    except FileNotFoundError:
        return 0


def _workers(master: int) -> list[int]:
    """Children but another master, which has children of its own."""
    return [pid for pid in children_of(master) if not children_of(pid)]


def _upgraded(old: int, pidfile: Path) -> int:
    """USR2 and WINCH: the new master serves, the old one has no workers left."""
    os.kill(old, signal.SIGUSR2)
    second = Path(f"{pidfile}.2")
    new = wait_for(lambda: _number(second), "the new master", 60)
    wait_for(lambda: len(children_of(new)) == WORKERS, "the new workers", 60)
    os.kill(old, signal.SIGWINCH)
    wait_for(lambda: children_of(old) == [new], "the old workers to leave", 60)
    return new

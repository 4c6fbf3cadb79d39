"""Staged reloads of a real master: one canary first, then the others, or the way back."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from arbiter_harness import Server, until
from patience import quiet_for

GOOD = """
import os
def app(environ, start_response):
    return [f"{os.getpid()} {os.environ.get('COLOUR', '-')}".encode()]
"""
DEAF = """
import ctypes, pathlib
libc, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
pathlib.Path("deaf").touch()
libc.pthread_mutex_lock(mutex)
"""
FAILED = "The reload failed: the new worker"


def serving(server: Server) -> int:
    return int(server.get().split()[0])


def colour(server: Server) -> str:
    return server.get().split()[1]


def reload_fails(server: Server) -> str:
    """Sends HUP and waits for the end of that; the line that says why."""
    times = server.log().count(FAILED)
    server.send(signal.SIGHUP)
    server.says(FAILED, times + 1, 20)
    return [line for line in server.log().splitlines() if FAILED in line][-1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise RuntimeError('typo')\n", "exited with code 3"),
        ("def app(:\n", "exited with code 3"),
        ("nothing = 1\n", "exited with code 4"),
        ("import os\nos._exit(0)\n", "left before it was ready"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "was killed by SIGKILL"),
        ("import time\ntime.sleep(1000)\n", "it did not become ready in time"),
    ],
    ids=["raises", "syntax", "no-app", "leaves", "killed", "slow"],
)
def test_a_bad_release_leaves_the_old_one_serving(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "-w", "3", "-t", "3") as server:
        workers = server.ready(3)
        (tmp_path / "app.py").write_text(text)
        line = reload_fails(server)
        assert reason in line and "[ERROR]" in line
        assert re.search(r"[123] workers of the old generation go on serving", line)
        server.wait_workers(3)
        quiet_for(1.5, "no further canary comes")
        assert server.workers() == workers
        assert server.log().count("Booting worker") == 4
        assert serving(server) in workers
        (tmp_path / "app.py").write_text(GOOD)
        server.send(signal.SIGHUP)
        until(lambda: not set(workers) & set(server.workers()) and len(server.workers()) == 3)
        assert server.stop() == 0


def test_others_wait_for_the_canary(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "-w", "3") as server:
        workers = server.ready(3)
        slow = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
        (tmp_path / "app.py").write_text(slow + GOOD)
        server.send(signal.SIGHUP)
        server.wait_workers(4)
        quiet_for(0.5, "nobody but the canary is started")
        assert set(workers) < set(server.workers()) and len(server.workers()) == 4
        os.kill(workers[0], signal.SIGKILL)  # the canary will have the place
        until(lambda: workers[0] not in server.workers())
        assert serving(server) in workers
        (tmp_path / "go").write_text("")
        until(lambda: not set(workers) & set(server.workers()) and len(server.workers()) == 3)


def test_a_second_hup_supersedes_the_canary(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path) as server:
        (worker,) = server.ready()
        (tmp_path / "app.py").write_text("import time\ntime.sleep(1000)\n")
        server.send(signal.SIGHUP)
        server.wait_workers(2)
        (tmp_path / "app.py").write_text(GOOD)
        server.send(signal.SIGHUP)
        until(lambda: worker not in server.workers() and len(server.workers()) == 1)
        until(lambda: serving(server) != worker)
        assert "The reload failed" not in server.log()


def test_a_superseded_canary_that_hears_no_signal_holds_nothing_up(tmp_path: Path) -> None:
    """Its import waits for a lock in C, with the GIL held: only KILL ends it, and soon."""
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "--graceful-timeout", "600", "-t", "0") as server:
        (worker,) = server.ready()
        (tmp_path / "app.py").write_text(DEAF)
        server.send(signal.SIGHUP)
        until((tmp_path / "deaf").exists, 30)
        (tmp_path / "app.py").write_text(GOOD)
        server.send(signal.SIGHUP)
        until(lambda: worker not in server.workers() and len(server.workers()) == 1, 60)
        until(lambda: serving(server) != worker)
        assert "The reload failed" not in server.log()
        assert server.stop() == 0


def test_the_old_configuration_is_back(tmp_path: Path) -> None:
    """Everything that HUP had changed already: listeners, environment, number, pidfile."""
    (tmp_path / "app.py").write_text(GOOD)
    old = "worker_class = 'small.Small'\nbind = 'unix:a.sock'\nworkers = 2\npidfile = 'a.pid'\n"
    old += "raw_env = ['COLOUR=red']\n"
    with Server(tmp_path, bind="", config=old) as server:
        server.address = str(tmp_path / "a.sock")
        workers = server.ready(2)
        inode = os.stat(server.address).st_ino
        new = old.replace("a.", "b.").replace("red", "blue").replace("workers = 2", "workers = 1")
        server.configure(new + "wsgi_app = 'nowhere:app'\n")
        good = (tmp_path / "app.py").read_text()
        (tmp_path / "app.py").write_text("raise SystemExit(7)\n")
        assert "exited with code 7" in reload_fails(server)
        assert server.workers() == workers
        until(lambda: not (tmp_path / "b.sock").exists())  # the line comes first
        assert os.stat(server.address).st_ino == inode
        assert (tmp_path / "a.pid").read_text() == f"{server.pid}\n"
        assert not (tmp_path / "b.pid").exists()
        (tmp_path / "app.py").write_text(good)
        for worker in workers:  # their replacements have the old configuration
            os.kill(worker, signal.SIGKILL)
        until(lambda: not set(workers) & set(server.workers()) and len(server.workers()) == 2)
        until(server.answers)
        assert colour(server) == "red"
        server.configure(new)
        server.send(signal.SIGHUP)
        server.address = str(tmp_path / "b.sock")
        until(server.answers)
        until(lambda: len(server.workers()) == 1 and not (tmp_path / "a.sock").exists())
        assert colour(server) == "blue"
        assert (tmp_path / "b.pid").exists()


def test_after_a_failure_dead_workers_are_tried_again_slower(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "-w", "2") as server:
        workers = server.ready(2)
        (tmp_path / "app.py").write_text("raise RuntimeError('typo')\n")
        reload_fails(server)
        os.kill(workers[0], signal.SIGKILL)
        server.says("Workers keep failing", seconds=10)
        quiet_for(2, "few more are started")
        assert serving(server) == workers[1]
        assert server.log().count("Booting worker") < 14
        assert server.log().count("The reload failed") == 1
        (tmp_path / "app.py").write_text(GOOD)
        server.wait_workers(2, 30)
        until(lambda: serving(server) != workers[1], 30)


def test_max_surge_goes_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "-w", "4", "--max-surge", "25%") as server:
        workers = server.ready(4)
        most = 0
        server.send(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while set(workers) & set(server.workers()):
            most = max(most, len(server.workers()))
            assert time.monotonic() < deadline
        assert most == 5
        server.wait_workers(4)


def test_preload_is_staged_too(tmp_path: Path) -> None:
    """The application is what the master has; what breaks in a worker is its hook."""
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "-w", "2", "--preload") as server:
        workers = server.ready(2)
        server.configure("def post_worker_init(worker): raise RuntimeError('migration')\n")
        assert "exited with code 3" in reload_fails(server)
        assert server.workers() == workers
        server.configure("")
        server.send(signal.SIGHUP)
        until(lambda: not set(workers) & set(server.workers()) and len(server.workers()) == 2)


def test_term_and_usr2_during_a_trial(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    with Server(tmp_path, "--pid", "server.pid", "--graceful-timeout", "1") as server:
        server.ready()
        (tmp_path / "app.py").write_text("import time\ntime.sleep(1000)\n")
        server.send(signal.SIGHUP)
        server.wait_workers(2)
        server.send(signal.SIGUSR2)
        until((tmp_path / "server.pid.2").exists)
        new = int((tmp_path / "server.pid.2").read_text())
        os.kill(new, signal.SIGTERM)
        server.wait_workers(2)  # the new master is gone
        assert server.answers()
        assert server.stop() == 0


def test_systemd_hears_of_each_end(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    heard: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)

        def hear(pattern: str) -> None:
            while not re.search(pattern, " ".join(heard)):
                heard.append(notify.recv(4096).decode())
            heard.clear()

        env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with Server(tmp_path, "-w", "2", env=env) as server:
            hear("READY=1\nSTATUS=2 workers serve$")
            (tmp_path / "app.py").write_text("raise RuntimeError\n")
            server.send(signal.SIGHUP)
            hear("RELOADING=1\nMONOTONIC_USEC=")
            hear("READY=1\nSTATUS=2 workers serve; the last reload failed: exited with code 3$")
            server.configure("workers = (\n")
            server.send(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1\nSTATUS=2 workers serve; the last reload failed$")
            server.configure("")
            (tmp_path / "app.py").write_text(GOOD)
            server.send(signal.SIGHUP)
            hear("RELOADING=1")
            hear("READY=1\nSTATUS=2 workers serve$")

"""Signals to a real master: what becomes of it, of its workers and of its clients."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from arbiter_harness import Server, alive, until
from monoceros import __version__
from patience import pace, quiet_for


def test_boot_lines(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "2") as server:
        workers = server.ready(2)
        server.says("Booting worker with pid", 2)
        log = server.log()
        assert f"Listening at: http://127.0.0.1:{server.port} ({server.pid})" in log
        assert f"Starting monoceros {__version__}" in log
        assert "Using worker: small.Small" in log
        assert all(f"Booting worker with pid: {pid}" in log for pid in workers)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_stop_signals_exit_with_zero(tmp_path: Path, number: signal.Signals) -> None:
    with Server(tmp_path, "-w", "2") as server:
        workers = server.ready(2)
        assert server.stop(number) == 0
        assert not any(alive(pid) for pid in workers)
        log = server.log()
        assert f"Handling signal: {number.name[3:].lower()}" in log
        assert "Shutting down: Master" in log
        assert log.count("Worker exiting") == 2
        with pytest.raises(OSError):
            server.connect()


def test_term_to_the_whole_group_lets_workers_finish(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "2") as server:
        server.ready(2)
        os.killpg(server.pid, signal.SIGTERM)
        assert server.exit_code() == 0
        # A worker can be gone before the master has its own TERM: then there was one more.
        assert server.log().count("Worker exiting") == server.log().count("Booting worker")
        assert "killed by" not in server.log()


WRAPS = """
import pathlib, time
try:
    pathlib.Path("loading").touch()
    time.sleep(1000)
except BaseException as error:
    raise RuntimeError("cannot load") from error
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_that_the_loading_application_makes_an_error_of(
    tmp_path: Path, number: signal.Signals
) -> None:
    """As functools.cached_property does on Python 3.11: RuntimeError from __set_name__."""
    (tmp_path / "app.py").write_text(WRAPS)
    with Server(tmp_path) as server:
        until((tmp_path / "loading").exists)
        assert server.stop(number) == 0
        assert "[ERROR]" not in server.log(), server.log()


def test_term_finishes_the_request_under_way(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ready()
        with server.connect() as client:
            client.sendall(b"GET /sleep/1 HTTP/1.0\r\n\r\n")
            server.wait_entered()
            assert server.stop() == 0
            assert client.recv(100).startswith(b"HTTP/1.0 200")


def test_graceful_timeout_kills(tmp_path: Path) -> None:
    with Server(tmp_path, "--graceful-timeout", "1") as server:
        server.ready()
        with server.connect() as client:
            client.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            server.wait_entered()
            began = time.monotonic()
            assert server.stop() == 0
            assert time.monotonic() - began > 0.9
            assert "did not stop in time" in server.log()


def test_int_during_a_graceful_stop_shortens_it(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ready()
        with server.connect() as client:
            client.sendall(b"GET /sleep/20 HTTP/1.0\r\n\r\n")
            server.wait_entered()
            server.send(signal.SIGTERM)
            server.says("Handling signal: term")
            assert server.stop(signal.SIGINT, 5) == 0


def test_ttin_and_ttou(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        (first,) = server.ready()
        server.send(signal.SIGTTIN)
        server.wait_workers(2)
        server.send(signal.SIGTTIN)
        server.wait_workers(3)
        answered: set[str] = set()  # all three serve: one that still boots would go first

        def all_answered() -> bool:
            answered.update(server.get() for _ in range(30))
            return len(answered) == 3

        until(all_answered, 30)
        server.send(signal.SIGTTOU)
        assert first not in server.wait_workers(2)
        for _ in range(5):
            server.send(signal.SIGTTOU)
            pace(0.05, "pending signals of one number are one signal")
        server.wait_workers(1)
        quiet_for(0.3, "no worker leaves or comes any more")
        assert len(server.workers()) == 1
        assert server.answers()


def test_kill_9_of_a_worker_is_repaired_at_once(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "2") as server:
        workers = server.ready(2)
        os.kill(workers[0], signal.SIGKILL)
        server.says(rf"Worker \(pid:{workers[0]}\) was killed by SIGKILL")
        until(lambda: len(server.workers()) == 2 and workers[0] not in server.workers(), 1.0)


def test_killing_workers_again_and_again_never_slows_their_return(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "3") as server:
        server.ready(3)
        for _ in range(15):
            victim = random.choice(server.wait_workers(3, 2.0))
            os.kill(victim, signal.SIGKILL)
            until(lambda pid=victim: pid not in server.workers(), 2.0)
            pace(0.3, "who kills workers does so three times a second")
        server.wait_workers(3, 2.0)


def test_kill_9_of_the_master_takes_the_workers_with_it(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "3") as server:
        workers = server.ready(3)
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        until(lambda: not any(alive(pid) for pid in workers), 0.5)
        with pytest.raises(OSError):
            server.connect()


def test_kill_9_of_the_master_takes_booting_workers_too(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\ntime.sleep(100)\n")
    with Server(tmp_path, "-w", "2") as server:
        server.says("Booting worker", 2)
        workers = server.wait_workers(2)
        os.kill(server.pid, signal.SIGKILL)
        server.process.wait()
        until(lambda: not any(alive(pid) for pid in workers), 0.5)


def test_timeout_aborts_and_replaces(tmp_path: Path) -> None:
    config = "def worker_abort(worker): worker.log.info('hook: abort')\n"
    with Server(tmp_path, "-t", "1", config=config) as server:
        (worker,) = server.ready()
        with server.connect() as client:
            client.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            server.says(rf"\[CRITICAL\] WORKER TIMEOUT \(pid:{worker}\)", seconds=5)
            server.says("hook: abort")
            until(lambda: server.workers() not in ([worker], []))
            until(server.answers)


def test_a_worker_deaf_to_abort_is_killed(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import signal, time\n"
        "def app(environ, start_response):\n"
        "    if environ['PATH_INFO'] == '/hang':\n"
        "        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGABRT])\n"
        "        time.sleep(1000)\n"
        "    return [b'ok']\n"
    )
    with Server(tmp_path, "-t", "1") as server:
        (worker,) = server.ready()
        with server.connect() as client:
            client.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
            server.says("did not react to ABRT and is killed", seconds=6)
            until(lambda: not alive(worker))
            until(server.answers)


def test_a_stopped_worker_is_found(tmp_path: Path) -> None:
    with Server(tmp_path, "-t", "1") as server:
        (worker,) = server.ready()
        os.kill(worker, signal.SIGSTOP)
        server.says("WORKER TIMEOUT", seconds=5)
        until(lambda: not alive(worker), 5)
        until(server.answers)


def test_a_paused_machine_kills_nobody(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "3", "-t", "2") as server:
        workers = server.ready(3)
        for pid in [server.pid, *workers]:
            os.kill(pid, signal.SIGSTOP)
        pace(6, "a machine that is paused for longer than the timeout")
        for pid in [server.pid, *workers]:  # the master first: the harder order
            os.kill(pid, signal.SIGCONT)
        quiet_for(2, "nobody is killed")
        assert server.workers() == workers
        assert "WORKER TIMEOUT" not in server.log()
        assert server.answers()


def test_usr1_reopens_the_logs_of_all(tmp_path: Path) -> None:
    log = tmp_path / "error.log"
    with Server(tmp_path, "--error-logfile", str(log), "-w", "2") as server:
        server.ready(2)
        log.rename(tmp_path / "error.log.1")
        server.send(signal.SIGUSR1)
        until(log.exists)
        os.kill(server.workers()[0], signal.SIGTERM)
        until(lambda: "Worker exiting" in log.read_text())
        until(lambda: "Booting worker" in log.read_text())


def test_winch_is_ignored_in_the_foreground(tmp_path: Path) -> None:
    with Server(tmp_path, "--log-level", "debug") as server:
        workers = server.ready()
        server.send(signal.SIGWINCH)
        server.says("WINCH ignored")
        assert server.workers() == workers


def test_a_storm_of_signals_ends_in_the_right_number(tmp_path: Path) -> None:
    rng = random.Random(7)
    choices = [signal.SIGHUP] * 1 + [signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1] * 6
    choices += [signal.SIGWINCH, signal.SIGCHLD]
    with Server(tmp_path, "-w", "2", "--graceful-timeout", "5") as server:
        server.ready(2)
        for _ in range(200):
            server.send(rng.choice(choices))
            pace(0.003, "a storm of signals, not one that the kernel merges")
        pace(0.5, "the last of them and the next are not one signal")
        server.send(signal.SIGHUP)  # back to the configured number
        server.wait_workers(2, 20.0)
        until(server.answers)
        assert server.stop() == 0


def test_term_storm_during_start(tmp_path: Path) -> None:
    for delay in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4):
        folder = tmp_path / str(delay)
        folder.mkdir()
        with Server(folder, "-w", "3") as server:
            pace(delay, "who stops it hits another moment of the start each time")
            os.kill(server.pid, signal.SIGTERM)
            code = server.exit_code()
            assert code in (0, -signal.SIGTERM), server.log()
            assert not server.workers()


def hammer(server: Server, stop: threading.Event, failures: list[str]) -> None:
    while not stop.is_set():
        try:
            with socket.create_connection(("127.0.0.1", server.port), 10) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while data := client.recv(4096):
                    answer += data
            if not answer.startswith(b"HTTP/1.0 200"):
                failures.append(f"answer {answer!r}")
        except OSError as error:
            failures.append(repr(error))


def test_reloads_under_load_lose_nothing(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "4") as server:
        first = server.ready(4)
        stop, failures = threading.Event(), list[str]()
        threads = [threading.Thread(target=hammer, args=(server, stop, failures)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            server.send(signal.SIGHUP)
            pace(0.3, "reloads that overtake each other")
        server.wait_workers(4)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert not set(first) & set(server.workers())

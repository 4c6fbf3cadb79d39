"""Every death is explained in one event, and clients of a crashed worker still get an answer."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from client import Client, patient
from conftest import StartServer
from harness import IS_GUNICORN, STUCK, Server, wait_for
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn does not explain")


def last_event(server: Server, beginning: str) -> str:
    """The last log event that holds `beginning`, with its further lines."""
    server.wait_log(beginning, timeout_s=30)
    lines = server.log().splitlines()
    start = max(i for i, line in enumerate(lines) if beginning in line)
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("[2")), len(lines))
    return "\n".join(lines[start:end])


@pytest.mark.parametrize("args", [(), ("--threads", "2"), ("-k", "gevent")], ids=str)
@pytest.mark.parametrize(
    ("path", "words"),
    [("/segv", "was killed by SIGSEGV"), ("/abort", "was killed by SIGABRT")],
)
def test_a_crash(path: str, words: str, args: tuple[str, ...], serve: StartServer) -> None:
    server = serve("stuck:app", *args, workers=2, expects=[words])
    answer = patient(server.address, path)
    assert answer.status == 502
    event = last_event(server, words)
    assert f"GET {path} from 127.0.0.1, in the application" in event
    assert answer.get("x-request-id") in event
    assert "stuck.py" in event, "the Python stack"
    assert patient(server.address, "/").status == 200


def test_an_exit_code(serve: StartServer) -> None:
    server = serve("stuck:app", workers=2)
    with pytest.raises(Exception):  # noqa: B017 - nobody is left to answer
        patient(server.address, "/exit")
    event = last_event(server, "exited with code 7.")
    assert "GET /exit from 127.0.0.1" in event


def test_a_kill_by_somebody(serve: StartServer) -> None:
    server = serve("stuck:app", workers=1)
    waiting = threading.Thread(target=ignore_errors, args=(server, "/sleep"))
    waiting.start()
    (pid,) = server.worker_pids()
    wait_for((server.directory / "entered").exists, "the application")
    os.kill(pid, signal.SIGKILL)
    waiting.join()
    event = last_event(server, "was killed by SIGKILL")
    assert "GET /sleep from 127.0.0.1, in the application for" in event
    assert "No out-of-memory kill was counted" in event or "out of memory" in event


def ignore_errors(server: Server, path: str) -> None:
    try:
        patient(server.address, path)
    except Exception:
        pass


@pytest.mark.parametrize("way", ["sleep", "gil"])
def test_a_stuck_worker(way: str, serve: StartServer) -> None:
    """`timeout`: the client gets 504 from the dying worker, the log every thread's stack."""
    server = serve("stuck:app", "--timeout", "2", workers=1, expects=STUCK)
    answer = patient(server.address, f"/{way}?30")
    assert answer.status == 504
    assert "WORKER TIMEOUT" in server.log()
    event = last_event(server, "its heartbeat stopped" if way == "gil" else "exited with code 1")
    assert f"GET /{way}?30 from 127.0.0.1" in event
    assert "stuck.py" in event
    wait_for(lambda: patient(server.address, "/").status == 200, "the next worker", 30)


LOOPS = {"asked for": ("-k", "asgi"), "found": (), "found, threads": ("--threads", "2")}


@pytest.mark.parametrize("how", LOOPS)
def test_a_stuck_event_loop(how: str, serve: StartServer) -> None:
    """The same whether an asgi worker was asked for, or the application turned out to need one."""
    options = (*LOOPS[how], "--timeout", "1")
    server = serve("stuck:asgi_app", *options, workers=1, expects=STUCK)
    assert patient(server.address, "/block?600").status == 504
    event = last_event(server, "exited with code 1: its heartbeat stopped.")
    assert "GET /block?600 from 127.0.0.1" in event
    assert "stuck.py" in event, "the Python stack"
    assert "asked worker" not in server.log()
    wait_for(lambda: patient(server.address, "/").status == 200, "the next worker", 30)


def test_term_while_a_worker_becomes_an_asgi_worker(serve: StartServer, tmp_path: Path) -> None:
    """Its class has changed under the handlers that it set before."""
    config = tmp_path / "slow_conf.py"
    config.write_text(
        "import os, time\n"
        "def post_worker_init(worker):\n"
        "    if os.path.exists(os.environ['PROBE_DIR'] + '/slow'):\n"
        "        print('hook', flush=True)\n"
        "        time.sleep(600)\n"
    )
    server = serve("stuck:asgi_app", "-c", str(config), workers=1)
    (server.directory / "slow").touch()
    (first,) = server.worker_pids()
    os.kill(first, signal.SIGTERM)
    wait_for(lambda: "hook" in server.output(), "the next worker's hook", 30)
    (pid,) = server.worker_pids()
    (server.directory / "slow").unlink()
    os.kill(pid, signal.SIGTERM)
    server.wait_log(f"Worker exiting (pid: {pid})", timeout_s=30)
    assert "TypeError" not in server.log()
    wait_for(lambda: patient(server.address, "/").status == 200, "the next worker", 30)


def test_who_sent_the_signal(serve: StartServer) -> None:
    server = serve("stuck:app", workers=2)
    pid = server.worker_pids()[0]
    os.kill(pid, signal.SIGABRT)
    event = last_event(server, f"(pid:{pid})")
    assert f"by process {os.getpid()}" in event


def test_a_queued_request_outlives_the_crash(serve: StartServer) -> None:
    """It waited in the worker that crashed; another one answers it."""
    server = serve("stuck:app", workers=1, expects=["was killed by SIGSEGV"])
    with Client(server.address, timeout_s=60) as kept:
        first = kept.ask("/").body
        held = threading.Thread(target=ignore_errors, args=(server, "/sleep?30"))
        held.start()
        noted = server.directory / "entered"
        wait_for(lambda: len(noted.read_text().splitlines()) == 2, "the application")
        kept.send(b"GET /queued HTTP/1.1\r\nHost: a\r\n\r\n")
        pace(0.5, "the engine reads it beside the application, which nobody outside can see")
        (pid,) = server.worker_pids()
        os.kill(pid, signal.SIGSEGV)
        answer = kept.response()
        held.join()
    assert answer.status == 200
    assert answer.body.split()[0] != first.split()[0]


@pytest.mark.parametrize("path", ["/kill", "/segv", "/exit"])
def test_an_answer_that_is_cut_does_not_look_whole(path: str, serve: StartServer) -> None:
    """Without a length only a reset tells (HTTP/1.0), whatever ended the worker."""
    server = serve("cut:app", workers=1, expects=["was killed by SIGSEGV"])
    with Client(server.address) as client:
        client.send(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        client.until(b"half")
        with pytest.raises(ConnectionResetError):
            assert client.sock.recv(1) == b""

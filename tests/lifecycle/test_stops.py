"""Stops step by step, with single clients: what a drain still answers."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from client import Client, request
from harness import is_running, wait_for
from patience import pace
from stage import KINDS, Stage

LOADING = """
import os, time
with open(os.path.join(os.environ["PROBE_DIR"], "loading"), "a") as file:
    file.write(f"{os.getpid()}\\n")
time.sleep(1)
VERSION = "slow"
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_term_does_not_end_the_drain(kind: str, tmp_path: Path) -> None:
    """A worker that recycles gets TERM as well when the server stops."""
    with Stage(kind, tmp_path) as stage:
        server = stage.server("--graceful-timeout", "10").start()
        stage.wait_ready(server.pid)
        with Client(server.address) as client:
            asked = request("/?id=late&size=100")
            pid = int(client.ask("/?id=first&size=100").get("X-Pid") or 0)
            client.send(asked[:20])
            for _ in range(2):
                os.kill(pid, signal.SIGTERM)
                pace(0.3, "the first one must have been obeyed when the second one comes")
            client.send(asked[20:])
            response = client.response()
            assert response.status == 200
            assert response.body.startswith(b"late ")
            assert response.get("Connection") == "close"
        stage.stop_all()
    assert "still open after graceful_timeout" not in stage.log()


@pytest.mark.parametrize(
    ("kind", "loop"), [*((kind, "auto") for kind in KINDS), ("asgi", "asyncio")]
)
def test_term_while_the_application_loads_is_obeyed(kind: str, loop: str, tmp_path: Path) -> None:
    """As a scale-down in the middle of a scale-up: nobody sends it a second time."""
    with Stage(kind, tmp_path) as stage:
        server = stage.server("--asgi-loop", loop).start()
        stage.wait_ready(server.pid)
        stage.write_release(LOADING)
        os.kill(stage.workers_of(server.pid)[0], signal.SIGKILL)
        notes = stage.notes / "loading"
        wait_for(lambda: notes.exists() and notes.read_text().endswith("\n"), "the replacement", 20)
        loading = int(notes.read_text().split()[0])
        os.kill(loading, signal.SIGTERM)
        wait_for(lambda: not is_running(loading), "its end", 20)
        stage.wait_ready(server.pid)
        stage.stop_all()


@pytest.mark.parametrize("kind", KINDS)
def test_who_was_promised_a_kept_connection_may_use_it(kind: str, tmp_path: Path) -> None:
    """The answer left without "Connection: close", then the drain began, then the application was
    done. The client could not know: its next request is answered."""
    with Stage(kind, tmp_path) as stage:
        server = stage.server("--graceful-timeout", "10").start()
        stage.wait_ready(server.pid)
        with Client(server.address) as client:
            first = client.ask("/?id=first&size=100&after=1500")
            assert first.get("Connection") != "close"
            os.kill(int(first.get("X-Pid") or 0), signal.SIGTERM)
            pace(0.2, "the drain begins; nobody outside sees it")
            second = client.ask("/?id=second&size=100")
            assert second.body.startswith(b"second ")
            assert second.get("Connection") == "close"
        stage.stop_all()

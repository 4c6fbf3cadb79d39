"""warmup_path: the first request of a worker is the server's own, and decides about it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from client import fetch, patient
from conftest import StartServer
from harness import IS_GUNICORN, wait_for
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn warms nothing up")
KINDS = {"sync": (), "gthread": ("--threads", "2"), "gevent": ("-k", "gevent")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_release_that_fails_its_warm_up_does_not_get_in(
    kind: str, serve: StartServer, tmp_path: Path
) -> None:
    directory = tmp_path / "server1"
    directory.mkdir()
    (directory / "status").write_text("200 OK")
    server = serve("warm:app", *KINDS[kind], "--warmup-path", "/warm")
    first = patient(server.address, "/").text.split()
    assert first[1] == "/warm", "it came before anybody"
    pace(2, "it tells the master that it serves with its next heartbeat")
    (directory / "status").write_text("500 Broken")
    server.signal(signal.SIGHUP)
    server.wait_log("The warm-up request for /warm answered with 500", timeout_s=30)
    server.wait_log("The reload failed", timeout_s=30)
    assert fetch(server.address, "/").text.split() == first
    (directory / "status").write_text("204 Fine")
    server.signal(signal.SIGHUP)
    wait_for(lambda: fetch(server.address, "/").text.split()[0] != first[0], "the new one", 30)
    assert fetch(server.address, "/").text.split()[1] == "/warm"


def test_a_first_start_that_fails_its_warm_up_stops_the_server(
    launch: StartServer, tmp_path: Path
) -> None:
    directory = tmp_path / "launched0"
    directory.mkdir()
    (directory / "status").write_text("503 Not yet")
    server = launch("warm:app", "--warmup-path", "/warm")
    assert server.wait(30) == 3
    assert "The warm-up request for /warm answered with 503" in server.log()

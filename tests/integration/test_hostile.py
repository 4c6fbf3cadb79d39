"""Hostile clients of every kind at once, on a live server of each worker class: who behaves well is
served meanwhile, and afterwards memory, descriptors and CPU are what they were.

A few seconds in `make test`; `make soak-hostile` gives it half an hour and prints figures.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import hostile
import invariants
from client import Client, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, can_import, rss_mib
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="hostile clients hold its workers")

SECONDS = float(os.environ.get("MONO_HOSTILE_SECONDS", "6"))  # of each class
CLASSES: dict[str, tuple[str, ...]] = {
    "sync": ("hostile_app:app",),
    "gthread": ("hostile_app:app", "--threads", "4"),
    "gevent": ("hostile_app:app", "-k", "gevent"),
    "asyncio": ("hostile_app:asgi_app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("hostile_app:asgi_app", "-k", "asgi", "--asgi-loop", "uvloop"),
}
WARM_PART = 0.25  # of the time: after it memory is what a server under attack has
MEMORY_RATIO_MAX = 1.25  # at rest, after all of the attack and after its first part
MEMORY_SPARE_MIB = 4.0
CLIENTS = 3
PROGRAM = Path(hostile.__file__)
SANITIZED = "sanitized" in os.environ.get("MONO_PYTHON", "")  # what is freed stays a while there


class WellBehaved:
    """Asks, one request after the other, on connections that are kept; counts, and is strict."""

    def __init__(self, server: Server) -> None:
        self.address = server.address
        self.answered = 0
        self.slowest_s = 0.0
        self.troubles: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self, name: int) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with Client(self.address, 30.0) as client:
                    for _ in range(50):
                        number += 1
                        self._ask(client, f"{name}-{number}")
                        pace(0.02, "a client that asks now and then")
            except Exception as error:
                self.troubles.append(f"{type(error).__name__}: {error}")

    def _ask(self, client: Client, word: str) -> None:
        began = time.monotonic()
        body = word.encode() * 50
        client.send(request(f"/echo?{word}", "POST", body=body))
        echo = client.response("POST")
        assert (echo.status, echo.body) == (200, body), echo
        answer = client.ask(f"/hello?{word}")
        assert (answer.status, answer.text) == (200, word), answer
        self.answered += 2
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def attack(server: Server, kinds: list[str]) -> Iterator[None]:
    """From another process, so that it holds up none of this one's clients."""
    command = [sys.executable, str(PROGRAM), f"127.0.0.1:{server.port}", *kinds]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield
            assert process.poll() is None
        finally:
            process.stdin.close()
            print(f"connections made: {process.stdout.read().decode().strip()}")


def under_attack(server: Server, kinds: list[str], seconds: float) -> WellBehaved:
    with attack(server, kinds):
        clients = WellBehaved(server)
        pace(seconds, "the length of the load")
        clients.stop()
    return clients


def memory_at_rest(server: Server) -> float:
    invariants.check_rest(server.pid)
    return sum(rss_mib(pid) for pid in server.worker_pids())


@pytest.mark.timeout(SECONDS + 180)
@pytest.mark.parametrize("name", CLASSES)
def test_hostile_clients(name: str, serve: StartServer) -> None:
    if name in ("gevent", "uvloop") and not can_import(name):
        pytest.skip(f"no {name} there")
    kinds = sorted(hostile.KINDS if name in ("asyncio", "uvloop") else hostile.NO_SOCKETS)
    server = serve(*CLASSES[name])
    workers = server.worker_pids()
    fresh = memory_at_rest(server)
    under_attack(server, kinds, SECONDS * WARM_PART)
    before = memory_at_rest(server)
    clients = under_attack(server, kinds, SECONDS * (1 - WARM_PART))
    after = memory_at_rest(server)
    asked_s = SECONDS * (1 - WARM_PART)
    print(
        f"{name}: {clients.answered} requests of the well-behaved in {asked_s:.0f} s, slowest pair "
        f"{clients.slowest_s:.2f} s; MiB at rest {fresh:.1f} fresh, {before:.1f} after a quarter, "
        f"{after:.1f} at the end; descriptors {len(invariants.descriptors(workers[0]))}"
    )
    assert clients.troubles == []
    assert clients.answered > 0
    assert server.worker_pids() == workers, server.log()[-4000:]
    if not SANITIZED:
        assert after <= before * MEMORY_RATIO_MAX + MEMORY_SPARE_MIB

"""A request does not wait in a busy worker while a sibling is free (docs/adr/0012).

What is slow here is a request that the test itself lets go, so that no test depends on speed:
while it is held, its worker cannot have served anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from client import Client, Gone, chunked, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, children_of, wait_for

PATIENCE_S = 60.0
KINDS = pytest.mark.parametrize("threads", [1, 2], ids=["sync", "gthread"])

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn's requests stay where they are")


def start(serve: StartServer, threads: int, *args: str) -> Server:
    options = ["--keep-alive", "120", "--timeout", "120", "--graceful-timeout", "60", *args]
    return serve("dispatch_app:app", "--threads", str(threads), *options, workers=2)


def told(client: Client) -> dict[str, Any]:
    """The next answer, which must be a good one."""
    response = client.response()
    assert response.status == 200, response
    found: dict[str, Any] = json.loads(response.body)
    return found


def pid_of(client: Client, target: str = "/pid") -> int:
    client.send(request(target))
    return int(told(client)["pid"])


class Crowd:
    """Kept-alive connections of one worker, all of whose slots the test can hold."""

    def __init__(self, server: Server, threads: int, count: int, stack: ExitStack) -> None:
        self.server = server
        self.threads = threads
        # Of so many connections over two workers, one has as many as are wanted.
        wanted = count + threads
        clients = [
            stack.enter_context(Client(server.address, PATIENCE_S)) for _ in range(2 * wanted - 1)
        ]
        owners = [pid_of(client) for client in clients]
        ((self.busy, _),) = Counter(owners).most_common(1)
        mine = [client for client, owner in zip(clients, owners, strict=True) if owner == self.busy]
        self.holders = mine[:threads]
        self.clients = mine[threads:]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Every slot is taken until the block ends; then the long requests are answered too."""
        try:
            for number, holder in enumerate(self.holders):
                holder.send(request(f"/hold?{number}"))
                assert int(self._note(f"held-{number}")) == self.busy
            yield
        finally:
            self.release()
        assert [told(holder)["pid"] for holder in self.holders] == [self.busy] * self.threads

    def _note(self, name: str) -> str:
        path = self.server.directory / name
        return wait_for(lambda: path.exists() and path.read_text(), "the long request", 30) or ""

    def release(self) -> None:
        for number in range(self.threads):
            (self.server.directory / f"release-{number}").touch()

    def sibling(self) -> int:
        (other,) = set(self.server.worker_pids(timeout_s=30)) - {self.busy}
        return other


@contextmanager
def crowd(server: Server, threads: int, count: int) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(server, threads, count, stack)


@KINDS
def test_requests_of_a_busy_worker_are_served_by_its_sibling(
    serve: StartServer, threads: int
) -> None:
    server = start(serve, threads)
    with crowd(server, threads, 6) as them, them.held():
        sibling = them.sibling()
        for client in them.clients:
            assert pid_of(client) == sibling
            assert pid_of(client) == sibling, "where it was served it stays"


@KINDS
def test_requests_at_the_same_time(serve: StartServer, threads: int) -> None:
    """More than the sibling has slots, so that they wait: in their worker, or on the way."""
    server = start(serve, threads)
    with crowd(server, threads, 12) as them, them.held():
        for number, client in enumerate(them.clients):
            client.send(request(f"/nap?0.0{number % 4}"))
        assert {told(client)["pid"] for client in them.clients} == {them.sibling()}


@KINDS
@pytest.mark.parametrize("size", [100, 100_000, 1024 * 1024])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_ends_while_its_worker_is_busy(
    serve: StartServer, threads: int, size: int, framing: str
) -> None:
    body = random.Random(size).randbytes(size)
    if framing == "length":
        data = request("/slow", "POST", body=body)
    else:
        parts = [body[at : at + 7_000] for at in range(0, size, 7_000)]
        data = request("/slow", "POST", {"Transfer-Encoding": "chunked"}, chunked(*parts))
    server = start(serve, threads)
    with crowd(server, threads, 2) as them:
        early, late = them.clients[:2]
        early.send(data[: len(data) // 2])
        with them.held():
            for client, begin in ((early, len(data) // 2), (late, 0)):
                bulk = len(data) - 50
                client.send(data[begin:bulk])
                client.trickle(data[bulk:], pause_s=0.002)
                found = told(client)
                assert found["pid"] == them.sibling()
                assert found["size"] == size
                assert found["sha256"] == hashlib.sha256(body).hexdigest()


@KINDS
def test_pipelined_requests_keep_their_order(serve: StartServer, threads: int) -> None:
    server = start(serve, threads)
    with crowd(server, threads, 4) as them, them.held():
        for client in them.clients:
            targets = [f"/nap?0.0{number % 3}" for number in range(8)]
            pieces = [request(t, "POST", body=b"b" * n) for n, t in enumerate(targets)]
            client.send(*pieces)
            found = [told(client) for _ in pieces]
            assert [(f["target"], f["size"]) for f in found] == list(
                zip(targets, range(8), strict=True)
            )
            assert {f["pid"] for f in found} == {them.sibling()}


@KINDS
def test_what_is_pipelined_behind_a_long_request_waits(serve: StartServer, threads: int) -> None:
    server = start(serve, threads)
    with crowd(server, threads, 2) as them:
        with them.held():
            for holder in them.holders:
                holder.send(request("/second?"), request("/third?"))
            assert pid_of(them.clients[0]) == them.sibling()
            assert [holder.buffer for holder in them.holders] == [b""] * threads
        for holder in them.holders:
            assert [told(holder)["target"] for _ in range(2)] == ["/second?", "/third?"]


@KINDS
def test_a_sibling_that_is_killed_takes_only_what_it_runs(serve: StartServer, threads: int) -> None:
    server = start(serve, threads)
    dice = random.Random(5)
    rounds, each = 6, 6
    with crowd(server, threads, rounds * each) as them, them.held():
        waiting = iter(them.clients)
        for _ in range(rounds):
            victim = them.sibling()
            clients = [next(waiting) for _ in range(each)]
            for client in clients[: each // 2]:
                client.send(request("/nap?0.02"))
            wait_for_some(dice.random() * 0.1)
            os.kill(victim, signal.SIGKILL)
            for client in clients[each // 2 :]:
                client.send(request("/nap?0.02"))
            lost = [client for client in clients if not answered(client)]
            assert len(lost) <= threads, f"{len(lost)} lost, {threads} ran"


def wait_for_some(seconds: float) -> None:
    """A random moment; nothing is expected of it."""
    signal.sigtimedwait([], seconds)


def answered(client: Client) -> bool:
    try:
        told(client)
    except Gone as gone:
        assert gone.got == b""
        return False
    return True


@KINDS
@pytest.mark.parametrize("name", ["hup", "ttou", "ttin"])
def test_signals_while_requests_are_on_their_way(
    serve: StartServer, threads: int, name: str
) -> None:
    server = start(serve, threads)
    with crowd(server, threads, 12) as them:
        with them.held():
            for client in them.clients[:6]:
                client.send(request("/nap?0.02"))
            server.signal(getattr(signal, f"SIG{name.upper()}"))
            for client in them.clients[6:]:
                client.send(request("/nap?0.02"))
            server.wait_log(f"Handling signal: {name}", timeout_s=30)
            if name == "ttou":  # whoever is left may be the one that is held
                them.release()
            for client in them.clients:
                told(client)
        count = {"hup": 2, "ttou": 1, "ttin": 3}[name]
        server.workers = count
        wait_for(lambda: len(children_of(server.pid)) == count, "the workers", 60)
    assert "[ERROR]" not in server.log()

"""Eight threads of one worker at the same time, in parallel where Python has no GIL."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from client import Client
from conftest import StartServer
from harness import Server

THREADS = 8
ROUNDS = 40
SHARP_S = "\u00df"
WAYS = ("list", "shared", "write", "iterate", "file", "hints", "raise")


def visit(server: Server, thread: int, rounds: int) -> int:
    """How many answers were right: each must be the one to its own request."""
    right = 0
    for number in range(rounds):
        with Client(server.address) as client:
            for way in WAYS:
                path = f"/{thread}/\u00e9{SHARP_S * (number % 30)}/{number}"
                mark, body = f"{thread}-{number}-{way}", b"%d" % number * (number % 500)
                target = quote(path)
                answer = client.ask(f"{target}?{way}", "POST", {"X-Mark": mark}, body)
                if way == "raise":  # the last: it ends the connection
                    assert answer.status == 500
                    continue
                assert (answer.get("X-Path"), answer.get("X-Mark")) == (target, mark)
                told = b"one list for all threads" if way == "shared" else path.encode() + body
                assert answer.body == told
                right += 1
    return right


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_every_answer_is_to_its_own_request(serve: StartServer, kind: str) -> None:
    options = [] if kind == "sync" else ["--threads", str(THREADS)]
    server = serve("parallel_app:application", "-k", kind, *options)
    (pid,) = server.worker_pids()
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda thread: visit(server, thread, ROUNDS), range(THREADS))
        assert list(found) == [ROUNDS * (len(WAYS) - 1)] * THREADS
    assert server.worker_pids() == [pid]


@pytest.mark.skipif(not hasattr(sys, "_is_gil_enabled"), reason="Pythons before 3.13 have a GIL")
def test_the_core_leaves_the_gil_off() -> None:
    before = sys._is_gil_enabled()  # type: ignore[attr-defined]
    from monoceros import _core

    assert _core.__version__
    assert sys._is_gil_enabled() == before  # type: ignore[attr-defined]

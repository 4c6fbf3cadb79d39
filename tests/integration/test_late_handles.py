"""What an application keeps of a request, and uses while or after that ends, from other threads,
greenlets and tasks: it raises there, and nobody else notices."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import Client, Gone, fetch
from conftest import StartServer
from harness import IS_GUNICORN, Server

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="a promise of ours")

KINDS = {
    "sync": ["-k", "sync", "late_app:app"],
    "gthread": ["-k", "gthread", "--threads", "4", "late_app:app"],
    "gevent": ["-k", "gevent", "late_app:app"],
    "streamed": ["-k", "gthread", "--threads", "4", "--request-buffering", "off", "late_app:app"],
    "gevent-streamed": ["-k", "gevent", "--request-buffering", "off", "late_app:app"],
    "asgi": ["-k", "asgi", "late_asgi:app"],
}
INNOCENTS = 4  # clients at once
ANSWERS = 800  # to each
PIECES, PIECE_BYTES = 100, 64 * 1024  # of each writer


@pytest.fixture(params=KINDS)
def late(request: pytest.FixtureRequest, serve: StartServer) -> Iterator[Server]:
    *options, app = KINDS[request.param]
    options += ["--timeout", "60", "--request-timeout", "50"]
    server = serve(app, *options)
    yield server


def be_innocent(server: Server, number: int) -> int:
    """How many answers were one's own."""
    right = 0
    with Client(server.address) as client:
        for turn in range(ANSWERS):
            path, body = f"/innocent/{number}/{turn}", b"%d" % turn * (turn % 60)
            answer = client.ask(path, "POST", {}, body)
            assert answer.status == 200
            assert answer.get("X-Stray") is None
            assert answer.body == path.encode() + b" " + body
            right += 1
    return right


def be_late(server: Server, stop: list[bool]) -> int:
    """Asks for what is haunted, whatever that comes to."""
    asked = 0
    while not stop:
        asked += 1
        try:
            with Client(server.address) as client:
                client.ask("/late", "POST", {}, b"body\nof\nmany\nlines" * (asked % 2_000))
        except (Gone, AssertionError, ValueError):
            pass
    return asked


def test_innocent_clients_get_their_own_answers(late: Server) -> None:
    late.announce(busy=True)
    (pid,) = late.worker_pids()
    stop: list[bool] = []
    with ThreadPoolExecutor(INNOCENTS + 2) as pool:
        haunted = [pool.submit(be_late, late, stop) for _ in range(2)]
        found = pool.map(lambda number: be_innocent(late, number), range(INNOCENTS))
        try:
            assert list(found) == [ANSWERS] * INNOCENTS
        finally:
            stop.append(True)
        assert sum(one.result() for one in haunted) > 10
    assert late.worker_pids() == [pid]
    outcomes = json.loads(fetch(late.address, "/tally").body)
    assert sum(count for name, count in outcomes.items() if "raised" in name) > 100, outcomes


@pytest.mark.parametrize("where", ["", "thread"])
def test_each_late_use_raises(late: Server, where: str) -> None:
    for _ in range(3):
        assert fetch(late.address, "/keep").body == b"kept"
        told = json.loads(fetch(late.address, f"/use?{where}").body)
        for use, outcome in told.items():
            over = any(word in outcome for word in ("the end of", "request's end", " already"))
            raised = outcome.startswith("raised") and over
            assert raised or (use == "receive" and "http.disconnect" in outcome), (use, outcome)
    assert b"Traceback" not in late.log().encode()


def test_several_write_one_answer_to_a_slow_reader(late: Server) -> None:
    with Client(late.address) as client:
        client.send(b"GET /together HTTP/1.0\r\n\r\n")
        client.head()
        got = Counter(client.rest())
    assert got == {ord(letter): PIECES * PIECE_BYTES for letter in "abcd"}

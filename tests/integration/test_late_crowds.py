"""Many requests late at one moment, as behind a stalled database: each client gets 504, each
request's stack is in the log once, and the worker lives on.

MONO_PYTHON runs the servers under another interpreter, MONO_LATE_ROUNDS repeats the crowds.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from contextlib import ExitStack

import pytest

from client import Client, Response, patient, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, can_import, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn has no request deadlines")

CROWD = 200
ROUNDS = int(os.environ.get("MONO_LATE_ROUNDS", "1"))
KINDS = {
    "gthread": ("--threads", str(CROWD + 8)),
    "gevent": ("-k", "gevent"),
    "asgi": ("-k", "asgi", "--asgi-loop", "asyncio"),
    "asgi-uvloop": ("-k", "asgi", "--asgi-loop", "uvloop"),
}
FEW = 24  # threads: faulthandler tells of a hundred
NEEDS = {"gevent": "gevent", "asgi-uvloop": "uvloop"}
EVENT = re.compile(r"\[ERROR\] Request timed out: GET \S+ \(request id (\w+), ")


def start(serve: StartServer, kind: str, app: str = "app", **more: object) -> Server:
    if kind in NEEDS and not can_import(NEEDS[kind]):
        pytest.skip(f"no {NEEDS[kind]} there")
    if kind.startswith("asgi"):
        app = "asgi_app"
    args = ("--request-timeout", "1", "--timeout", "600", "--backlog", "1024")
    chosen = ("--threads", str(FEW)) if kind == "few threads" else KINDS.get(kind, ())
    return serve(f"stalled:{app}", *chosen, *args, **more)


def crowd(server: Server, targets: list[str]) -> list[Response]:
    """Asks for all targets at once."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.address, 60)) for _ in targets]
        for client, target in zip(clients, targets, strict=True):
            client.send(request(target, headers={"Connection": "close"}))
        return [client.response() for client in clients]


def ids_of(answers: list[Response]) -> list[str]:
    """Of the answers, which shall all be 504."""
    assert Counter(answer.status for answer in answers) == {504: len(answers)}
    return [str(answer.get("x-request-id")) for answer in answers]


def events(server: Server) -> dict[str, str]:
    """The text of each event by its request; a request has one."""
    parts = EVENT.split(server.log())[1:]
    assert len(parts[::2]) == len(set(parts[::2])), "told twice"
    return dict(zip(parts[::2], parts[1::2], strict=True))


def wait_told(server: Server, ids: list[str]) -> dict[str, str]:
    wait_for(lambda: set(ids) <= set(events(server)), f"{len(ids)} events", 60)
    return events(server)


def check(server: Server, pids: list[int], told: int) -> None:
    """The workers are the same ones, they serve, and they stop in good order."""
    assert server.worker_pids() == pids, server.log()
    assert patient(server.address, "/").status == 200
    assert server.stop(timeout_s=60) == 0
    text = server.log()
    assert len(events(server)) == told
    for fault in ("Traceback", "CRITICAL", "Exception ignored", "was killed", "never retrieved"):
        assert fault not in text, text


@pytest.mark.parametrize("kind", KINDS)
def test_a_crowd_is_late_at_once(kind: str, serve: StartServer) -> None:
    """Threads, greenlets or tasks that all wait for the same thing."""
    server = start(serve, kind)
    pids = server.worker_pids()
    for turn in range(ROUNDS):
        ids = ids_of(crowd(server, [f"/row?{30 + turn}"] * CROWD))
        told = wait_told(server, ids)
        for each in ids:
            assert told[each].count("in await_row") + told[each].count("in async_await_row") == 1
    check(server, pids, CROWD * ROUNDS)


def test_sync_workers_with_late_requests_behind_each_other(serve: StartServer) -> None:
    count = 12 if ROUNDS == 1 else CROWD
    server = start(serve, "sync", workers=4 if ROUNDS == 1 else 10)
    pids = server.worker_pids()
    ids = ids_of(crowd(server, ["/row?30"] * count))
    told = wait_told(server, ids)
    assert all(told[each].count("in await_row") == 1 for each in ids)
    check(server, pids, count)


@pytest.mark.parametrize("kind", ["sync", "gthread"])
def test_a_busy_thread_beside_late_requests(kind: str, serve: StartServer) -> None:
    """Its frames change while it is looked at."""
    server = start(serve, kind, "busy_app", workers=2)
    server.announce(busy=True)
    pids = server.worker_pids()
    for turn in range(ROUNDS):
        ids = ids_of(crowd(server, ["/spin?30", "/row?30", "/row?30"]))
        told = wait_told(server, ids)
        assert sum(told[each].count("in spin") for each in ids) >= 1
        assert any("Thread busy" in told[each] and "in work" in told[each] for each in ids)
        assert turn >= 0
    check(server, pids, 3 * ROUNDS)


def test_late_requests_amid_ordinary_load(serve: StartServer) -> None:
    server = start(serve, "gthread", "busy_app")
    server.announce(busy=True)
    pids = server.worker_pids()
    done = threading.Event()

    def load() -> None:
        with Client(server.address, 60) as client:
            while not done.is_set():
                assert client.ask("/").status == 200

    loaders = [threading.Thread(target=load) for _ in range(4)]
    for loader in loaders:
        loader.start()
    try:
        for _ in range(ROUNDS):
            ids = ids_of(crowd(server, ["/row?30", "/spin?30"] * 20))
            told = wait_told(server, ids)
            for each in ids:
                own = told[each].partition("Meanwhile")[0]
                where = ("in await_row", "in spin", "had not begun")  # the last: it got no GIL
                assert sum(own.count(words) for words in where) == 1, told[each]
    finally:
        done.set()
        for loader in loaders:
            loader.join()
    check(server, pids, 40 * ROUNDS)


@pytest.mark.parametrize("kind", ["gevent", "asgi"])
def test_what_has_not_begun_does_not_begin(kind: str, serve: StartServer) -> None:
    """The first blocks the loop; those behind it are late as well."""
    server = start(serve, kind)
    pids = server.worker_pids()
    ids = ids_of(crowd(server, ["/spin?30"] * 20))
    told = wait_told(server, ids)
    texts = [told[each] for each in ids]
    began = [text for text in texts if "in spin" in text]
    unbegun = [text for text in texts if "had not begun" in text]
    assert len(began) + len(unbegun) == 20
    assert len(began) < 10, "each of them would have blocked the loop for a second or more"
    check(server, pids, 20)


@pytest.mark.parametrize(
    ("kind", "way", "where"),
    [
        ("sync", "gil", "hold_the_gil"),
        ("sync", "c", "wait_in_c"),
        ("few threads", "gil", "hold_the_gil"),
        ("gevent", "gil", "hold_the_gil"),
        ("asgi", "gil", "hold_the_gil"),
        ("asgi", "c", "wait_in_c"),
    ],
)
def test_the_master_tells_of_a_stuck_worker(
    kind: str, way: str, where: str, serve: StartServer
) -> None:
    """With its stacks, which were read without the GIL; the worker goes on when it can."""
    server = start(serve, kind)
    pids = server.worker_pids()
    count = 1
    if kind == "few threads":  # once all are there, the others wait for the GIL, with a request
        tasks = f"/proc/{pids[0]}/task"
        wait_for(lambda: len(os.listdir(tasks)) > FEW, "all threads", 30)
        count = FEW - 4
    ids = ids_of(crowd(server, [f"/{way}?4"] * count))
    told = wait_told(server, ids)
    stuck = [text for text in told.values() if "cannot be interrupted" in text]
    assert stuck
    assert sum(where in text for text in stuck) == 1, "the worker's stacks, once"
    check(server, pids, len(ids))


@pytest.mark.parametrize("kind", ["sync", "gevent", "asgi"])
def test_what_it_raises_may_be_swallowed(kind: str, serve: StartServer) -> None:
    server = start(serve, kind)
    pids = server.worker_pids()
    ids = ids_of(crowd(server, ["/swallow?3"]))
    told = wait_told(server, ids)
    assert "in swallow" in told[ids[0]]
    assert server.output().count("swallowed RequestTimeout") == 1
    check(server, pids, 1)


@pytest.mark.parametrize("kind", ["sync", "gevent", "asgi"])
def test_no_room_for_a_handler(kind: str, serve: StartServer) -> None:
    """At the limit of recursion whatever the handler does fails: it is asked again."""
    server = start(serve, kind)
    pids = server.worker_pids()
    ids = ids_of(crowd(server, ["/recurse?8"] * 2))
    wait_told(server, ids)
    check(server, pids, 2)

"""request_timeout, queue_timeout and the probe, in every worker class: only the guilty request is
ended, its client is answered at the deadline, and the log tells where the application was."""

from __future__ import annotations

import contextlib
import re
import threading
import time

import pytest

from client import Client, Gone, fetch, patient
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn has no request deadlines")

KINDS = {
    "sync": (),
    "gthread": ("--threads", "3"),
    "gevent": ("-k", "gevent"),
    "asgi": ("-k", "asgi", "--asgi-loop", "asyncio"),
    "asgi-uvloop": ("-k", "asgi", "--asgi-loop", "uvloop"),
}
WAYS = {
    "sync": ("sleep", "spin", "gil"),
    "gthread": ("spin", "gil"),
    "gevent": ("sleep", "spin", "gil"),
    "asgi": ("sleep", "block", "gil"),
    "asgi-uvloop": ("sleep", "block", "gil"),
}


def app_of(kind: str) -> str:
    return "stuck:asgi_app" if kind.startswith("asgi") else "stuck:app"


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_guilty_request_is_ended(kind: str, serve: StartServer) -> None:
    server = serve(app_of(kind), *KINDS[kind], "--request-timeout", "1")
    for way in WAYS[kind]:
        seconds = "1.5" if way == "gil" else "30"
        answer = patient(server.address, f"/{way}?{seconds}")
        assert answer.status == 504, way
        request_id = answer.get("x-request-id")
        assert request_id is not None
        assert request_id.encode() in answer.body
        words = f"Request timed out: GET /{way}?{seconds} (request id {request_id}"
        server.wait_log(words, timeout_s=60)
    text = server.log()
    assert text.count("Request timed out") == len(WAYS[kind]), "each is told once"
    assert "stuck.py" in text, "where the application was"
    assert patient(server.address, "/").status == 200
    assert text.count("Booting worker") == 1, "the worker lives on"
    assert server.stop() == 0
    sums = re.search(r"accepted (\d+) = answered (\d+) \+ refused (\d+) \+ aborted", server.log())
    assert sums is not None
    assert int(sums[3]) >= len(WAYS[kind])


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "asgi"])
def test_a_worker_that_cannot_be_interrupted_is_replaced(kind: str, serve: StartServer) -> None:
    """request_kill_timeout, with C code that holds the GIL for ever: first the replacement."""
    limits = ("--request-timeout", "1", "--request-kill-timeout", "2")
    server = serve(app_of(kind), *KINDS[kind], *limits, "--timeout", "600", workers=1)
    (pid,) = server.worker_pids()
    answer = patient(server.address, "/deadlock")
    assert answer.status == 504
    request_id = answer.get("x-request-id")
    assert request_id is not None
    server.wait_log("it held requests past request_kill_timeout", timeout_s=60)
    told = [
        f"Worker (pid:{pid}) holds 1 requests that run longer than request_kill_timeout",
        "Booting worker",
        f"Worker (pid:{pid}) has only stuck requests left and is aborted",
        f"Worker (pid:{pid}) did not react to ABRT and is killed",
        f"Worker (pid:{pid}) was killed by SIGKILL: it held requests past request_kill_timeout",
        "It held 1 request:",
        "GET /deadlock from 127.0.0.1, in the application for",
    ]
    text = server.log().partition("Booting worker")[2]
    assert text.count(f"Request timed out: GET /deadlock (request id {request_id}") == 1
    places = [text.find(words) for words in told]
    assert -1 not in places, told[places.index(-1)]
    assert places == sorted(places)
    assert patient(server.address, "/").status == 200


@pytest.mark.parametrize("kind", ["gthread", "gevent", "asgi"])
def test_who_is_beside_it_gets_an_answer(kind: str, serve: StartServer) -> None:
    """A request with an extended deadline goes down with the worker, when its grace is over."""
    limits = ("--request-timeout", "1", "--request-kill-timeout", "2", "--graceful-timeout", "4")
    server = serve(app_of(kind), *KINDS[kind], *limits, "--timeout", "600", workers=1)
    with Client(server.address, timeout_s=60) as beside:
        beside.send(b"GET /extended?600 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_for(lambda: "extended" in server.output(), "it to be in the application", 30)
        assert patient(server.address, "/deadlock").status == 504
        answer = beside.response()
    assert answer.status in {502, 504}
    assert answer.get("x-request-id") is not None
    assert patient(server.address, "/").status == 200


@pytest.mark.parametrize("kind", ["sync", "gevent", "asgi"])
def test_an_application_can_ask_for_more(kind: str, serve: StartServer) -> None:
    server = serve(app_of(kind), *KINDS[kind], "--request-timeout", "1")
    assert patient(server.address, "/extended?2").status == 200
    assert "extended True" in server.output()
    assert "timed out" not in server.log()


def test_a_threads_sleep_is_answered_though_not_interrupted(serve: StartServer) -> None:
    """time.sleep() outside the main thread hears nothing; the client does not wait for it."""
    server = serve("stuck:app", *KINDS["gthread"], "--request-timeout", "1")
    began = time.monotonic()
    assert patient(server.address, "/sleep?8").status == 504
    assert patient(server.address, "/").status == 200
    assert time.monotonic() - began < 8, "others are served beside it"


def test_what_is_interrupted_can_clean_up(serve: StartServer) -> None:
    server = serve("stuck:app", "--request-timeout", "1")
    assert patient(server.address, "/catch").status == 504
    wait_for(lambda: "caught RequestTimeout" in server.output(), "the exception", 30)


def test_a_request_that_waited_too_long_is_not_begun(serve: StartServer) -> None:
    server = serve("stuck:app", "--queue-timeout", "1")
    with Client(server.address, timeout_s=60) as kept:
        assert kept.ask("/").status == 200
        slow = threading.Thread(target=patient, args=(server.address, "/sleep?4"))
        slow.start()
        wait_entered(server, 2)  # it has the only slot
        answer = kept.ask("/late")
        slow.join()
    assert answer.status == 503
    assert answer.get("retry-after") == "1"
    server.wait_log("[queue-timeout", timeout_s=20)


def test_the_probe_says_when_the_server_stops(serve: StartServer) -> None:
    """And for drain_delay seconds it goes on accepting meanwhile."""
    server = serve("stuck:app", "--readiness-path", "/-/ready", "--drain-delay", "3")
    assert fetch(server.address, "/-/ready").body == b"ready\n"
    server.signal(15)
    wait_for(lambda: fetch(server.address, "/-/ready").status == 503, "the probe to say so", 10)
    late = fetch(server.address, "/")
    assert late.status == 200
    assert late.get("connection") == "close"
    assert server.wait() == 0


def entered(server: Server) -> int:
    """How many requests the application of stuck.py has got."""
    place = server.directory / "entered"
    return len(place.read_text().splitlines()) if place.exists() else 0


def wait_entered(server: Server, count: int) -> None:
    """Until it has got as many."""
    wait_for(lambda: entered(server) >= count, f"{count} requests in the application", 30)


def held_for(server: Server, seconds: float) -> threading.Thread:

    def hold() -> None:
        with contextlib.suppress(Gone):
            patient(server.address, f"/sleep?{seconds}")

    thread = threading.Thread(target=hold, daemon=True)
    before = entered(server)
    thread.start()
    wait_entered(server, before + 1)
    return thread


def test_a_stop_refuses_what_it_cannot_serve(serve: StartServer) -> None:
    """The worker is busy until after graceful_timeout: who waits behind gets 503, not a reset."""
    server = serve("stuck:app", "--graceful-timeout", "4")
    with Client(server.address, timeout_s=60) as kept:
        assert kept.ask("/").status == 200
        held_for(server, 30)
        kept.send(b"GET /waits HTTP/1.1\r\nHost: a\r\n\r\n")
        server.signal(15)
        answer = kept.response()
    assert answer.status == 503
    assert server.wait(30) == 0

"""An interruption that Python drops (in __del__, in a weak reference's callback, in the
collector) comes again, in the code behind: what request_timeout asks for, and a stop's end."""

from __future__ import annotations

import signal

import pytest

from client import Client, patient, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn has no request deadlines")

CLASSES: dict[str, tuple[str, ...]] = {
    "sync": ("late_drops:app",),
    "gthread": ("late_drops:app", "--threads", "2"),
    "gevent": ("late_drops:app", "-k", "gevent"),
    "asyncio": ("late_drops:asgi_app", "-k", "asgi", "--asgi-loop", "asyncio"),
    "uvloop": ("late_drops:asgi_app", "-k", "asgi", "--asgi-loop", "uvloop"),
}
WAYS = ("in_del", "in_weakref", "in_collector", "in_generator")
WAITS = {"gevent": ("spin", "steps"), "gthread": ("spin", "steps")}


def heard(server: Server) -> int:
    return server.output().count("behind it")


def check_log(server: Server) -> None:
    for words in ("Exception ignored", "Traceback", "Error handling request", "in vain"):
        assert words not in server.log(), server.log()


@pytest.mark.parametrize("name", CLASSES)
def test_a_late_request(name: str, serve: StartServer) -> None:
    server = serve(*CLASSES[name], "--request-timeout", "1", "--timeout", "180")
    (worker,) = server.worker_pids()
    paths = [f"/{way}/{wait}" for way in WAYS for wait in WAITS.get(name, ("spin",))]
    for count, path in enumerate(paths, 1):
        assert patient(server.address, path).status == 504
        wait_for(lambda count=count: heard(server) == count, f"{path}: the code behind to hear")
        assert patient(server.address, "/").status == 200
    assert server.log().count("Request timed out") == len(paths), "each is told once"
    assert server.worker_pids() == [worker]
    assert server.stop() == 0
    check_log(server)


@pytest.mark.parametrize("name", ["sync", "gthread"])
@pytest.mark.parametrize("way", WAYS)
def test_at_the_end_of_a_stop(name: str, way: str, serve: StartServer) -> None:
    server = serve(*CLASSES[name], "--graceful-timeout", "4", "--timeout", "180")
    with Client(server.address) as client:
        client.send(request(f"/{way}/spin"))
        wait_for(lambda: "inside" in server.output(), "it to be where exceptions are dropped")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert "behind it StopTimeout" in server.output()
    assert "1 request is ended: graceful_timeout is over" in server.log()
    check_log(server)

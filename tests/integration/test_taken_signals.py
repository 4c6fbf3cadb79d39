"""Applications that take over signals: handlers, wake-up descriptor, the loop's handlers. A stop
gets through all the same, soon, and the lifespan's end is told."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from test_asgi import noted

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

APP = "asgi_signals:app"
LATE = "180"  # graceful_timeout: a stop that waits for it fails the test
WAYS = ["handler", "exit", "chain", "descriptor", "loop", "default", "handler descriptor"]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["asgi", "uvicorn.workers.UvicornWorker"])
def test_term(serve: StartServer, loop: str, way: str, name: str) -> None:
    options = ["-k", name, "--asgi-loop", loop, "--graceful-timeout", LATE]
    server = serve(APP, *options, env={"TAKES": way})
    with Client(server.address) as client:
        client.send(request("/sleep"))
        noted(server, "sleeping")
        assert server.stop() == 0
        assert client.response().status == 200
    assert (server.directory / "shutdown").exists()
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("way", ["handler", "loop"])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop(serve: StartServer, loop: str, way: str, signum: int) -> None:
    options = ["-k", "asgi", "--asgi-loop", loop, "--graceful-timeout", LATE]
    server = serve(APP, *options, env={"TAKES": way})
    assert fetch(server.address, "/").status == 200
    assert server.stop(signum) == 0


@pytest.mark.parametrize("way", ["handler", "descriptor", "loop"])
def test_reload_and_recycling(serve: StartServer, loop: str, way: str) -> None:
    options = ["-k", "asgi", "--asgi-loop", loop, "--graceful-timeout", LATE]
    server = serve(APP, *options, "--max-requests", "3", env={"TAKES": way})
    (first,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    wait_for(lambda: first not in server.worker_pids(), "the old worker to leave")
    assert (server.directory / "shutdown").exists()
    (second,) = server.worker_pids()
    for _ in range(3):
        assert int(fetch(server.address, "/").body) == second
    wait_for(lambda: second not in server.worker_pids(), "the worker to be replaced")


def replaced(server: Server, signum: int) -> None:
    """By somebody else than the master."""
    server.announce(descriptors=2)  # of the application
    assert fetch(server.address, "/").status == 200
    (worker,) = server.worker_pids()

    def left() -> bool:
        """A handler that was set a moment ago may have swallowed the first one unheard."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signum)
        return worker not in server.worker_pids()

    wait_for(left, "the worker to leave")
    assert fetch(server.address, "/").status == 200


@pytest.mark.parametrize("way", ["handler", "chain", "descriptor", "loop", "handler descriptor"])
def test_term_to_the_worker_itself(serve: StartServer, loop: str, way: str) -> None:
    options = ["-k", "asgi", "--asgi-loop", loop, "--graceful-timeout", LATE]
    server = serve(APP, *options, env={"TAKES": way})
    replaced(server, signal.SIGTERM)
    assert (server.directory / "shutdown").exists()


@pytest.mark.parametrize("way", ["handler", "descriptor", "green"])
@pytest.mark.parametrize("when", ["early()", "wsgi"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "tornado"])
def test_term_to_a_worker_of_another_class(
    serve: StartServer, kind: str, way: str, when: str
) -> None:
    if way == "green" and kind != "gevent":
        pytest.skip("its hub does not run here")
    options = ["-k", kind, "--threads", "2" if kind == "gthread" else "1"]
    server = serve(f"asgi_signals:{when}", *options, env={"TAKES": way})
    replaced(server, signal.SIGTERM)


@pytest.mark.parametrize("way", ["handler", "descriptor"])
@pytest.mark.parametrize("when", ["early()", "wsgi"])
@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "tornado"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_other_classes(serve: StartServer, kind: str, way: str, when: str, signum: int) -> None:
    app = f"asgi_signals:{when}"
    options = ["-k", kind, "--threads", "2" if kind == "gthread" else "1"]
    server = serve(app, *options, "--graceful-timeout", LATE, env={"TAKES": way})
    assert fetch(server.address, "/").status == 200
    assert server.stop(signum) == 0

"""Streams without an end when a worker stops: their applications hear of it, and clean up before
the master kills; so does the lifespan."""

from __future__ import annotations

import signal
import time

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, Server, wait_for
from test_asgi import noted
from third_party import path_with, third_party

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

APP = "endless:app"
SSE = "endless:with_sse()"
ALIAS = "uvicorn.workers.UvicornWorker"
LONG = ("--graceful-timeout", "180")  # a stop that waits for it fails the test


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def streaming(server: Server, *targets: str) -> list[Client]:
    """A client each, at its stream."""
    clients = []
    for target in targets:
        client = Client(server.address)
        client.send(request(target))
        assert client.head().status == 200
        clients.append(client)
    return clients


def end(server: Server, signum: int) -> None:
    """TERM, or HUP and the old worker's end."""
    (old,) = server.worker_pids()
    server.signal(signum)
    if signum == signal.SIGTERM:
        assert server.wait() == 0
    else:
        wait_for(lambda: old not in server.worker_pids(), "the old worker to leave")


def finished(server: Server, *names: str) -> None:
    for name in names:
        assert (server.directory / f"finally-{name}").exists(), f"{name} did not clean up"


@pytest.mark.parametrize("name", ["asgi", ALIAS])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_all_clean_up_before_the_kill(
    serve: StartServer, loop: str, name: str, signum: int
) -> None:
    options = ["-k", name, "--asgi-loop", loop, "--graceful-timeout", "4"]
    server = serve(APP, *options)
    clients = streaming(server, "/blind", "/blind", "/download", "/asking")
    end(server, signum)
    finished(server, "blind", "download", "asking")
    assert (server.directory / "shutdown").exists(), "the lifespan was not told"
    del clients


@pytest.mark.parametrize("name", ["asgi", ALIAS])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_who_asks_is_told_at_once(serve: StartServer, loop: str, name: str, signum: int) -> None:
    server = serve(APP, "-k", name, "--asgi-loop", loop, *LONG)
    (client,) = streaming(server, "/asking")
    end(server, signum)
    finished(server, "asking")
    assert client.rest().endswith(b"0\r\n\r\n"), "the stream ends in good order"
    assert (server.directory / "shutdown").exists()
    assert "without a complete response" not in server.log()


def test_stream_grace(serve: StartServer, loop: str) -> None:
    server = serve(APP, "-k", "asgi", "--asgi-loop", loop, *LONG, "--stream-grace", "2")
    _client = streaming(server, "/asking")
    began = time.monotonic()
    assert server.stop() == 0
    assert float(noted(server, "finally-asking")) - began >= 2


def test_a_download_is_not_told(serve: StartServer, loop: str) -> None:
    options = ["-k", "asgi", "--asgi-loop", loop, "--graceful-timeout", "4"]
    server = serve(APP, *options)
    _client = streaming(server, "/download")
    began = time.monotonic()
    assert server.stop() == 0
    assert float(noted(server, "finally-download")) - began >= 2.5


@pytest.mark.parametrize("name", ["asgi", ALIAS])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_sse_starlette_hears(serve: StartServer, loop: str, name: str, signum: int) -> None:
    env = path_with(third_party())
    server = serve(SSE, "-k", name, "--asgi-loop", loop, *LONG, env=env)
    _clients = streaming(server, "/sse")
    end(server, signum)
    finished(server, "sse")
    assert (server.directory / "shutdown").exists()
    assert "without a complete response" not in server.log()


@pytest.mark.parametrize("name", ["asgi", ALIAS])
def test_sse_starlette_says_farewell(serve: StartServer, loop: str, name: str) -> None:
    env = path_with(third_party())
    server = serve(SSE, "-k", name, "--asgi-loop", loop, *LONG, env=env)
    (client,) = streaming(server, "/farewell")
    assert server.stop() == 0
    assert b"data: farewell" in client.rest()


@pytest.mark.parametrize("name", ["asgi", ALIAS])
def test_sse_starlette_waits_for_stream_grace(serve: StartServer, loop: str, name: str) -> None:
    """What has an end before it gets there."""
    env = path_with(third_party())
    options = ["-k", name, "--asgi-loop", loop, *LONG, "--stream-grace", "20"]
    server = serve(SSE, *options, env=env)
    (client,) = streaming(server, "/few")
    server.signal(signal.SIGTERM)
    assert b"data: last" in client.rest()
    assert server.wait() == 0


@pytest.mark.parametrize("name", ["asgi", ALIAS])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_stream_that_begins_as_the_worker_ends(
    serve: StartServer, loop: str, name: str, signum: int
) -> None:
    """Its head began before: it is short, and has an end in good order; the log is quiet."""
    env = path_with(third_party())
    server = serve(SSE, "-k", name, "--asgi-loop", loop, *LONG, env=env)
    with Client(server.address) as first, Client(server.address) as client:
        first.send(request("/sse"))
        assert first.head().status == 200
        client.send(request("/sse")[:-2])
        assert fetch(server.address, "/plain").body == b"plain"  # the server has read it by now
        old = server.worker_pids()
        server.signal(signum)
        assert first.rest().endswith(b"0\r\n\r\n")
        client.send(b"\r\n")
        assert client.head().status == 200
        assert client.rest().endswith(b"0\r\n\r\n")
    if signum == signal.SIGTERM:
        assert server.wait() == 0
    else:
        wait_for(lambda: not set(old) & set(server.worker_pids()), "the old worker to leave")
    assert "[ERROR]" not in server.log()


def test_who_refuses_to_end_does_not_keep_the_lifespan_from_its_own(
    serve: StartServer, loop: str
) -> None:
    options = ["-k", "asgi", "--asgi-loop", loop, "--graceful-timeout", "4"]
    server = serve("endless:stubborn", *options)
    server.announce("did not end when it was cancelled")
    _clients = streaming(server, "/")
    server.signal(signal.SIGTERM)
    server.wait()
    finished(server, "stubborn")
    assert (server.directory / "shutdown").exists()


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("target", ["/object", "/generator"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_wsgi_streams_are_closed(serve: StartServer, kind: str, target: str, signum: int) -> None:
    server = serve("endless:wsgi", "-k", kind, "--graceful-timeout", "4")
    (client,) = streaming(server, target)
    end(server, signum)
    finished(server, target[1:])
    assert not client.rest().endswith(b"0\r\n\r\n"), "it must not look whole"


@pytest.mark.parametrize("kind", ["sync", "gevent"])
def test_one_that_waits_is_ended(serve: StartServer, kind: str) -> None:
    server = serve("endless:wsgi", "-k", kind, "--graceful-timeout", "4")
    _client = streaming(server, "/waiting")
    assert server.stop() == 0
    finished(server, "waiting")


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_one_that_yields_nothing_is_ended(serve: StartServer, kind: str, signum: int) -> None:
    server = serve("endless:wsgi", "-k", kind, "--graceful-timeout", "4")
    (client,) = streaming(server, "/begun")
    end(server, signum)
    finished(server, "begun")
    assert "1 request is ended: graceful_timeout is over." in server.log()
    assert not client.rest().endswith(b"0\r\n\r\n"), "it must not look whole"


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_one_that_has_not_begun_is_ended_and_answered(serve: StartServer, kind: str) -> None:
    server = serve("endless:wsgi", "-k", kind, "--graceful-timeout", "4")
    with Client(server.address) as client:
        client.send(request("/quiet"))
        noted(server, "running")
        assert server.stop() == 0
        assert client.response().status == 500
    finished(server, "quiet")

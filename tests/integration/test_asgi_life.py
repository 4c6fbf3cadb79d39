"""The life of asgi workers: lifespan, drains, ends, crowds; and who becomes one without -k."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import APPS, IS_GUNICORN, STUCK, wait_for
from load import Load
from test_asgi import APP, ASGI, noted

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own asgi worker")


# Lifespan


@pytest.mark.parametrize("mode", ["auto", "on", "off"])
def test_lifespan_that_completes(serve: StartServer, mode: str) -> None:
    server = serve(APP, "-k", "asgi", "--asgi-lifespan", mode)
    assert fetch(server.address, "/hello").body == b"hello"
    assert server.stop() == 0
    assert (server.directory / "shutdown").exists() == (mode != "off")
    if mode != "off":
        assert json.loads(noted(server, "lifespan-scope")) == {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "state": {"shared": []},
        }


@pytest.mark.parametrize("way", ["none", "raise", "return"])
def test_lifespan_that_is_not_there(serve: StartServer, launch: StartServer, way: str) -> None:
    server = serve(APP, "-k", "asgi", env={"LIFESPAN": way})
    assert fetch(server.address, "/hello").body == b"hello"
    server = launch(APP, "-k", "asgi", "--asgi-lifespan", "on", env={"LIFESPAN": way})
    assert server.wait() == 3
    assert "did not start" in server.log()


def test_lifespan_that_fails(launch: StartServer) -> None:
    server = launch(APP, "-k", "asgi", env={"LIFESPAN": "failed"})
    assert server.wait() == 3
    assert "failed on purpose" in server.log()


def test_lifespan_that_ends_badly(serve: StartServer) -> None:
    server = serve(APP, "-k", "asgi", env={"LIFESPAN": "bad-end"})
    fetch(server.address, "/hello")
    assert server.stop() == 0
    assert "ended on purpose" in server.log()


# The end


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_term_with_a_long_stream(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop)
    with Client(server.address) as client, Client(server.address) as idle:
        assert idle.ask("/hello").body == b"hello"
        client.send(request("/trickle?n=10&s=0.1"))
        assert client.head().status == 200
        server.signal(signal.SIGTERM)
        assert idle.closed()
        data = client.rest()
        assert data.endswith(b"0\r\n\r\n") and b"9\n" in data
    assert server.wait() == 0
    assert (server.directory / "shutdown").exists()


def test_what_was_left_running_is_cancelled_and_awaited(serve: StartServer, loop: str) -> None:
    server = serve("asgi_background:app", "--asgi-lifespan", "off", *ASGI, loop)
    assert fetch(server.address, "/").body == b"hello"
    assert server.stop() == 0
    assert "task ended" in server.output()
    assert "generator ended" in server.output()
    assert "was destroyed" not in server.log()


def test_a_task_that_refuses_to_end_is_named(serve: StartServer, loop: str) -> None:
    server = serve("asgi_background:app", "--asgi-lifespan", "off", *ASGI, loop)
    assert fetch(server.address, "/stuck").body == b"hello"
    assert server.stop() == 0
    assert "task ended" in server.output()
    assert "did not end when it was cancelled" in server.log()


def test_graceful_timeout(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--graceful-timeout", "1")
    with Client(server.address) as client:
        client.send(request("/trickle?n=1000&s=0.1"))
        assert client.head().status == 200
        began = time.monotonic()
        assert server.stop() == 0
        assert 0.8 < time.monotonic() - began < 5
        assert not client.rest().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop(serve: StartServer, loop: str, signum: int) -> None:
    server = serve(APP, *ASGI, loop)
    with Client(server.address) as client:
        client.send(request("/trickle?n=1000&s=0.1"))
        assert client.head().status == 200
        began = time.monotonic()
        assert server.stop(signum) == 0
        assert time.monotonic() - began < 4
    assert not (server.directory / "shutdown").exists(), (
        "no lifespan shutdown when it must be quick"
    )
    assert "Traceback" not in server.log()


def test_term_under_load(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, workers=2)
    with Load(server.address, "/sleep?s=0.05", count=8) as load:
        wait_for(lambda: load.count() > 20, "some requests")
        signalled = time.monotonic()
        assert server.stop() == 0
        load.stop()
    lost = [one for one in load.failures() if one.began < signalled - 0.05]
    assert not lost, lost[:3]
    assert "Traceback" not in server.log()


def test_max_requests(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop, "--max-requests", "20")
    with Load(server.address, "/pid", count=4) as load:
        wait_for(lambda: load.count() >= 150, "150 requests", 30)
        load.stop()
    assert not load.failures(), load.failures()[:3]
    assert len(load.bodies()) >= 4
    server.wait_log("Autorestarting worker after current request.", 3)


def test_stuck_loop_is_replaced(serve: StartServer, loop: str, tmp_path: Path) -> None:
    """A loop that is stuck in Python calls no callback, but the hook is called."""
    conf = tmp_path / "conf.py"
    conf.write_text("def worker_abort(worker):\n    worker.log.info('aborted on purpose')\n")
    server = serve(APP, *ASGI, loop, "--timeout", "2", "-c", str(conf), expects=STUCK)
    (pid,) = server.worker_pids()
    with Client(server.address) as client:
        client.send(request("/block?s=60"))
        server.wait_log(f"WORKER TIMEOUT (pid:{pid})", timeout_s=8)
        server.wait_log("aborted on purpose")
        wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
    wait_for(lambda: fetch(server.address, "/hello").body == b"hello", "an answer")


def test_application_that_leaves(serve: StartServer, loop: str) -> None:
    server = serve(APP, *ASGI, loop)
    (pid,) = server.worker_pids()
    with Client(server.address) as busy:
        busy.send(request("/sleep?s=0.5"))
        noted(server, "sleeping")
        assert fetch(server.address, "/leave").status == 500
        assert busy.response().body == b"slept"
    server.wait_log(f"The application asked worker {pid} to leave")
    wait_for(lambda: server.worker_pids() != [pid], "another worker")
    assert fetch(server.address, "/hello").body == b"hello"


# Detection


@pytest.mark.parametrize("app", [APP, "asgi_probe:instance"])
@pytest.mark.parametrize("options", [(), ("--threads", "4"), ("--preload",)])
def test_detected(serve: StartServer, app: str, options: tuple[str, ...]) -> None:
    server = serve(app, *options)
    assert fetch(server.address, "/hello").body == b"hello"
    assert "Using worker: asgi" in server.log()
    with Client(server.address) as client:
        client.send(request("/sleep?s=0.5"))
        noted(server, "sleeping")
        assert server.stop() == 0
        assert client.response().body == b"slept"


def test_detected_quick_stop(serve: StartServer) -> None:
    server = serve(APP)
    with Client(server.address) as client:
        client.send(request("/sleep?s=30"))
        noted(server, "sleeping")
        assert server.stop(signal.SIGINT) == 0
    assert "Traceback" not in server.log()


def test_not_detected(serve: StartServer) -> None:
    server = serve("asgi_probe:plain_wsgi")
    assert fetch(server.address, "/").body == b"wsgi"
    assert "asynchronous" not in server.log()


def test_syntax_error_with_reload(serve: StartServer, tmp_path: Path) -> None:
    """The answer says what is wrong, until the file is mended."""
    broken = tmp_path / "broken.py"
    broken.write_text("async def app(:\n")
    path = {"PYTHONPATH": str(APPS)}
    server = serve("broken:app", "-k", "asgi", "--reload", cwd=tmp_path, env=path)
    server.announce("SyntaxError: invalid syntax")
    answer = fetch(server.address, "/")
    assert (answer.status, answer.get("Content-Type")) == (500, "text/plain")
    assert b"SyntaxError" in answer.body
    broken.write_text("from asgi_probe import app\n")
    wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
    wait_for(lambda: fetch(server.address, "/hello").body == b"hello", "an answer")


@pytest.mark.parametrize("name", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker"])
@pytest.mark.parametrize("hidden", [True, False], ids=["uvicorn-hidden", "as-it-is"])
def test_foreign_names(serve: StartServer, tmp_path: Path, name: str, hidden: bool) -> None:
    env = {}
    if hidden:  # an installed uvicorn cannot be imported
        for package in ("uvicorn", "uvicorn_worker"):
            (tmp_path / f"{package}.py").write_text("raise ImportError('hidden')\n")
        env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = serve(APP, "-k", name, env=env)
    answer = fetch(server.address, "/hello")
    assert (answer.body, answer.get("Server")) == (b"hello", "monoceros")
    assert f"{name} means monoceros' own asgi worker" in server.log()

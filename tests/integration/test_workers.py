"""The threaded and the gevent worker: what the sync worker promises holds for them as well.

Tests of other files are run again here, on servers of other kinds: only the fixtures differ.
What is particular to one kind comes after them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from client import Client, fetch, request
from conftest import StartServer
from harness import APPS, IS_GUNICORN, STUCK, Server, wait_for
from load import Load
from patience import pace
from test_frameworks import (  # noqa: F401
    FRAMEWORKS,
    Site,
    session,
    test_exception,
    test_get,
    test_large_download,
    test_many_at_once,
    test_session,
    test_stream,
    test_upload,
)
from test_http import (  # noqa: F401
    test_http_1_0_keep_alive,
    test_keep_alive,
    test_pipelined_bodies,
    test_pipelined_error_after_a_good_request,
    test_pipelining,
)
from test_limits import (  # noqa: F401
    OUR_SETTINGS,
    SETTINGS,
    test_body_too_large_by_its_length,
    test_body_too_large_in_chunks,
    test_head_timeout,
    test_head_too_large,
    test_refusal,
)
from test_processes import (  # noqa: F401
    test_graceful_timeout_is_the_limit,
    test_hup_reloads_the_code_and_loses_nothing,
    test_quick_stop,
    test_term_finishes_what_is_in_flight,
    test_term_under_load,
)
from test_slow_clients import (  # noqa: F401
    test_everybody_at_once,
)
from test_wsgi_files import test_what_is_read_is_sent  # noqa: F401
from test_wsgi_response import (  # noqa: F401
    test_close_of_a_mute_iterable_after_the_client_left,
    test_write_behind_the_end,
    token,
)

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about our own workers")

KINDS = {"gthread": ("-k", "gthread", "--threads", "4"), "gevent": ("-k", "gevent")}


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(tmp_path: Path, kind: str) -> Iterator[StartServer]:
    """As conftest's, of this kind of worker."""
    count = 0
    with contextlib.ExitStack() as stack:

        def start(app: str = "probe:app", *args: str, **options: object) -> Server:
            nonlocal count
            count += 1
            directory = tmp_path / f"server{count}"
            more = (*KINDS[kind], *args)
            server = Server(app, *more, directory=directory, **options)  # type: ignore[arg-type]
            return stack.enter_context(server)

        yield start


def _server(kind: str, factory: pytest.TempPathFactory, *args: str) -> Server:
    directory = factory.mktemp(kind)
    options = ["--access-logfile", "-", *args]
    return Server("probe:app", *KINDS[kind], *options, directory=directory)


@pytest.fixture(scope="module")
def probe(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _server(kind, tmp_path_factory) as server:
        yield server


@pytest.fixture(scope="module")
def files(probe: Server) -> Server:
    return probe


@pytest.fixture(scope="module")
def limited(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _server(kind, tmp_path_factory, *SETTINGS) as server:
        yield server


@pytest.fixture(scope="module")
def ours(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _server(kind, tmp_path_factory, *OUR_SETTINGS) as server:
        yield server


@pytest.fixture(scope="module", params=["flask", "django"])
def site(
    request: pytest.FixtureRequest, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    name = request.param
    directory = tmp_path_factory.mktemp(f"{name}-{kind}")
    env = {"MONO_DJANGO_DIR": str(directory)}
    if name == "django":
        command = [sys.executable, str(APPS / "django_app.py"), "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, **env}, check=True, timeout=60)
    options = [*KINDS[kind], "--access-logfile", "-"]
    with Server(FRAMEWORKS[name], *options, directory=directory, workers=2, env=env) as server:
        yield Site(name, server)


# Both kinds


def at_once(server: Server, target: str, count: int) -> tuple[list[bytes], float]:
    """The answers to as many simultaneous requests, and how long they took together."""

    def ask(number: int) -> bytes:
        return fetch(server.address, target.format(number)).body

    with ThreadPoolExecutor(count) as pool:
        began = time.monotonic()
        answers = list(pool.map(ask, range(count)))
    return answers, time.monotonic() - began


def test_four_at_once(probe: Server) -> None:
    answers, _ = at_once(probe, "/meet?n=4&token=four", 4)
    assert answers == [b"met"] * 4


def test_pipelined_requests_wait_for_nothing(probe: Server) -> None:
    """Not for the next tick of whatever drives the engine: 50 in one piece take less than ten
    times what 50 take that are asked one by one."""
    with Client(probe.address) as client:
        began = time.monotonic()
        for _ in range(50):
            assert client.ask("/hello").body == b"hello"
        one_by_one_s = time.monotonic() - began
        client.send(request("/hello") * 50)
        assert [client.response().body for _ in range(50)] == [b"hello"] * 50
        assert time.monotonic() - began < 11 * max(one_by_one_s, 0.05)


def test_environ_says_what_it_is(probe: Server) -> None:
    environ = json.loads(fetch(probe.address, "/environ").body)
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is False


def test_exceptions(probe: Server) -> None:
    for name in ("RuntimeError", "OSError", "GeneratorExit"):
        assert fetch(probe.address, f"/raise?kind={name}&token={name}t").status == 500
        probe.wait_log(f"raised on purpose {name}t")
    assert fetch(probe.address, "/hello").body == b"hello"


def test_access_lines(probe: Server) -> None:
    fetch(probe.address, "/hello?seen=1")
    lines = wait_for(lambda: [x for x in probe.access_lines() if "seen=1" in x], "an access line")
    assert '"GET /hello?seen=1 HTTP/1.1" 200 5 ' in lines[0]


def test_max_requests(serve: StartServer) -> None:
    server = serve("probe:app", "--max-requests", "30")
    with Load(server.address, "/pid", count=4) as load:
        wait_for(lambda: load.count() >= 150, "150 requests", 30)
    assert not load.failures(), load.failures()[:3]
    assert len(load.bodies()) >= 3
    server.wait_log("Autorestarting worker after current request.", 3)


def test_stopped_worker_is_replaced(serve: StartServer) -> None:
    server = serve("probe:app", "--timeout", "2", expects=STUCK)
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    server.wait_log(f"WORKER TIMEOUT (pid:{pid})", timeout_s=8)
    wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
    assert fetch(server.address, "/hello").body == b"hello"


def test_slow_requests_do_not_stop_the_heart(serve: StartServer) -> None:
    server = serve("probe:app", "--timeout", "3")  # booting counts too
    answers, _ = at_once(server, "/sleep?s=4.5", 4)
    assert answers == [b"slept"] * 4
    assert "WORKER TIMEOUT" not in server.log()


def test_application_that_leaves(serve: StartServer, kind: str) -> None:
    """SystemExit: what else is in flight is answered, and another worker comes. With gevent it
    ends its greenlet only."""
    server = serve()
    (pid,) = server.worker_pids()
    with Client(server.address) as busy:
        busy.send(request("/sleep?s=0.6"))
        wait_for((server.directory / "sleeping").exists, "the application")
        assert fetch(server.address, "/raise?kind=SystemExit&token=x").status == 500
        assert busy.response().body == b"slept"
    if kind == "gthread":
        wait_for(lambda: server.worker_pids() != [pid], "another worker")
    assert (int(fetch(server.address, "/pid").body) == pid) == (kind == "gevent")


HOOKS = """
def pre_request(worker, req):
    worker.log.info("before %s %s", req.path, dict(req.headers).get("X-ONE"))
def post_request(worker, req, environ, resp):
    worker.log.info("after %s %s %s", req.uri, resp.status, resp.sent)
"""


@pytest.mark.parametrize("which", ["sync", "gthread", "gevent", "asgi"])
def test_hooks_and_access_log(tmp_path: Path, which: str) -> None:
    """Each hook hears of a request once, and one access line is written."""
    (tmp_path / "conf.py").write_text(HOOKS)
    app = "asgi_probe:app" if which == "asgi" else "probe:app"
    options = ("-k", which, "-c", str(tmp_path / "conf.py"), "--access-logfile", "-")
    with Server(app, *options, directory=tmp_path / "server") as server:
        assert fetch(server.address, "/hello?a=b", X_One="1").body == b"hello"
        server.wait_log("after /hello?a=b 200 OK 5")
    assert server.log().count("before /hello 1") == 1
    assert len(server.access_lines()) == 1


# gthread


@pytest.fixture
def threaded(tmp_path: Path) -> Iterator[StartServer]:
    """Servers of this kind only."""
    with contextlib.ExitStack() as stack:

        def start(*args: str) -> Server:
            server = Server("probe:app", *args, directory=tmp_path / "threaded")
            return stack.enter_context(server)

        yield start


def test_threads_alone_mean_gthread(threaded: StartServer) -> None:
    server = threaded("--threads", "2")
    assert "Using worker: gthread" in server.log()
    answers, _ = at_once(server, "/meet?n=2&token=two", 2)
    assert answers == [b"met"] * 2


@pytest.mark.parametrize("error", ["SystemExit", "KeyboardInterrupt"])
def test_a_thread_that_leaves(threaded: StartServer, error: str) -> None:
    """What others of its worker are at is answered, and the next worker serves."""
    server = threaded("--threads", "2")
    (pid,) = server.worker_pids()
    with Client(server.address) as busy:
        busy.send(request("/sleep?s=0.6"))
        wait_for((server.directory / "sleeping").exists, "the application")
        assert fetch(server.address, f"/raise?kind={error}&token=x").status == 500
        assert busy.response().body == b"slept"
    wait_for(lambda: server.worker_pids() != [pid], "another worker")
    assert fetch(server.address, "/hello").body == b"hello"


def test_workers_times_threads_at_once(tmp_path: Path) -> None:
    """No more, and no fewer."""
    with Server(
        "probe:app", "--threads", "3", directory=tmp_path / "threaded", workers=2
    ) as server:
        wait_for(lambda: len({fetch(server.address, "/pid").body for _ in range(9)}) == 2, "both")
        answers, _ = at_once(server, "/meet?n=6&token=six", 6)
        assert answers == [b"met"] * 6, "none waits for another"
        assert at_once(server, "/sleep?s=3", 7)[1] >= 6, "the seventh does"


def test_one_stuck_thread_holds_up_nobody(threaded: StartServer) -> None:
    server = threaded("--threads", "3", "--timeout", "2", "--graceful-timeout", "1")
    server.announce(busy=True, descriptors=1)  # that thread, and its connection
    with Client(server.address) as stuck:
        stuck.send(request("/spin"))
        wait_for((server.directory / "spinning").exists, "the application")
        until = time.monotonic() + 3
        while time.monotonic() < until:
            assert fetch(server.address, "/hello").body == b"hello"
            pace(0.05, "clients that come beside it for three seconds")
    assert "WORKER TIMEOUT" not in server.log()


# gevent


@pytest.fixture(scope="module", params=["libev-cext", "libuv-cffi"])
def green(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One gevent worker, on either of its loops."""
    directory = tmp_path_factory.mktemp(request.param)
    env = {"GEVENT_LOOP": request.param}
    with Server("cooperating:app", "-k", "gevent", directory=directory, env=env) as server:
        wanted = request.param.partition("-")[0]
        assert wanted in fetch(server.address, "/loop").body.decode()
        yield server


def test_greenlets_sleep_side_by_side(green: Server) -> None:
    answers, seconds = at_once(green, "/sleep?s=1&token={}", 60)
    assert answers == [b"%d" % number for number in range(60)]
    assert seconds < 3


def test_sockets_processes_and_threads_cooperate(green: Server) -> None:
    answers, seconds = at_once(green, f"/fetch?url={green.url}/sleep%3Fs=0.5%26token={{}}", 10)
    assert answers == [b"fetched %d" % number for number in range(10)]
    assert seconds < 3
    answers, seconds = at_once(green, "/process", 5)
    assert answers == [b"ran\n"] * 5
    assert seconds < 1.4
    answers, seconds = at_once(green, "/pair", 10)
    assert answers == [b"woken"] * 10


def test_a_killed_greenlet_is_one_request_only(green: Server) -> None:
    green.announce("GET /killed")
    with contextlib.suppress(Exception):
        fetch(green.address, "/killed")
    assert fetch(green.address, "/pid").status == 200
    assert green.code() is None


def test_blocked_hub_is_noticed(tmp_path: Path) -> None:
    options = ("-k", "gevent", "--timeout", "2")
    with Server("cooperating:app", *options, directory=tmp_path / "green") as server:
        server.announce(*STUCK)
        (pid,) = server.worker_pids()
        with Client(server.address) as client:
            client.send(request("/stuck"))
            server.wait_log(f"WORKER TIMEOUT (pid:{pid})", timeout_s=8)
            wait_for(lambda: server.log().count("Booting worker") >= 2, "another worker")
        assert fetch(server.address, "/pid").status == 200


def test_worker_connections_bounds_the_greenlets(tmp_path: Path) -> None:
    options = ("-k", "gevent", "--worker-connections", "2")
    with Server("cooperating:app", *options, directory=tmp_path / "green") as server:
        answers, seconds = at_once(server, "/sleep?s=0.5&token={}", 4)
        assert answers == [b"%d" % number for number in range(4)]
        assert seconds > 0.95, "two at a time"


def test_gevent_wsgi_is_the_same(tmp_path: Path) -> None:
    with Server("cooperating:app", "-k", "gevent_pywsgi", directory=tmp_path / "green") as server:
        answers, seconds = at_once(server, "/sleep?s=0.5&token={}", 10)
        assert answers == [b"%d" % number for number in range(10)]
        assert seconds < 2


def test_eventlet_is_gone(launch: StartServer) -> None:
    server = launch("probe:app", "-k", "eventlet")
    assert server.wait() == 1
    assert "eventlet worker is gone" in server.log()

"""Signals, deaths and replacements of real processes, under a small load where it matters."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from client import Client, Gone, fetch, request
from conftest import StartServer
from harness import IS_GUNICORN, STUCK, Server, children_of, is_running, wait_for
from load import Load
from patience import pace, quiet_for


def others_than(pid: int, parent: int) -> set[int]:
    return set(children_of(parent)) - {pid}


def in_flight(server: Server, target: str, note: str) -> Client:
    """A request that the application is busy with."""
    client = Client(server.address)
    client.send(request(target))
    path = server.directory / note
    wait_for(path.exists, f"the application to begin {target}")
    return client


# Boot lines


def test_boot_lines(serve: StartServer) -> None:
    server = serve(workers=2)
    log = server.log()
    assert "[INFO] Starting " in log
    assert f"[INFO] Listening at: http://127.0.0.1:{server.port} ({server.pid})" in log
    assert "[INFO] Using worker: " in log
    for pid in server.worker_pids():
        assert f"[{pid}] [INFO] Booting worker with pid: {pid}" in log


# TERM, INT, QUIT


def test_term_finishes_what_is_in_flight(serve: StartServer) -> None:
    server = serve()
    with in_flight(server, "/sleep?s=1", "sleeping") as client:
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert client.response().body == b"slept"
        assert server.wait() == 0
    assert time.monotonic() - started < 6
    log = server.log()
    assert "Handling signal: term" in log
    assert "Shutting down: Master" in log
    assert "Worker exiting" in log


def test_graceful_timeout_is_the_limit(serve: StartServer) -> None:
    server = serve("probe:app", "--graceful-timeout", "1", sync=True)
    workers = server.worker_pids()
    with in_flight(server, "/spin", "spinning"):
        started = time.monotonic()
        assert server.stop() == 0
        # A quarter before, what still runs is interrupted.
        assert 0.7 < time.monotonic() - started < 5
    assert not any(is_running(pid) for pid in workers)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGQUIT])
def test_quick_stop(serve: StartServer, signum: int) -> None:
    server = serve(workers=2)
    workers = server.worker_pids()
    started = time.monotonic()
    assert server.stop(signum) == 0
    assert time.monotonic() - started < 5
    assert not any(is_running(pid) for pid in workers)


def test_term_under_load(serve: StartServer) -> None:
    """Every request that was accepted is answered; later ones are refused or reset at once."""
    server = serve(workers=2, sync=True)
    with Load(server.address, "/hello") as load:
        wait_for(lambda: load.count() > 100, "some load")
        moment = time.monotonic()
        assert server.stop() == 0
    assert not [outcome for outcome in load.failures() if outcome.ended < moment]
    for outcome in load.failures():
        assert not outcome.body, "an answer that was begun must be whole"


# HUP


def test_hup_reloads_the_code_and_loses_nothing(serve: StartServer, tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    text = (
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', '3')])\n"
        "    return [b'{}']\n"
    )
    module.write_text(text.format("old"))
    server = serve("changing:app", workers=2, cwd=tmp_path, env={"PYTHONDONTWRITEBYTECODE": "1"})
    before = server.worker_pids()
    with Load(server.address, "/", count=3) as load:
        wait_for(lambda: load.count() > 50, "some load")
        module.write_text(text.format("new"))
        server.signal(signal.SIGHUP)

        def replaced() -> bool:
            now = children_of(server.pid)
            return len(now) == 2 and not set(now) & set(before)

        wait_for(replaced, "new workers")
        moment = time.monotonic()
        wait_for(lambda: b"new" in load.bodies(moment), "new answers")
    assert load.failures() == []
    assert b"old" in load.bodies()
    assert load.bodies(moment + 0.5) <= {b"new"}
    assert "Handling signal: hup" in server.log()


# TTIN, TTOU, USR1


def test_ttin_and_ttou(serve: StartServer) -> None:
    server = serve(workers=1, sync=True)
    with Load(server.address, "/hello", count=2) as load:
        for wanted in (2, 3):
            server.signal(signal.SIGTTIN)
            server.worker_pids(wanted)
        for wanted in (2, 1):
            server.signal(signal.SIGTTOU)
            server.worker_pids(wanted)
        server.signal(signal.SIGTTOU)  # never below one
        server.wait_log("Handling signal: ttou", 3)
        count = load.count()
        wait_for(lambda: load.count() > count + 20, "more answers")
        server.worker_pids(1)
    assert load.failures() == []


def test_usr1_reopens_the_logs(serve: StartServer, tmp_path: Path) -> None:
    error, access = tmp_path / "error.log", tmp_path / "access.log"
    server = serve("probe:app", "--access-logfile", str(access), "--capture-output")
    fetch(server.address, "/hello?one")
    wait_for(lambda: "/hello?one" in access.read_text(), "the access line")
    access.rename(tmp_path / "access.1")
    server.signal(signal.SIGUSR1)
    wait_for(access.exists, "the new access log")
    server.wait_log("Handling signal: usr1")

    def in_new_file() -> bool:
        fetch(server.address, "/hello?two")
        return "/hello?two" in access.read_text()

    wait_for(in_new_file, "lines in the new file", 3)
    assert "/hello?one" not in access.read_text()
    assert not error.exists()


def test_usr1_reopens_the_error_log(launch: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "error.log"
    server = launch("probe:app", "--error-logfile", str(path))
    wait_for(lambda: path.exists() and "Booting worker" in path.read_text(), "the boot", 20)
    path.rename(tmp_path / "error.1")
    server.signal(signal.SIGUSR1)
    wait_for(path.exists, "the new error log")
    assert server.stop() == 0
    assert "Handling signal: term" in path.read_text()


# Stuck workers


def test_stuck_worker_is_replaced(serve: StartServer) -> None:
    server = serve("probe:app", "--timeout", "1", sync=True, expects=STUCK)
    (stuck,) = server.worker_pids()
    with in_flight(server, "/spin", "spinning") as client:
        started = time.monotonic()
        log = server.wait_log(f"WORKER TIMEOUT (pid:{stuck})")
        assert "[CRITICAL] WORKER TIMEOUT" in log
        try:
            assert client.response().status == (500 if IS_GUNICORN else 504)
        except Gone as gone:
            assert gone.got == b""
        assert time.monotonic() - started < 5
    (fresh,) = wait_for(lambda: set(children_of(server.pid)) - {stuck}, "a new worker")
    assert int(fetch(server.address, "/pid").body) == fresh
    wait_for(lambda: not is_running(stuck), "the stuck worker to end", 4)


def test_slow_but_not_stuck(serve: StartServer) -> None:
    """An idle worker and one that is quick enough are left alone."""
    server = serve("probe:app", "--timeout", "2")
    workers = server.worker_pids()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        assert fetch(server.address, "/sleep?s=0.9").body == b"slept"
    assert server.worker_pids() == workers
    assert "WORKER TIMEOUT" not in server.log()


# Deaths


def test_killed_workers_lose_only_what_they_held(serve: StartServer) -> None:
    server = serve(workers=3, sync=True)
    kills: list[float] = []
    with Load(server.address, "/sleep?s=0.02", count=4) as load:
        for _ in range(5):
            count = load.count()
            enough = count + 30
            wait_for(lambda n=enough: load.count() > n, "more")  # type: ignore[misc]
            victim = server.worker_pids()[0]
            kills.append(time.monotonic())
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: not is_running(victim), "its end")  # type: ignore[misc]
            server.worker_pids(3)
        count = load.count()
        wait_for(lambda: load.count() > count + 30, "more answers")
    failures = load.failures()
    for outcome in failures:
        assert any(outcome.spans(moment) for moment in kills), outcome
    assert len(failures) <= 2 * len(kills), failures
    assert "SIGKILL" in server.log()


def test_killed_worker_is_replaced_at_once(serve: StartServer) -> None:
    server = serve()
    (victim,) = server.worker_pids()
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: set(children_of(server.pid)) - {victim}, "a new worker", 3)
    assert fetch(server.address, "/hello").body == b"hello"


@pytest.mark.parametrize("busy", [False, pytest.param(True)])
@pytest.mark.beyond("an idle or busy sync worker looks at its parent too rarely")
def test_killed_master_takes_its_workers_along(launch: StartServer, busy: bool) -> None:
    server = launch(workers=3, sync=True)
    server.wait_log("Booting worker", 3)
    workers = server.worker_pids()
    client = in_flight(server, "/spin", "spinning") if busy else None
    server.signal(signal.SIGKILL)
    wait_for(lambda: not any(is_running(pid) for pid in workers), "the workers' end", 2.0)
    if client is not None:
        client.sock.close()


# Boots that fail


BOOT_FAILURES = {
    "no-module": ("nothing_here:app", 3, "nothing_here"),
    "import-error": ("broken_import:app", 3, "module_that_is_not_there"),
    "syntax-error": ("broken_syntax:app", 3, "SyntaxError"),
    "raises": ("broken_raise:app", 3, "broken on purpose"),
    "no-attribute": ("probe:nobody", 4, "nobody"),
    "not-callable": ("broken_number:app", 4, "must be callable|cannot be called"),
    "bad-expression": ("probe:app.__call__()", 4, "app"),
    "factory-arguments": ("broken_number:make(1, 2)", 4, "make"),
}
BROKEN = {
    "broken_import.py": "import module_that_is_not_there\n",
    "broken_syntax.py": "def app(:\n",
    "broken_raise.py": "raise RuntimeError('broken on purpose')\n",
    "broken_number.py": "app = 7\n\ndef make(one):\n    return app\n",
}


def python_path(first: Path) -> dict[str, str]:
    """PYTHONPATH with a directory before what is on it already."""
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{first}{os.pathsep}{rest}" if rest else str(first)}


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """An environment in which the broken modules can be imported."""
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    return python_path(tmp_path)


@pytest.mark.parametrize("name", BOOT_FAILURES)
def test_boot_failure(launch: StartServer, broken: dict[str, str], name: str) -> None:
    app, code, words = BOOT_FAILURES[name]
    server = launch(app, env=broken, expects=["Exception in worker process"])
    assert server.wait() == code, server.log()
    assert re.search(words, server.log()), server.log()
    reason = "Worker failed to boot." if code == 3 else "App failed to load."
    assert f"Reason: {reason}" in server.log()


@pytest.mark.beyond("the second failure is raised inside the shutdown", strict=False)
@pytest.mark.parametrize("name", ["no-module", "no-attribute"])
def test_boot_failure_of_several(launch: StartServer, name: str) -> None:
    app, code, _ = BOOT_FAILURES[name]
    server = launch(app, workers=4, expects=["Exception in worker process"])
    assert server.wait() == code, server.log()
    assert "Traceback" not in server.log().partition("Shutting down")[2]


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        (["--no-such-flag"], (1, 2)),
        (["--workers", "many"], (1, 2)),
        (["--workers", "-1"], (1,)),
        (["--worker-class", "nonsense"], (1,)),
        (["-c", "missing.conf.py"], (1,)),
    ],
)
def test_bad_command_line(
    launch: StartServer, arguments: list[str], codes: tuple[int, ...]
) -> None:
    server = launch("probe:app", *arguments)
    assert server.wait() in codes, server.log()
    words = arguments[-1].lstrip("-")
    assert words in server.log()


@pytest.mark.beyond("respawns as fast as it can", strict=False)
def test_crash_loop_backs_off(launch: StartServer, tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text("import os\nos._exit(9)\n")
    server = launch("crashing:app", env=python_path(tmp_path))
    server.wait_log("Booting worker", timeout_s=20)
    quiet_for(4, "few workers are started: what is looked at is a rate")
    assert server.code() is None
    assert 2 <= server.log().count("Booting worker") <= 16
    started = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - started < 5


def test_worker_that_leaves_now_and_then_is_no_crash_loop(serve: StartServer) -> None:
    """Five deaths, each after some service: the next worker is there within three seconds."""
    server = serve()
    for _ in range(5):
        victim = int(fetch(server.address, "/pid").body)
        os.kill(victim, signal.SIGTERM)
        others = partial(others_than, victim, server.pid)
        assert wait_for(others, "the next", 3)
        wait_for(lambda v=victim: not is_running(v), "its end")  # type: ignore[misc]


STORM = (
    signal.SIGTTIN, signal.SIGTTOU, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGCHLD,
)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_storm_of_signals(serve: StartServer, seed: int) -> None:
    """200 mixed signals, some workers killed meanwhile: the number of workers is right in the end.

    Signals of one number merge while one is pending, so what counts is what the master took: HUP
    sets the configured number, TTIN and TTOU change it by one, never below one."""
    chance = random.Random(seed)
    server = serve(workers=2)
    for _ in range(200):
        server.signal(chance.choice(STORM))
        if chance.random() < 0.05:
            for pid in children_of(server.pid)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, chance.choice((signal.SIGKILL, signal.SIGTERM)))
        pace(chance.random() * 0.02, "a storm of signals")

    def settled() -> bool:
        """All that was sent has been taken, and the workers are as many as it says."""
        wanted = 2
        for name in re.findall("Handling signal: (\\w+)", server.log()):
            if name == "hup":
                wanted = 2
            elif name == "ttin":
                wanted += 1
            elif name == "ttou":
                wanted = max(1, wanted - 1)
        return len(children_of(server.pid)) == wanted

    # Once more when all has calmed down: it is the end that counts, not a moment on the way.
    for _ in range(2):
        wait_for(settled, f"the right number of workers; seed {seed}", 60)
        quiet_for(1, "it stays so")
    assert settled(), f"seed {seed}:\n{server.log()[-4000:]}"
    assert fetch(server.address, "/hello").body == b"hello"

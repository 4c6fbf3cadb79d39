"""Starting, failing to start, hooks, and configuration that changes under a real master."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from arbiter_harness import APP, WORKER, Server, alive, children, until
from patience import quiet_for


@pytest.mark.parametrize(
    ("text", "app", "code"),
    [
        ("raise RuntimeError('no database')\n", "app:app", 3),
        ("import no_such_module_here\n", "app:app", 3),
        ("x = (\n", "app:app", 3),
        ("x = 1\n", "app:app", 4),
        ("app = None\n", "app:app", 4),
        ("import sys\nsys.exit(3)\n", "app:app", 3),
    ],
)
@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_application_that_cannot_be_loaded(
    tmp_path: Path, text: str, app: str, code: int, workers: str
) -> None:
    (tmp_path / "app.py").write_text(text)
    pidfile = tmp_path / "pid"
    with Server(tmp_path, "-w", workers, "--pid", str(pidfile), app=app) as server:
        assert server.exit_code() == code, server.log()
        assert "Shutting down: Master" in server.log()
        assert not pidfile.exists()


def test_a_crash_loop_is_slowed_down(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import os\nos._exit(9)\n")
    with Server(tmp_path) as server:
        server.says("Workers keep failing: the next one starts in 400 ms")
        quiet_for(0.5, "not many more are started")
        assert 4 <= server.log().count("Booting worker") <= 8
        assert server.stop() == 0


def test_a_worker_that_never_becomes_ready(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\ntime.sleep(100)\n")
    with Server(tmp_path, "-t", "1") as server:
        server.says("WORKER TIMEOUT", 2, seconds=8)
        assert server.stop() == 0


def test_max_requests_replaces_workers_and_loses_nothing(tmp_path: Path) -> None:
    with Server(tmp_path, "--max-requests", "5", "--max-requests-jitter", "3", "-w", "2") as server:
        server.ready(2)
        seen = {server.get() for _ in range(60)}
        assert len(seen) > 5
        assert "keep failing" not in server.log()


def test_hooks_come_in_their_order(tmp_path: Path) -> None:
    config = """
        import os
        def say(text):
            with open("hooks", "a") as file:
                file.write(text + "\\n")
        def nworkers_changed(server, new, old): say(f"nworkers_changed {new} {old}")
        def on_starting(server): say("on_starting")
        def when_ready(server): say(f"when_ready {len(server.LISTENERS)}")
        def pre_fork(server, worker): say(f"pre_fork {worker.pid} {worker.age}")
        def post_fork(server, worker): say(f"post_fork {worker.pid == os.getpid()}")
        def post_worker_init(worker): say(f"post_worker_init {worker.wsgi is not None}")
        def worker_int(worker): say("worker_int")
        def worker_exit(server, worker): say(f"worker_exit {worker.pid == os.getpid()}")
        def child_exit(server, worker): say(f"child_exit {server.pid == os.getpid()} {worker.age}")
        def on_reload(server): say(f"on_reload {server.num_workers}")
        def on_exit(server): say("on_exit")
    """
    with Server(tmp_path, config=config) as server:
        hooks = tmp_path / "hooks"
        server.ready()
        assert hooks.read_text().splitlines() == [
            "nworkers_changed 1 None", "on_starting", "when_ready 1", "pre_fork [booting] 1",
            "post_fork True", "post_worker_init True",
        ]  # fmt: skip
        hooks.write_text("")
        server.send(signal.SIGHUP)
        until(lambda: "child_exit" in hooks.read_text())
        assert hooks.read_text().splitlines() == [
            "nworkers_changed 1 1", "on_reload 1", "pre_fork [booting] 2", "post_fork True",
            "post_worker_init True", "worker_exit True", "child_exit True 1",
        ]  # fmt: skip
        hooks.write_text("")
        os.kill(server.workers()[0], signal.SIGINT)
        until(lambda: "post_worker_init" in hooks.read_text())
        assert hooks.read_text().splitlines()[:3] == [
            "worker_int", "worker_exit True", "child_exit True 2",
        ]  # fmt: skip
        hooks.write_text("")
        assert server.stop() == 0
        assert hooks.read_text().splitlines() == [
            "worker_exit True",
            "child_exit True 3",
            "on_exit",
        ]


def test_a_hook_that_raises_stops_the_start(tmp_path: Path) -> None:
    for hook in ("on_starting(server)", "when_ready(server)", "pre_fork(server, worker)"):
        with Server(tmp_path, config=f"def {hook}: raise ValueError('mine')\n") as server:
            assert server.exit_code() != 0
            assert "ValueError: mine" in server.log()
            assert not server.workers()


def test_a_hook_that_raises_later_is_named_and_survived(tmp_path: Path) -> None:
    config = "def child_exit(server, worker): raise ValueError('mine')\n"
    with Server(tmp_path, config=config) as server:
        (worker,) = server.ready()
        os.kill(worker, signal.SIGKILL)
        server.says("The hook child_exit failed")
        until(server.answers)
        assert server.stop() == 0


def test_a_hook_may_halt_the_server(tmp_path: Path) -> None:
    config = """
        from monoceros.errors import HaltServer
        def child_exit(server, worker): raise HaltServer("enough", 7)
    """
    with Server(tmp_path, "-w", "2", config=config) as server:
        workers = server.ready(2)
        os.kill(workers[0], signal.SIGKILL)
        assert server.exit_code() == 7
        assert not any(alive(pid) for pid in workers)


def test_a_hook_may_set_the_number(tmp_path: Path) -> None:
    config = "def when_ready(server): server.num_workers = 3\n"
    with Server(tmp_path, config=config) as server:
        server.ready(3)


def test_hup_takes_the_new_configuration(tmp_path: Path) -> None:
    with Server(tmp_path, config="workers = 1\nraw_env = ['COLOUR=red']\n") as server:
        old = server.ready(1)
        assert server.get("/env/COLOUR") == "red"
        server.configure("workers = 3\nraw_env = ['SHAPE=round']\n")
        server.send(signal.SIGHUP)
        until(lambda: len(server.workers()) == 3 and old[0] not in server.workers())
        until(lambda: server.get("/env/SHAPE") == "round")
        assert server.get("/env/COLOUR") == "-"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = (\n", "SyntaxError: "),
        ("1 / 0\n", "ZeroDivisionError: "),
        ("workers = -4\n", "workers must "),
        ("raise SystemExit(5)\n", "SystemExit: 5"),
        ("logconfig = '/no/such'\n", "'/no/such' does"),
        ("raw_env = ['no equals sign']\n", "RuntimeError: raw_env needs "),
    ],
)
def test_a_broken_configuration_on_hup_changes_nothing(
    tmp_path: Path, text: str, reason: str
) -> None:
    """And the log says why, once."""
    with Server(tmp_path, "--pid", "server.pid", config="timeout = 20\n") as server:
        workers = server.ready()
        server.configure(text)
        server.send(signal.SIGHUP)
        server.says("The reload failed: the server goes on as before")
        server.send(signal.SIGUSR1)
        server.says("Handling signal: usr1")  # all has been said of the reload
        assert server.log().count(reason) == 1
        assert server.workers() == workers
        assert server.answers()
        assert (tmp_path / "server.pid").read_text() == f"{server.pid}\n"
        server.configure("workers = 2\n")
        server.send(signal.SIGHUP)
        server.wait_workers(2)


def test_hup_keeps_the_same_socket_where_the_address_stays(tmp_path: Path) -> None:
    with Server(tmp_path, bind="unix:a.sock") as server:
        server.address = str(tmp_path / "a.sock")
        server.ready()
        inode = os.stat(server.address).st_ino
        server.send(signal.SIGHUP)
        server.says("Booting worker", 2)
        until(server.answers)
        assert os.stat(server.address).st_ino == inode


def test_hup_moves_to_another_address(tmp_path: Path) -> None:
    config = "worker_class = 'small.Small'\nbind = ['unix:a.sock', 'unix:b.sock']\n"
    with Server(tmp_path, bind="", config=config) as server:
        server.address = str(tmp_path / "a.sock")
        server.ready()
        inode = os.stat(tmp_path / "b.sock").st_ino
        server.configure(config.replace("a.sock", "c.sock"))
        server.send(signal.SIGHUP)
        server.says("Listening at: unix:c.sock,unix:b.sock")
        server.address = str(tmp_path / "c.sock")
        until(server.answers)
        assert os.stat(tmp_path / "b.sock").st_ino == inode
        until(lambda: not (tmp_path / "a.sock").exists())  # once the canary is known to serve
        server.configure(config.replace("unix:a.sock", f"127.0.0.1:{_taken_port()}"))
        server.send(signal.SIGHUP)
        server.says("The reload failed: the server goes on as before", seconds=15)
        assert server.answers()


_held: list[socket.socket] = []


def _taken_port() -> int:
    holder = socket.socket()
    _held.append(holder)
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return int(holder.getsockname()[1])


def test_preload_shares_the_application(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import os\nmaster = os.getpid()\n"
        "def app(environ, start_response): return [str(master).encode()]\n"
    )
    with Server(tmp_path, "--preload", "-w", "2") as server:
        server.ready(2)
        assert server.get() == str(server.pid)


def test_preload_that_fails_exits_with_one(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise RuntimeError('no database')\n")
    with Server(tmp_path, "--preload") as server:
        assert server.exit_code() == 1
        assert "no database" in server.log()


def test_a_worker_class_that_fails_in_the_master_is_retried(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "import os\nfrom small import Small\n"
        "class Odd(Small):\n"
        "    def __init__(self, *args):\n"
        "        if not os.path.exists('fine'): raise OSError('not yet')\n"
        "        super().__init__(*args)\n"
    )
    with Server(tmp_path, "-k", "odd.Odd") as server:
        server.says("Cannot start a worker: OSError: not yet", 2)
        (tmp_path / "fine").write_text("")
        server.ready()


def test_the_log_tells_what_a_worker_said_last(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ready()
        with server.connect() as client:
            client.sendall(b"GET /crash HTTP/1.0\r\n\r\n")
            assert client.recv(10) == b""
        (pid,) = server.says(r"Worker \(pid:(\d+)\) was killed by SIGSEGV")
        until(server.answers)
        assert re.search(rf"Booting worker with pid: {pid}", server.log())


def test_the_master_stays_single_threaded(tmp_path: Path) -> None:
    with Server(tmp_path, "-w", "2") as server:
        server.ready(2)
        server.send(signal.SIGHUP)
        server.says("Handling signal: hup")
        until(lambda: server.log().count("Booting worker") >= 4)
        assert os.listdir(f"/proc/{server.pid}/task") == [str(server.pid)]


def test_the_idle_master_sleeps(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        server.ready()
        quiet_for(0.5, "the start is over for the master too")

        def switches() -> int:
            status = Path(f"/proc/{server.pid}/status").read_text()
            return int(re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", status, re.M)[0])

        before = switches()
        quiet_for(3, "the master does not wake up")
        assert switches() - before <= 3


def test_hup_and_usr2_find_a_relative_configuration_after_chdir(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("app.py", "small.py"):
        source = APP if name == "app.py" else WORKER
        (inner / name).write_text(source)
    (tmp_path / "rel.conf.py").write_text("raw_env = ['COLOUR=red']\n")
    with Server(tmp_path, "-c", "rel.conf.py", "--chdir", "inner", "--pid", "pid") as server:
        server.ready()
        (tmp_path / "rel.conf.py").write_text("raw_env = ['COLOUR=blue']\n")
        server.send(signal.SIGHUP)
        until(lambda: server.get("/env/COLOUR") == "blue")
        server.send(signal.SIGUSR2)
        until((inner / "pid.2").exists)
        new = int((inner / "pid.2").read_text())
        until(lambda: len(children(new)) == 1)
        assert server.stop() == 0
        until(server.answers)

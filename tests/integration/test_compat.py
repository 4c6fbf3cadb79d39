"""What was written for gunicorn runs on monoceros: real packages that import it, without it and
with it installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import third_party
from conftest import StartServer
from harness import APPS, IS_GUNICORN, STUCK, Server, children_of, is_running, wait_for
from patience import quiet_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="it is about monoceros in gunicorn's place")

WORKERS = {
    "own_uvicorn.OwnWorker": ("asgi_hello:app", "asgi"),
    "own_uvicorn.OwnOldWorker": ("asgi_hello:app", "asgi"),
    "aiohttp.GunicornWebWorker": ("asgi_hello:make_aiohttp()", "aiohttp"),
}


def get(server: Server, path: str = "/") -> str:
    with urllib.request.urlopen(server.url + path, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.fixture(params=["absent", "installed"])
def env(request: pytest.FixtureRequest) -> dict[str, str]:
    """Import paths: without gunicorn, and with a real one that monoceros must not hide."""
    directories = [third_party.third_party()]
    if request.param == "installed":
        directories.append(third_party.gunicorn())
    return third_party.path_with(*directories)


@pytest.mark.parametrize("worker", WORKERS)
def test_foreign_workers_serve_reload_and_stop(
    serve: StartServer, env: dict[str, str], worker: str
) -> None:
    app, text = WORKERS[worker]
    server = serve(app, "-k", worker, "--timeout", "3", workers=2, env=env)
    server.announce(descriptors=2)  # gunicorn's own workers keep their siblings' heartbeat files
    before = set(server.worker_pids())
    answer = wait_for(lambda: _answer(server), "an answer")
    assert answer.startswith(text)
    assert int(answer.split()[1]) in before
    quiet_for(4, "nobody is found stuck, beyond the timeout: their heart is heard")
    assert set(server.worker_pids()) == before, server.log()
    server.signal(signal.SIGHUP)
    wait_for(lambda: not any(map(is_running, before)), "the old workers to leave")
    after = server.worker_pids()
    assert wait_for(lambda: _answer(server), "an answer").startswith(text)
    assert not before & set(after)
    assert "WORKER TIMEOUT" not in server.log()
    assert "Traceback" not in server.log()


def _answer(server: Server) -> str:
    try:
        return get(server)
    except OSError:
        return ""


def test_a_stuck_foreign_worker_is_replaced(serve: StartServer, env: dict[str, str]) -> None:
    server = serve("asgi_hello:app", "-k", "own_uvicorn.OwnWorker", "--timeout", "2", env=env)
    server.announce(*STUCK)
    wait_for(lambda: _answer(server), "an answer")
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    server.wait_log("WORKER TIMEOUT", timeout_s=10)
    wait_for(lambda: not is_running(pid), "the end of the worker")
    assert wait_for(lambda: _answer(server), "an answer").startswith("asgi")


def test_a_foreign_worker_may_stop_the_server(launch: StartServer, env: dict[str, str]) -> None:
    """uvicorn leaves with Arbiter.WORKER_BOOT_ERROR when the lifespan fails to start."""
    app = "asgi_failing:app"
    server = launch(app, "-k", "own_uvicorn.OwnWorker", env=env)
    assert server.wait() == 3, server.log()


@pytest.mark.parametrize(
    ("logger", "expected"),
    [("gunicorn_color.Logger", "\x1b["), ("gunicorn_healthz_filter.Logger", '"GET /hello')],
)
def test_foreign_loggers(
    serve: StartServer, env: dict[str, str], logger: str, expected: str, tmp_path: Path
) -> None:
    config = tmp_path / "conf.py"
    config.write_text(
        "import gunicorn_color\n"
        "gunicorn_color.supports_color = lambda: True  # else it wants a terminal\n"
        f"logger_class = '{logger}'\n"
        "accesslog = '-'\n"
    )
    options = {**env, "FORCE_COLOR": "1"}
    server = serve("probe:app", "-c", str(config), env=options)
    for path in ("/healthz", "/hello"):
        try:
            get(server, path)
        except OSError:
            pass
    lines = wait_for(
        lambda: [line for line in server.access_lines() if "/hello" in line], "the access line"
    )
    assert expected in lines[0]
    if "healthz" in logger:
        assert not [line for line in server.access_lines() if "/healthz" in line]


CONFIG = """
import gunicorn

gunicorn.SERVER_SOFTWARE = "hidden"
gunicorn.SERVER = "nobody"

import gunicorn.app.base, gunicorn.app.wsgiapp, gunicorn.app.pasterapp, gunicorn.arbiter
import gunicorn.config, gunicorn.debug, gunicorn.errors, gunicorn.glogging, gunicorn.pidfile
import gunicorn.http.errors, gunicorn.http.message, gunicorn.http.wsgi
import gunicorn.instrument.statsd, gunicorn.sock, gunicorn.systemd, gunicorn.util
from gunicorn import glogging, util
from gunicorn.workers.base import Worker
from gunicorn.workers.sync import SyncWorker
from gunicorn.workers.workertmp import WorkerTmp
import monoceros.workers.sync

same = [
    SyncWorker is monoceros.workers.sync.SyncWorker,
    issubclass(SyncWorker, Worker),
    gunicorn.glogging.Logger is glogging.Logger,
    gunicorn.version_info >= (27,) and gunicorn.__version__.startswith("27."),
    monoceros.workers.sync.__spec__.name == "monoceros.workers.sync",
]
assert all(same), same

worker_class = "gunicorn.workers.sync.SyncWorker"
logger_class = "gunicorn.glogging.Logger"
accesslog = "-"

def post_fork(server, worker):
    assert isinstance(server, gunicorn.arbiter.Arbiter) and isinstance(worker, Worker)
    server.log.info("hook of %s %s", type(worker).__name__, gunicorn.SERVER_SOFTWARE)
"""


def test_a_configuration_file_that_imports_gunicorn(serve: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(CONFIG)
    server = serve("probe:app", "-c", str(config))
    server.wait_log("hook of SyncWorker hidden")
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"Server: nobody\r\n" in client.recv(65536)


def test_prometheus_hooks(serve: StartServer, tmp_path: Path) -> None:
    """prometheus_client's multiprocess mode, with the hook that its documentation gives."""
    config = tmp_path / "conf.py"
    config.write_text(
        "from prometheus_client import multiprocess\n"
        "def child_exit(server, worker):\n"
        "    multiprocess.mark_process_dead(worker.pid)\n"
        "    server.log.info('marked %s', worker.pid)\n"
    )
    (tmp_path / "counting.py").write_text(
        "from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess\n"
        "hits = Counter('hits', 'Requests')\n"
        "def app(environ, start_response):\n"
        "    hits.inc()\n"
        "    registry = CollectorRegistry()\n"
        "    multiprocess.MultiProcessCollector(registry)\n"
        "    start_response('200 OK', [])\n"
        "    return [generate_latest(registry)]\n"
    )
    (tmp_path / "metrics").mkdir()
    env = third_party.path_with(third_party.third_party())
    env["PROMETHEUS_MULTIPROC_DIR"] = str(tmp_path / "metrics")
    server = serve("counting:app", "-c", str(config), workers=2, env=env, cwd=tmp_path)
    for _ in range(9):
        get(server)
    server.signal(signal.SIGHUP)
    server.wait_log("marked ", 2)
    assert "hits_total 10.0" in get(server)


def test_an_exporter_that_replaces_the_arbiter(serve: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(
        "import gunicorn.arbiter, gunicorn.app.base\n"
        "class Own(gunicorn.arbiter.Arbiter):\n"
        "    def start(self):\n"
        "        super().start()\n"
        "        self.log.info('an arbiter of our own')\n"
        "gunicorn.arbiter.Arbiter = Own\n"
    )
    server = serve("probe:app", "-c", str(config))
    server.wait_log("an arbiter of our own")


# ---- the hook itself


def run(code: str, *directories: Path, **env: str) -> str:
    environ = {**os.environ, **third_party.path_with(*directories), **env}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_nothing_is_hidden_unless_asked() -> None:
    code = (
        "from monoceros import compat; compat.install{}; import gunicorn.glogging as g, gunicorn;"
        "print(g.__name__, gunicorn.version_info[0])"
    )
    real = third_party.gunicorn()
    assert run(code.format("()"), real) == "gunicorn.glogging 27"
    assert run(code.format("(shadow=True)"), real) == "monoceros.glogging 27"
    assert run(code.format("()")) == "monoceros.glogging 27"
    by_environment = code.format("_for_command()")
    assert run(by_environment, real, MONOCEROS_COMPAT="shadow") == "monoceros.glogging 27"
    off = "from monoceros import compat; compat.install_for_command()\n"
    off += "try: import gunicorn\nexcept ImportError as e: print(e)"
    assert run(off, MONOCEROS_COMPAT="off") == "No module named 'gunicorn'"


def test_what_has_not_come_says_so() -> None:
    code = (
        "from monoceros import compat; compat.install()\n"
        "for name in ('dirty', 'asgi.parser', 'http2', 'ctl.client', 'uwsgi', 'nonsense'):\n"
        "    try: __import__('gunicorn.' + name)\n"
        "    except ImportError as e: print(e)\n"
        "compat.uninstall()\n"
        "try: import gunicorn\n"
        "except ImportError as e: print(e)\n"
    )
    lines = run(code).splitlines()
    assert len(lines) == 7
    assert all("cannot be imported" in line for line in lines[:6]), lines
    assert "dirty workers are not built yet" in lines[0]
    assert lines[6] == "No module named 'gunicorn'"


def test_the_command_pays_nothing_for_it() -> None:
    code = (
        "import sys; sys.argv = ['monoceros', '--check-config', 'probe:app']\n"
        "from monoceros.app.wsgiapp import run\n"
        "try: run()\nexcept SystemExit: pass\n"
        "print('monoceros.compat.top' in sys.modules, 'gunicorn' in sys.modules,"
        " type(sys.meta_path[-1]).__module__)"
    )
    assert run(code, APPS) == "False False monoceros.compat"


PULPCORE = """
import monoceros.compat; monoceros.compat.install()
import gunicorn.workers.sync
from gunicorn.app.base import BaseApplication
class Own(BaseApplication):
    def load_config(self):
        print(self.cfg.worker_class, self.cfg.default_proc_name)
own = Own()
print(own.cfg.worker_class is gunicorn.workers.sync.SyncWorker)
import inspect, pickle
print(pickle.loads(pickle.dumps(own.cfg.worker_class)) is own.cfg.worker_class)
"""


def test_defaults_keep_gunicorns_names() -> None:
    """pulpcore takes settings that differ from them for the user's own."""
    lines = run(PULPCORE).splitlines()
    assert lines == ["<class 'gunicorn.workers.sync.SyncWorker'> gunicorn", "True", "True"]
    plain = "from monoceros.config import Config; c = Config()\n"
    plain += "print(c.worker_class, c.default_proc_name)"
    assert run(plain) == "<class 'monoceros.workers.sync.SyncWorker'> monoceros"


@pytest.mark.parametrize("module", ["gunicorn", "gunicorn.app.wsgiapp", "gunicorn.__main__"])
def test_runpy_finds_the_command(module: str) -> None:
    code = (
        "import runpy, sys; from monoceros import compat; compat.install()\n"
        "sys.argv[1:] = ['--version']\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    assert "(version 0" in run(code)


def test_the_name_as_a_distribution(tmp_path: Path) -> None:
    """packaging/gunicorn: `python -m gunicorn`, the script and the version that pip knows."""
    directory = third_party.gunicorn_name()
    env = {**os.environ, **third_party.path_with(directory)}
    for command in (
        [sys.executable, "-m", "gunicorn", "--version"],
        [sys.executable, "-m", "gunicorn.app.wsgiapp", "--version"],
        [sys.executable, str(directory / "bin" / "gunicorn"), "--version"],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert "(version 0" in done.stdout
        assert "Warning" not in done.stderr
    code = (
        "import importlib.metadata as m, gunicorn, gunicorn.glogging as g\n"
        "from gunicorn.app.base import BaseApplication as B\n"
        "import monoceros.app.base as own\n"
        "print(m.version('gunicorn'), gunicorn.__version__, g.__name__, B is own.BaseApplication)"
    )
    wanted = "27.0.1+monoceros 27.0.1 monoceros.glogging True"
    assert run(code, directory) == wanted


def test_the_name_serves_reloads_and_upgrades(tmp_path: Path) -> None:
    env = third_party.path_with(third_party.gunicorn_name())
    server = Server("probe:app", directory=tmp_path / "server", env=env)
    assert server.command[1:3] == ["-m", "monoceros"]
    server.command[2] = "gunicorn"
    with server:
        assert get(server, "/hello")
        server.signal(signal.SIGUSR2)
        server.wait_log("Listening at", 2)
        (fresh,) = {pid for pid in children_of(server.pid) if children_of(pid)}
        server.wait_log("Booting worker", 2)
        server.stop()
        assert get(server, "/hello")
        os.kill(fresh, signal.SIGTERM)
        wait_for(lambda: not is_running(fresh), "the end of the new master")


def test_an_installed_gunicorn_may_name_the_server(serve: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(
        "import gunicorn\nassert not hasattr(gunicorn, 'is_monoceros')\n"
        "gunicorn.SERVER = 'nobody'\ngunicorn.SERVER_SOFTWARE = 'hidden/1'\n"
    )
    env = third_party.path_with(third_party.gunicorn())
    server = serve("probe:app", "-c", str(config), env=env)
    with socket.create_connection(server.address) as client:
        client.sendall(b"GET /environ HTTP/1.0\r\n\r\n")
        answer = client.makefile("rb").read()
    assert b"Server: nobody\r\n" in answer
    assert b"hidden/1" in answer


def test_a_flags_name_in_a_file_gets_one_hint(serve: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text("preload = True\nname = 'site'\naccess_logfile = '-'\n")
    server = serve("probe:app", "-c", str(config))
    server.signal(signal.SIGHUP)
    server.wait_log("Handling signal: hup")
    server.wait_log("Booting worker", 2)
    assert server.log().count("sets preload, which is no setting: did you mean preload_app?") == 1
    assert server.log().count("did you mean accesslog?") == 1
    assert "sets name" not in server.log()


@pytest.fixture
def embedding(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program with a server inside, as gunicorn's documentation shows it."""
    (tmp_path / "own.py").write_text(
        "import monoceros.compat; monoceros.compat.install()\n"
        "from gunicorn.app.base import BaseApplication\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [b'embedded']\n"
        "class Own(BaseApplication):\n"
        "    def __init__(self, app, options):\n"
        "        self.options, self.application = options, app\n"
        "        super().__init__()\n"
        "    def load_config(self):\n"
        "        for key, value in self.options.items():\n"
        "            if key in self.cfg.settings and value is not None:\n"
        "                self.cfg.set(key.lower(), value)\n"
        "    def load(self):\n"
        "        return self.application\n"
        "if __name__ == '__main__':\n"
        f"    Own(app, {{'bind': 'unix:{tmp_path}/sock', 'workers': 2, 'foreign': 1}}).run()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "own.py", "--workers", "7", "ignored:app"],
        cwd=tmp_path, stderr=(tmp_path / "log").open("wb"), start_new_session=True,
    )  # fmt: skip
    yield process
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(10)


def test_embedding(embedding: subprocess.Popen[bytes], tmp_path: Path) -> None:
    log = tmp_path / "log"
    wait_for(lambda: log.read_text().count("Booting worker") == 2, log.read_text())
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(tmp_path / "sock"))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while data := client.recv(65536):
            answer += data
    assert answer.endswith(b"embedded")
    embedding.terminate()
    assert embedding.wait(10) == 0
    assert log.read_text().count("Booting worker") == 2


@pytest.mark.parametrize("name", ["own_uvicorn.OwnWorker", "own_uvicorn.OwnOldWorker", "tornado"])
def test_the_end_of_a_worker_without_our_engine(
    serve: StartServer, env: dict[str, str], name: str
) -> None:
    """A normal end is no death, and requests that nobody counts make no ledger."""
    app = "probe:app" if name == "tornado" else "asgi_hello:app"
    server = serve(app, "-k", name, workers=2, env=env)
    wait_for(lambda: _answer(server), "an answer")
    before = server.worker_pids()
    server.signal(signal.SIGHUP)
    wait_for(lambda: not any(map(is_running, before)), "the end of the old workers")
    wait_for(lambda: _answer(server), "an answer")
    assert server.stop() == 0
    log = server.log()
    assert "was killed by" not in log, log
    assert "Requests: accepted" not in log, log
    assert "Shutting down: Master" in log

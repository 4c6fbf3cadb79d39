"""Where lines go: wsgi.errors, rotation by renaming under load, captured output, statsd, and a
logger class that is read again."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import StartServer
from harness import IS_GUNICORN, Server, is_running, wait_for
from patience import pace

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="compared in tests/compat")

ROTATIONS = 8


def get(server: Server, path: str = "/") -> str:
    with urllib.request.urlopen(server.url + path, timeout=10) as answer:
        return str(answer.read().decode())


def answers(server: Server) -> bool:
    assert server.code() is None, server.log()
    try:
        return bool(get(server))
    except OSError:
        return False


def ready(server: Server) -> Server:
    """For servers whose boot lines are not on standard error."""
    wait_for(lambda: answers(server), "an answer")
    return server


# ---- wsgi.errors

BOTH = """
import logging
errorlog = "{errorlog}"
def post_worker_init(worker):
    worker.log.error_log.addHandler(logging.FileHandler("{other}"))
    worker.log.error_log.addHandler(logging.NullHandler())
"""


@pytest.mark.parametrize("errorlog", ["-", "file"])
def test_wsgi_errors_goes_to_each_stream_of_the_error_log_once(
    launch: StartServer, tmp_path: Path, errorlog: str
) -> None:
    path = tmp_path / "error.log"
    other = tmp_path / "other.log"
    config = tmp_path / "conf.py"
    config.write_text(BOTH.format(errorlog="-" if errorlog == "-" else path, other=other))
    server = ready(launch("log_app:app", "-c", str(config)))
    get(server, "/errors")
    text = "from the application\n"
    assert other.read_text().count(text) == 1
    assert server.log().count(text) == (errorlog == "-")
    if errorlog != "-":
        assert path.read_text().count(text) == 1
    assert server.stop() == 0


def test_wsgi_errors_without_a_log_handler(launch: StartServer, tmp_path: Path) -> None:
    """The configuration puts the loggers elsewhere: standard error is still told."""
    config = tmp_path / "conf.py"
    config.write_text(
        "logconfig_dict = {'root': {'handlers': []}, 'loggers': {'gunicorn.error': "
        "{'handlers': [], 'propagate': False}, 'gunicorn.access': {'handlers': []}}}\n"
    )
    server = ready(launch("log_app:app", "-c", str(config)))
    get(server, "/errors")
    assert server.log().count("from the application\n") == 1


# ---- rotation


class Load(threading.Thread):
    """Numbered requests over one kept connection, until told to stop."""

    def __init__(self, server: Server, first: int) -> None:
        super().__init__(daemon=True)
        self.address = server.address
        self.number = self.first = first
        self.stopping = False
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            with socket.create_connection(self.address, 10) as client:
                while not self.stopping:
                    request = f"GET /numbered?{self.number} HTTP/1.1\r\nHost: a\r\n\r\n"
                    client.sendall(request.encode())
                    assert client.recv(65536).startswith(b"HTTP/1.1 200")
                    self.number += 1
        except BaseException as error:
            self.failure = error

    def end(self) -> list[str]:
        """The numbers that were answered."""
        self.stopping = True
        self.join(10)
        assert self.failure is None, self.failure
        return [str(number) for number in range(self.first, self.number)]


@pytest.mark.parametrize("way", ["core", "python"])
def test_rotation_by_renaming_loses_no_line(launch: StartServer, tmp_path: Path, way: str) -> None:
    """Error log, access log (of the core, or of a logger class) and captured output."""
    (tmp_path / "own_logger.py").write_text(
        "from monoceros.glogging import Logger\n"
        "class Own(Logger):\n"
        "    def now(self):\n"
        "        return super().now()\n"
    )
    more = ["--logger-class", "own_logger.Own"] if way == "python" else []
    error, access = tmp_path / "error.log", tmp_path / "access.log"
    server = ready(
        launch(
            "log_app:app", "--error-logfile", str(error), "--access-logfile", str(access),
            "--access-logformat", "access %(q)s", "--capture-output", "--pythonpath",
            str(tmp_path), *more, workers=2, env={"CAPTURED": "1"},
        )
    )  # fmt: skip
    workers = server.worker_pids()
    loads = [Load(server, first) for first in (1_000_000, 2_000_000, 3_000_000)]
    for rotation in range(ROTATIONS):
        pace(0.2, "lines between two rotations")
        for path in (error, access):
            path.rename(f"{path}.{rotation}")
        server.signal(signal.SIGUSR1)
        wait_for(lambda: error.exists() and access.exists(), "the new files")
    pace(0.3, "lines after the last")
    for path in (error, access):
        path.rename(f"{path}.last")
    server.signal(signal.SIGUSR1)
    wait_for(lambda: error.exists() and access.exists(), "the new files")
    expected = Counter(number for load in loads for number in load.end())
    assert len(expected) > 100
    get(server, "/print")
    assert server.worker_pids() == workers
    assert server.stop() == 0

    def found(pattern: str, stem: Path) -> Counter[str]:
        texts = [path.read_text() for path in tmp_path.glob(stem.name + "*")]
        return Counter(re.findall(pattern, "".join(texts), re.MULTILINE))

    assert found(r"^access (\d+)$", access) == expected
    assert found(r"^number (\d+) y{200}$", error) == expected
    assert found(r"^printed (\d+)$", error) == expected
    # Nobody writes to an old file after the last rotation.
    last = error.read_text()
    assert "printed by the application\nwritten to descriptor 2\n" in last
    assert "Shutting down: Master" in last
    assert "Shutting down" not in server.log()


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
AS_NOBODY = {
    "sync": ("log_taker:app", []),
    "gthread": ("log_taker:app", ["--threads", "2"]),
    "gevent": ("log_taker:app", ["-k", "gevent"]),
    "asgi": ("log_taker:aapp", ["-k", "asgi"]),
    "tornado": ("log_taker:app", ["-k", "tornado"]),  # which writes no access log of ours
}
PYTHON_LINES = "%(r)s %({wsgi.url_scheme}e)s"
DICT = """
handler = {{"class": "logging.FileHandler", "filename": "{folder}/{name}.log"}}
logconfig_dict = {{
    "handlers": {{"console": handler, "error_console": handler}},
    "loggers": {{
        "gunicorn.error": {{"level": "INFO", "handlers": ["error_console"], "propagate": False}},
        "gunicorn.access": {{"level": "INFO", "handlers": ["console"], "propagate": False}},
    }},
}}
"""


def provoke(server: Server) -> None:
    """A line in the access log, and a traceback in the error log."""
    with pytest.raises(OSError, match="500"):
        get(server, "/raise")


def wait_for_line(path: Path, text: str) -> None:
    wait_for(lambda: path.exists() and text in path.read_text(), f"{text} in {path}")


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """Where the worker's user may not even look."""
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o700)
    return folder


@ROOT_ONLY
@pytest.mark.parametrize("pattern", ["%(r)s", PYTHON_LINES], ids=["core", "python"])
@pytest.mark.parametrize("name", AS_NOBODY)
def test_rotation_by_workers_that_may_not_open_the_files(
    launch: StartServer, closed_folder: Path, name: str, pattern: str
) -> None:
    app, options = AS_NOBODY[name]
    access, errors = closed_folder / "access.log", closed_folder / "error.log"
    server = ready(
        launch(
            app, *options, "--user", "nobody", "--preload", "--error-logfile", str(errors),
            "--access-logfile", str(access), "--access-logformat", pattern, "--capture-output",
            # By root, who may: the interpreter may be in a folder of root's own.
            env={"TAKES": "import http", "LATER": "import os; os.write(1, b'captured\\n')"},
        )
    )  # fmt: skip
    (pid,) = server.worker_pids()
    for rotation in range(3):
        for path in (access, errors):
            path.rename(f"{path}.{rotation}")
        server.signal(signal.SIGUSR1)
        wait_for(lambda: access.exists() and errors.exists(), "the new files")
        if name != "tornado":
            wait_for(lambda: provoke(server) or "/raise" in access.read_text(), "access lines")
        wait_for(lambda: provoke(server) or "on purpose" in errors.read_text(), "tracebacks")
        get(server, "/later")
        wait_for_line(errors, "captured")
        assert "cannot be opened" not in errors.read_text()
    assert server.worker_pids() == [pid]
    assert server.stop() == 0
    for path in (access, errors):
        assert path.stat().st_uid == 65534  # whose the files are, as at the start


@ROOT_ONLY
def test_rotation_of_files_that_the_logging_configuration_names(
    launch: StartServer, closed_folder: Path, tmp_path: Path
) -> None:
    """And a HUP with another path: nothing but the master may open it either."""
    config = tmp_path / "conf.py"
    config.write_text(DICT.format(folder=closed_folder, name="a"))
    server = ready(launch("log_taker:app", "--user", "nobody", "-c", str(config)))
    path = closed_folder / "a.log"
    path.rename(f"{path}.0")
    server.signal(signal.SIGUSR1)
    wait_for(path.exists, "the new file")
    wait_for(lambda: provoke(server) or "on purpose" in path.read_text(), "tracebacks")
    wait_for_line(path, "/raise")
    config.write_text(DICT.format(folder=closed_folder, name="b"))
    (old,) = server.worker_pids()
    server.signal(signal.SIGHUP)
    wait_for(lambda: not is_running(old), "the end of the old worker")
    other = closed_folder / "b.log"
    wait_for(lambda: provoke(server) or "on purpose" in other.read_text(), "tracebacks")
    other.rename(f"{other}.0")
    server.signal(signal.SIGUSR1)
    wait_for(other.exists, "the new file")
    wait_for(lambda: provoke(server) or "on purpose" in other.read_text(), "tracebacks")
    assert server.stop() == 0


@ROOT_ONLY
@pytest.mark.parametrize("pattern", ["%(r)s", PYTHON_LINES], ids=["core", "python"])
@pytest.mark.parametrize("kind", ["sync", "tornado"])
def test_a_reload_with_other_paths_that_the_worker_may_not_open(
    launch: StartServer, closed_folder: Path, tmp_path: Path, pattern: str, kind: str
) -> None:
    config = tmp_path / "conf.py"
    text = f"access_log_format = {pattern!r}\ncapture_output = True\n"

    def names(stem: str) -> tuple[Path, Path]:
        paths = closed_folder / f"{stem}.access", closed_folder / f"{stem}.error"
        config.write_text(f"{text}accesslog, errorlog = {[str(path) for path in paths]!r}\n")
        return paths

    names("first")
    server = ready(launch("log_taker:app", "-k", kind, "--user", "nobody", "-c", str(config)))
    (old,) = server.worker_pids()
    access, errors = names("second")
    server.signal(signal.SIGHUP)
    wait_for(lambda: not is_running(old), "the end of the old worker")
    if kind != "tornado":
        wait_for(lambda: provoke(server) or "/raise" in access.read_text(), "access lines")
    wait_for(lambda: provoke(server) or "on purpose" in errors.read_text(), "tracebacks")
    for path in (access, errors):
        path.rename(f"{path}.0")
    server.signal(signal.SIGUSR1)
    wait_for(lambda: access.exists() and errors.exists(), "the new files")
    if kind != "tornado":
        wait_for(lambda: provoke(server) or "/raise" in access.read_text(), "access lines")
    wait_for(lambda: provoke(server) or "on purpose" in errors.read_text(), "tracebacks")
    assert server.stop() == 0


@ROOT_ONLY
@pytest.mark.parametrize("kind", ["link", "second name", "FIFO"])
def test_what_strangers_lay_in_the_place_of_a_log(
    launch: StartServer, tmp_path: Path, kind: str
) -> None:
    """The folder is the worker's user's: after a rename it puts something else there."""
    folder, secret = tmp_path / "logs", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("")
    tmp_path.chmod(0o755)
    os.chown(folder, 65534, 65534)
    log = folder / "error.log"
    server = ready(
        launch("log_app:app", "--user", "nobody", "--error-logfile", str(log), workers=2)
    )
    server.announce("log_app")
    log.rename(folder / "old.log")
    if kind == "link":
        log.symlink_to(secret)
        os.chown(log, 65534, 65534, follow_symlinks=False)
    elif kind == "second name":
        os.link(secret, log)
    else:
        os.mkfifo(log)
    server.signal(signal.SIGUSR1)
    if kind == "link":
        wait_for_line(folder / "old.log", "a symbolic link that another user has made")
        assert secret.read_text() == ""
    get(server)
    assert secret.stat().st_uid == 0
    assert server.stop() == 0


@ROOT_ONLY
def test_a_log_that_cannot_be_opened_again_goes_on(launch: StartServer, tmp_path: Path) -> None:
    """A worker that was told by somebody else than the master, which hands files over."""
    directory = tmp_path / "logs"
    directory.mkdir()
    log = directory / "error.log"
    server = ready(launch("log_app:app", "--error-logfile", str(log), "--user", "nobody"))
    directory.chmod(0o700)  # the worker is not root
    (pid,) = server.worker_pids()
    os.kill(pid, signal.SIGUSR1)
    wait_for_line(log, "cannot be opened again")
    get(server, "/errors")
    assert "from the application" in log.read_text()
    assert server.worker_pids() == [pid]
    assert server.stop() == 0


# ---- statsd


class Receiver(threading.Thread):
    """A StatsD server: keeps each datagram."""

    def __init__(self, family: int = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> None:
        super().__init__(daemon=True)
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind(address)  # type: ignore[arg-type]
        self.lines: list[str] = []
        self.start()

    def run(self) -> None:
        while data := self.socket.recv(65536):
            self.lines.append(data.decode())

    def count(self, pattern: str) -> int:
        return sum(re.fullmatch(pattern, line) is not None for line in self.lines)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.socket.sendto(b"", made.socket.getsockname())  # ends the thread
    made.join(5)
    made.socket.close()


def test_statsd_metrics(serve: StartServer, receiver: Receiver, tmp_path: Path) -> None:
    host = f"127.0.0.1:{receiver.socket.getsockname()[1]}"
    config = tmp_path / "conf.py"
    config.write_text("enable_backlog_metric = True\n")
    server = serve(
        "log_app:app", "--statsd-host", host, "--statsd-prefix", "shop.",
        "--dogstatsd-tags", "a:b", "-c", str(config), workers=2,
    )  # fmt: skip
    get(server)
    with pytest.raises(OSError, match="500"):
        get(server, "/raise")
    tags = r"\|#a:b"
    for pattern, least in {
        r"shop\.gunicorn\.workers:2\|g": 1,
        r"shop\.gunicorn\.requests:1\|c\|@1\.0": 2,
        r"shop\.gunicorn\.request\.duration:[\d.]+\|ms": 2,
        r"shop\.gunicorn\.request\.status\.200:1\|c\|@1\.0": 1,
        r"shop\.gunicorn\.request\.status\.500:1\|c\|@1\.0": 1,
        r"shop\.gunicorn\.log\.exception:1\|c\|@1\.0": 1,
        r"shop\.gunicorn\.backlog:\d+\|h": 1,
    }.items():
        wait_for(
            lambda pattern=pattern, least=least: receiver.count(pattern + tags) >= least,
            f"{pattern} among {receiver.lines}",
        )
    server.signal(signal.SIGTTIN)
    wait_for(lambda: receiver.count(r"shop\.gunicorn\.workers:3\|g" + tags), "three workers")
    server.signal(signal.SIGTTOU)
    wait_for(lambda: receiver.count(r"shop\.gunicorn\.workers:2\|g" + tags) >= 2, "two workers")
    assert receiver.count(r"shop\.gunicorn\.requests:1\|c\|@1\.0" + tags) == 2
    assert "gunicorn.workers" not in server.log()


def test_statsd_over_a_unix_socket_that_goes_away(serve: StartServer, tmp_path: Path) -> None:
    path = tmp_path / "statsd"
    receiver = Receiver(socket.AF_UNIX, str(path))
    server = serve("log_app:app", "--statsd-host", f"unix://{path}")
    get(server)
    wait_for(lambda: receiver.count(r"gunicorn\.requests:1\|c\|@1\.0"), "the count")
    receiver.socket.shutdown(socket.SHUT_RDWR)
    receiver.join(5)
    receiver.socket.close()
    path.unlink()
    assert get(server)
    assert get(server)
    assert "Traceback" not in server.log()


# ---- a logger class of the user's

OWN = """
from gunicorn.glogging import Logger
class Own(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        self.info("set up with {word}, level %s, %d handlers", cfg.loglevel,
                  len(self.error_log.handlers))
    def access(self, resp, req, environ, request_time):
        self.access_log.info("{word} %s %s %s", req.method, resp.status, environ["PATH_INFO"])
logger_class = Own
loglevel = "{level}"
accesslog = "-"
"""


def test_a_logger_class_in_the_configuration_file(serve: StartServer, tmp_path: Path) -> None:
    config = tmp_path / "conf.py"
    config.write_text(OWN.format(word="apple", level="info"))
    server = serve("log_app:app", "-c", str(config))
    get(server, "/a")
    wait_for(lambda: "apple GET 200 OK /a" in server.access_lines(), "the line")
    (old,) = server.worker_pids()
    config.write_text(OWN.format(word="pear", level="debug"))
    server.signal(signal.SIGHUP)
    wait_for(lambda: not is_running(old), "the new worker")
    server.worker_pids()
    wait_for(lambda: answers(server), "an answer")
    log = server.wait_log(", level debug, 1 handlers")
    get(server, "/b")
    lines = wait_for(lambda: [x for x in server.access_lines() if "/b" in x], "the line")
    assert len(lines) == 1
    assert lines[0] == "pear GET 200 OK /b", log

"""A destination of logs or metrics that is lost: said once on what still works, counted, and its
return is told. No traceback, and nobody waits."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import StartServer
from harness import IS_GUNICORN, Server, free_port, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="gunicorn prints tracebacks, or nothing")

REQUESTS = 10


def get(server: Server, path: str = "/") -> None:
    with urllib.request.urlopen(server.url + path, timeout=10) as answer:
        answer.read()


def listener(scheme: str, address: Any) -> Callable[[], bytes]:
    """Starts a server of that kind; what it returns gives all that has come."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    kind = socket.SOCK_STREAM if scheme == "tcp" else socket.SOCK_DGRAM
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address)
    got: list[bytes] = []

    def read(source: socket.socket) -> None:
        while data := source.recv(65536):
            got.append(data)

    def accept() -> None:
        while True:
            threading.Thread(target=read, args=(server.accept()[0],), daemon=True).start()

    if kind == socket.SOCK_STREAM:
        server.listen()
        threading.Thread(target=accept, daemon=True).start()
    else:
        threading.Thread(target=read, args=(server,), daemon=True).start()
    return lambda: b"".join(got)


def places(tmp_path: Path) -> dict[str, tuple[str, Any]]:
    unix, port = str(tmp_path / "none"), free_port()
    return {
        "unix": (f"unix://{unix}", unix),
        "udp": (f"udp://127.0.0.1:{port}", ("127.0.0.1", port)),
        "tcp": (f"tcp://127.0.0.1:{port}", ("127.0.0.1", port)),
    }


def told_once(server: Server, words: str) -> str:
    """The one line with these words, in whatever process."""
    log = server.wait_log(words)
    (line,) = [line for line in log.splitlines() if words in line]
    return line


@pytest.mark.parametrize(
    "options", [(), ("-k", "asgi"), ("-k", "gevent"), ("--threads", "2")], ids=str
)
@pytest.mark.parametrize("scheme", ["unix", "udp", "tcp"])
def test_syslog(serve: StartServer, tmp_path: Path, scheme: str, options: tuple[str, ...]) -> None:
    text, address = places(tmp_path)[scheme]
    app = "asgi_hello:app" if "asgi" in options else "log_app:app"
    server = serve(app, *options, "--log-syslog", "--log-syslog-to", text)
    server.announce(descriptors=1)  # the socket, once there is somebody to connect to
    for _ in range(REQUESTS):
        get(server)
    line = told_once(server, "cannot be reached")
    assert "[ERROR] syslog at " in line
    arrived = listener(scheme, address)

    def returned() -> bool:
        get(server)
        return "is reached again" in server.log()

    wait_for(returned, "the return", 20)
    found = re.findall(
        r"\[WARNING\] syslog at \S+ is reached again: (\d+) lines were", server.log()
    )
    assert int(found[0]) >= REQUESTS
    wait_for(lambda: b'"GET / HTTP/1.1" 200' in arrived(), "an access line")
    assert "Traceback" not in server.log()


def test_syslog_with_two_workers_is_told_by_one(serve: StartServer, tmp_path: Path) -> None:
    text, _ = places(tmp_path)["unix"]
    server = serve("log_app:app", "--log-syslog", "--log-syslog-to", text, workers=2)
    for _ in range(REQUESTS):
        get(server)
    told_once(server, "cannot be reached")


@pytest.mark.parametrize("scheme", ["udp", "tcp"])
def test_a_name_that_does_not_resolve(serve: StartServer, scheme: str) -> None:
    server = serve("log_app:app", "--log-syslog", "--log-syslog-to", f"{scheme}://no.such.invalid")
    get(server)
    assert "[ERROR] syslog at no.such.invalid:514" in told_once(server, "cannot be reached")


@pytest.mark.parametrize("scheme", ["unix", "udp", "nowhere"])
def test_statsd(serve: StartServer, tmp_path: Path, scheme: str) -> None:
    text, address = (
        places(tmp_path)[scheme] if scheme != "nowhere" else ("no.such.invalid:8125", None)
    )
    server = serve("log_app:app", "--statsd-host", text.removeprefix("udp://"))
    server.announce(descriptors=1)
    for _ in range(REQUESTS):
        get(server)
    assert "[ERROR] The statsd server at " in told_once(server, "cannot be reached")
    if address is None:
        return
    arrived = listener(scheme, address)

    def returned() -> bool:
        get(server)
        return "is reached again" in server.log()

    wait_for(returned, "the return", 20)
    assert re.search(r"is reached again: \d+ metrics were lost", server.log())
    wait_for(lambda: b"gunicorn.requests" in arrived(), "the metric")


def test_a_syslog_that_goes_away_and_comes_again(serve: StartServer, tmp_path: Path) -> None:
    path = str(tmp_path / "log")
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(path)
    server = serve("log_app:app", "--log-syslog", "--log-syslog-to", f"unix://{path}")
    get(server)
    assert "cannot be reached" not in server.log()
    first.close()
    os.unlink(path)
    get(server)
    told_once(server, "cannot be reached")
    arrived = listener("unix", path)
    get(server)
    wait_for(lambda: "is reached again" in server.log() or get(server), "the return")
    wait_for(lambda: b"GET / " in arrived(), "a line")


def test_a_stdout_that_nobody_reads_any_more(serve: StartServer, tmp_path: Path) -> None:
    """A pipe whose reader has gone: the access log of the core, and of Python."""
    for number, pattern in enumerate(("%(r)s", "%(r)s %({wsgi.url_scheme}e)s")):
        read, write = os.pipe()
        os.close(read)
        server = serve(
            "log_app:app", "--access-logfile", f"/dev/fd/{write}", "--access-logformat", pattern,
            pass_fds=(write,),
        )  # fmt: skip
        os.close(write)
        for _ in range(REQUESTS):
            get(server)
        log = server.wait_log("cannot be written")
        assert log.count("cannot be written: Broken pipe") == 1, (number, log)
        assert server.stop() == 0


@pytest.mark.parametrize(
    "pattern", ["%(r)s", "%(r)s %({wsgi.url_scheme}e)s"], ids=["core", "python"]
)
def test_a_full_disk_is_said_on_the_other_log(serve: StartServer, pattern: str) -> None:
    server = serve("log_app:app", "--access-logfile", "/dev/full", "--access-logformat", pattern)
    for _ in range(REQUESTS):
        get(server)
    log = server.wait_log("cannot be written")
    assert log.count("cannot be written: No space left on device") == 1, log


def test_an_error_log_on_a_full_disk_leaves_a_line_on_standard_error(launch: StartServer) -> None:
    server = launch("log_app:app", "--error-logfile", "/dev/full")
    line = server.wait_log("The log /dev/full cannot be written: No space left on device")
    assert "[ERROR]" in line

    def answers() -> bool:
        try:
            get(server)
        except OSError:
            return False
        return True

    wait_for(answers, "an answer")
    assert server.stop() == 0
    assert server.log().count("cannot be written") == 1


OWN_CONFIG = """
logconfig_dict = {{
    "handlers": {{
        "theirs": {{"class": "logging.handlers.SysLogHandler", "address": {address!r},
                    "formatter": "generic"}},
        "error_console": {{"class": "logging.StreamHandler", "formatter": "generic",
                           "stream": "ext://sys.stderr"}},
        "console": {{"class": "logging.StreamHandler", "formatter": "generic",
                     "stream": "ext://sys.stdout"}},
    }},
    "loggers": {{
        "gunicorn.error": {{"level": "INFO", "handlers": ["theirs", "error_console"],
                            "propagate": False}},
        "gunicorn.access": {{"level": "INFO", "handlers": ["theirs"], "propagate": False}},
    }},
}}
"""


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_a_syslog_of_the_users_own_configuration(
    serve: StartServer, tmp_path: Path, kind: str
) -> None:
    path = str(tmp_path / "log.sock")
    conf = tmp_path / "own_conf.py"
    conf.write_text(OWN_CONFIG.format(address=path))
    first = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    first.bind(path)
    server = serve("log_app:app", "-k", kind, "-c", str(conf))
    get(server)
    os.unlink(path)
    first.close()
    for _ in range(REQUESTS):
        get(server)
    told = told_once(server, f"SysLogHandler at {path} cannot be reached")
    assert "lost, and counted" in told
    heard = listener("unix", path)
    wait_for(lambda: get(server) or b"GET /" in heard(), "a line")
    found = re.search(
        r"SysLogHandler at \S+ is reached again: (\d+) lines", server.wait_log("again")
    )
    assert found is not None
    assert int(found.group(1)) >= REQUESTS - 1  # the last line may come when somebody listens
    assert "Logging error" not in server.log()
    assert server.stop() == 0


def test_the_return_of_a_full_disk(serve: StartServer, small_disk: Path) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * 61440)
    line = "x" * 1000
    server = serve(
        "log_app:app", "--access-logfile", str(small_disk / "log"), "--access-logformat", line
    )
    server.announce(descriptors=1)  # the thread that a slow disk gets
    for _ in range(REQUESTS):
        get(server)
    server.wait_log("The access log cannot be written: No space left on device")
    filler.unlink()
    wait_for(lambda: get(server) or "The access log is written again" in server.log(), "the return")
    assert server.log().count("cannot be written") == 1
    assert server.stop(signal.SIGTERM) == 0

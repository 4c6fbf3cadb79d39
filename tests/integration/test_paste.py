"""Applications in PasteDeploy files: monoceros --paste, and pserve with monoceros as its server."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import third_party
from conftest import StartServer
from harness import APPS, IS_GUNICORN, children_of, free_port, wait_for

pytestmark = pytest.mark.skipif(IS_GUNICORN, reason="pserve below runs monoceros")

INI = """
[DEFAULT]
colour = red

[app:main]
paste.app_factory = paste_app:make_app
size = 7

[app:other]
paste.app_factory = paste_app:make_app
size = 8

[server:main]
{server}
"""

LOGGERS = """
[loggers]
keys = root, shop
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[logger_shop]
level = INFO
handlers =
qualname = shop
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = INI %(name)s: %(message)s
"""


def env() -> dict[str, str]:
    return third_party.path_with(third_party.third_party(), APPS)


def ask(port: int) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/x", timeout=10) as answer:
        return json.loads(answer.read())


def answered(port: int) -> Any:
    try:
        return ask(port)
    except OSError:
        return None


def start(launch: StartServer, *args: str, cwd: Path) -> Any:
    """A server without an application on its command line."""
    server = launch("ignored:app", *args, env=env(), cwd=cwd)
    wait_for(lambda: server.code() is not None or answered(server.port), "an answer")
    assert server.code() is None, server.log()
    return server


@pytest.mark.parametrize("section", ["", "#main", "#other"])
def test_paste(launch: StartServer, tmp_path: Path, section: str) -> None:
    ini = tmp_path / "dev.ini"
    ini.write_text(INI.format(server=""))
    server = start(
        launch, "--paste", f"dev.ini{section}", "--paste-global", "shape=round", cwd=tmp_path
    )
    found = ask(server.port)
    assert found["local"] == {"size": "8" if section == "#other" else "7"}
    assert found["global"]["shape"] == "round"
    assert found["global"]["colour"] == "red"
    assert found["global"]["__file__"] == str(ini)
    assert server.stop() == 0


def test_paste_with_loggers(launch: StartServer, tmp_path: Path) -> None:
    (tmp_path / "dev.ini").write_text(INI.format(server="") + LOGGERS)
    server = start(launch, "--paste", "dev.ini", cwd=tmp_path)
    server.wait_log("INI shop: asked for /x")
    assert server.stop() == 0


def test_a_missing_section(launch: StartServer, tmp_path: Path) -> None:
    (tmp_path / "dev.ini").write_text(INI.format(server=""))
    server = launch("ignored:app", "--paste", "dev.ini#nope", env=env(), cwd=tmp_path)
    server.announce("No section 'nope'")
    assert server.wait() == 3
    assert "nope" in server.log()


# ---- pserve


def is_installed() -> bool:
    try:
        importlib.metadata.distribution("monoceros")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


RUNNERS = {
    "direct": "paste.server_runner = monoceros.app.pasterapp:serve",
    "egg": "use = egg:monoceros#main",
}


@pytest.fixture
def pserve(tmp_path: Path) -> Iterator[Any]:
    started: list[subprocess.Popen[bytes]] = []

    def start(server: str, more: str = "") -> subprocess.Popen[bytes]:
        (tmp_path / "prod.ini").write_text(INI.format(server=server) + more)
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "pyramid.scripts.pserve", "prod.ini"],
                cwd=tmp_path, env={**os.environ, **env(), "GUNICORN_CMD_ARGS": "--workers 5"},
                stderr=log, stdout=log, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(10)


@pytest.mark.parametrize("runner", RUNNERS)
def test_pserve(pserve: Any, tmp_path: Path, runner: str) -> None:
    """Keys of the section are settings, over the file's; the command line is not looked at."""
    if runner == "egg" and not is_installed():
        pytest.skip("needs monoceros to be installed, not only importable")
    port = free_port()
    (tmp_path / "gunicorn.conf.py").write_text("workers = 4\nkeepalive = 9\nproc_name = 'conf'\n")
    server = f"{RUNNERS[runner]}\nhost = 127.0.0.1\nport = {port}\nworkers = 2\nloglevel = debug"
    process = pserve(server)
    found = wait_for(lambda: answered(port), f"an answer: {(tmp_path / 'log').read_text()}")
    assert found["local"] == {"size": "7"}
    assert len(wait_for(lambda: children_of(process.pid), "workers")) == 2
    log = (tmp_path / "log").read_text()
    assert "keepalive                          = 9" in log
    process.terminate()
    assert process.wait(10) == 0


def test_pserve_with_several_hosts_and_loggers(pserve: Any, tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    hosts = f"127.0.0.1:{first},127.0.0.1:{second}"
    pserve(f"{RUNNERS['direct']}\nhost = {hosts}", LOGGERS)
    for port in (first, second):
        wait_for(lambda port=port: answered(port), f"port {port}")
    wait_for(lambda: "INI shop: asked" in (tmp_path / "log").read_text(), "the line")


def test_pserve_with_an_unknown_key(pserve: Any, tmp_path: Path) -> None:
    process = pserve(f"{RUNNERS['direct']}\nwrokers = 2")
    process.wait(10)  # pserve makes the exit status 0 of any SystemExit
    assert "no setting called wrokers; did you mean workers?" in (tmp_path / "log").read_text()

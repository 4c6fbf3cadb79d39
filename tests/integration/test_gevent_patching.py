"""gevent patches before anything is loaded: in masters that preload, and before configuration."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from client import fetch
from conftest import StartServer
from harness import Server, wait_for

PATCHED = b"gevent.ssl.SSLContext requests"
GREEN = ["-k", "gevent"]


def conf(directory: Path, text: str) -> list[str]:
    path = directory / "conf.py"
    path.write_text(text)
    return ["-c", str(path)]


def check(server: Server) -> None:
    assert fetch(server.address, "/").body == PATCHED
    assert "MonkeyPatchWarning" not in server.log()


def test_a_master_that_preloads(serve: StartServer) -> None:
    """And it stays a master: it reloads, replaces who dies and hears of each end."""
    server = serve("tls_user:app", *GREEN, "--preload", workers=2)
    check(server)
    old = server.worker_pids()
    os.kill(old[0], signal.SIGKILL)
    server.announce("was killed by SIGKILL")
    server.wait_log(f"Worker (pid:{old[0]}) was killed by SIGKILL")
    wait_for(lambda: old[0] not in server.worker_pids(), "another worker")
    before = server.worker_pids()
    server.signal(signal.SIGHUP)
    wait_for(lambda: not set(before) & set(server.worker_pids()), "new workers")
    server.signal(signal.SIGTTIN)
    server.worker_pids(3)
    check(server)
    assert server.stop() == 0


@pytest.mark.parametrize("preload", [[], ["--preload"]])
def test_a_configuration_file_that_imports(
    serve: StartServer, tmp_path: Path, preload: list[str]
) -> None:
    text = "import requests\nfrom urllib3.util.ssl_ import SSLContext\n"
    server = serve("tls_user:app", *GREEN, *preload, *conf(tmp_path, text))
    check(server)
    server.signal(signal.SIGHUP)
    server.wait_log("Booting worker", 2)
    check(server)


def test_one_that_names_the_class_itself(serve: StartServer, tmp_path: Path) -> None:
    text = "import requests\nworker_class = 'gevent'\n"
    server = serve("tls_user:app", *conf(tmp_path, text))
    assert "Using worker: gevent" in server.log()
    check(server)


def test_the_class_may_be_in_the_environment(serve: StartServer, tmp_path: Path) -> None:
    env = {"GUNICORN_CMD_ARGS": "-k gevent"}
    server = serve("tls_user:app", *conf(tmp_path, "import requests\n"), env=env)
    check(server)


def test_too_early_is_said(serve: StartServer, tmp_path: Path) -> None:
    text = "import requests\nworker_class = 'gev' + 'ent'\n"
    server = serve("probe:app", *conf(tmp_path, text))
    assert "urllib3.util.ssl_" in server.log()
    assert "took SSLContext from ssl before gevent could patch it" in server.log()


def test_other_workers_are_not_patched(serve: StartServer, tmp_path: Path) -> None:
    server = serve("tls_user:app", "--preload", *conf(tmp_path, "import requests\n"))
    assert fetch(server.address, "/").body == b"ssl.SSLContext requests"

"""-c python:MODULE at a reload: new values, or the old ones and a word."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from arbiter_harness import Server, until
from monoceros.errors import ConfigFileError
from monoceros.settings.config_module import ConfigModules

CONFIG = ["-c", "python:conf.web"]


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with the modules web and base; web takes its timeout from base."""
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "__init__.py").write_text("loaded = 0\n")
    (folder / "base.py").write_text("timeout = 30\n")
    (folder / "web.py").write_text("from conf.base import timeout\nraw_env = ['RELEASE=1']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [one for one in sys.modules if one.partition(".")[0] == "conf"]:
        del sys.modules[name]


def test_the_module_and_its_packages_others_are_read_afresh(conf: Path) -> None:
    first = ConfigModules.load("conf.web", None)
    assert first.values["timeout"] == 30
    for value in (31, 32, 33):  # of one length, and within a second
        (conf / "base.py").write_text(f"timeout = {value}\n")
        first = ConfigModules.load("conf.web", first)
        assert first.values["timeout"] == value


def test_a_package_around_it_runs_again_only_if_it_has_changed(conf: Path) -> None:
    (conf / "__init__.py").write_text("import os\nos.environ['RUNS'] = os.environ['RUNS'] + '1'\n")
    os.environ["RUNS"] = ""
    former = ConfigModules.load("conf.web", None)
    former = ConfigModules.load("conf.web", former)
    assert os.environ["RUNS"] == "1"
    with (conf / "__init__.py").open("a") as file:
        file.write("more = True\n")
    ConfigModules.load("conf.web", former)
    assert os.environ.pop("RUNS") == "11"


def test_modules_that_were_there_before_stay(conf: Path) -> None:
    (conf / "application.py").write_text("views = []\n")
    application = importlib.import_module("conf.application")
    (conf / "web.py").write_text("from conf.application import views\ntimeout = 5\n")
    former = ConfigModules.load("conf.web", None)
    ConfigModules.load("conf.web", former)
    assert sys.modules["conf.application"] is application
    assert former.brought == {"conf.web"}


@pytest.mark.parametrize("broken", ["1 / 0", "import a_module_that_is_missing", "timeout = = 3"])
def test_a_failure_leaves_the_modules_as_they_were(conf: Path, broken: str) -> None:
    former = ConfigModules.load("conf.web", None)
    before = {name: sys.modules[name] for name in ("conf", "conf.web", "conf.base")}
    (conf / "base.py").write_text(broken + "\n")
    with pytest.raises(ConfigFileError, match=r"python:conf\.web"):
        ConfigModules.load("conf.web", former)
    assert {name: sys.modules[name] for name in before} == before
    assert before["conf"].web is before["conf.web"]


def test_hup_takes_new_values(conf: Path, tmp_path: Path) -> None:
    with Server(tmp_path, *CONFIG) as server:
        server.ready()
        assert server.get("/env/RELEASE") == "1"
        (conf / "web.py").write_text("raw_env = ['RELEASE=2']\nworkers = 2\n")
        server.send(signal.SIGHUP)
        server.says("Booting worker", 3)
        server.ready(2)
        until(lambda: server.get("/env/RELEASE") == "2")


def test_hup_with_a_module_that_fails_keeps_the_old_values(conf: Path, tmp_path: Path) -> None:
    with Server(tmp_path, *CONFIG) as server:
        before = server.ready()
        (conf / "web.py").write_text("raw_env = ['RELEASE=2']\nraise RuntimeError('no secrets')\n")
        server.send(signal.SIGHUP)
        server.says("The reload failed: the server goes on as before")
        server.says("RuntimeError: no secrets")
        assert server.workers() == before
        assert server.get("/env/RELEASE") == "1"
        (conf / "web.py").write_text("raw_env = ['RELEASE=3']\n")
        server.send(signal.SIGHUP)
        until(lambda: server.get("/env/RELEASE") == "3")


def test_a_module_that_fails_at_the_start(conf: Path, tmp_path: Path) -> None:
    (conf / "web.py").write_text("raise RuntimeError('no secrets')\n")
    with Server(tmp_path, *CONFIG) as server:
        assert server.exit_code() == 1
        assert "Failed to read config file: python:conf.web" in server.log()
        assert "no secrets" in server.log()

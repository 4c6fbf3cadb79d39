"""Deploys by symlink: USR2 starts what the command's name leads to now, HUP serves from where the
directory's name leads to now, or the log says why not."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

import pytest

import monoceros
from arbiter_harness import Server, alive, children, until
from monoceros.master import release

APP = (
    "import os\n"
    "def app(environ, start_response):\n"
    "    return [os.environ.get('RELEASE', '-').encode() + b' {}']\n"
)


def make_release(root: Path, number: int) -> Path:
    """A virtual environment and an application, each of which knows its number."""
    folder = root / "releases" / str(number)
    packages = folder / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    (folder / "bin").mkdir(parents=True)
    packages.mkdir(parents=True)
    (folder / "bin/python").symlink_to(os.path.realpath(sys.executable))
    home = os.path.dirname(os.path.realpath(sys.executable))
    (folder / "pyvenv.cfg").write_text(f"home = {home}\n")
    real = sysconfig.get_paths()["platlib"]
    (packages / "all.pth").write_text(f"{real}\nimport os; os.environ['RELEASE'] = '{number}'\n")
    script = folder / "bin/monoceros"
    script.write_text(
        f"#!{folder}/bin/python\nfrom monoceros.app.wsgiapp import run\nrun()\n"  # as pip does
    )
    script.chmod(0o755)
    (folder / "app.py").write_text(APP.format(number))
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """current -> releases/1, and releases/2."""
    for number in (1, 2):
        shutil.copy(__file__, make_release(tmp_path, number))
    switch(tmp_path, 1)
    return tmp_path


def switch(root: Path, number: int) -> None:
    (root / "next").symlink_to(f"releases/{number}")
    os.rename(root / "next", root / "current")


def start(site: Path, *args: str, program: list[str] | None = None, named: bool = True) -> Server:
    """In the directory `current`, which the server knows by that name if `named`."""
    env = {"PWD": str(site / "current") if named else "/", "PYTHONPATH": str(site / "run")}
    (site / "run").mkdir(exist_ok=True)
    return Server(
        site / "run", "--pid", str(site / "pid"), *args, env=env, program=program,
        cwd=site / "current", app="app:app",
    )  # fmt: skip


@pytest.mark.parametrize(
    "program",
    [
        ["{current}/bin/monoceros"],
        ["bin/monoceros"],
        ["{current}/bin/python", "-m", "monoceros"],
        ["bin/python", "-m", "monoceros"],
        ["{current}/bin/python", "bin/monoceros"],
    ],
)
def test_usr2_starts_what_the_name_leads_to_now(site: Path, program: list[str]) -> None:
    (site / "run").mkdir()
    (site / "run" / "app.py").unlink(missing_ok=True)
    words = [word.format(current=site / "current") for word in program]
    with start(site, program=words) as server:
        server.ready()
        assert server.get() == "1 1"
        switch(site, 2)
        server.send(signal.SIGUSR2)
        fresh = Path(f"{site}/pid.2")
        new = int(str(until(lambda: fresh.exists() and fresh.read_text())))
        until(lambda: len(children(new)) == 1)
        assert server.stop() == 0
        until(lambda: server.answers() and server.get() == "2 2")
        server.says(f"Starting a new master: {site}/current/bin/")
        server.says(f"After process {server.pid}: monoceros")
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new))


def test_usr2_goes_by_what_a_hook_has_changed(tmp_path: Path) -> None:
    """As hooks written for gunicorn do."""
    config = """
        import sys
        def pre_exec(server):
            server.START_CTX["args"] = [sys.executable, "-c", "import os; os.abort()"]
    """
    with Server(tmp_path, config=config) as server:
        server.ready()
        server.send(signal.SIGUSR2)
        server.says("The new master is gone")
        assert server.answers()


def test_a_command_that_is_gone(site: Path) -> None:
    with start(site, program=[f"{site}/current/bin/monoceros"]) as server:
        server.ready()
        (site / "current").unlink()
        server.send(signal.SIGUSR2)
        server.says("The new master cannot be started")
        server.says("The new master is gone; this one goes on")
        assert server.get() == "1 1"


def test_hup_serves_from_where_the_link_leads_now(site: Path) -> None:
    with start(site) as server:
        server.ready()
        assert server.get() == "- 1"
        switch(site, 2)
        shutil.rmtree(site / "releases/1")  # deploys keep the last few only
        server.send(signal.SIGHUP)
        until(lambda: server.answers() and server.get() == "- 2")
        server.says(f"Reload: serving from {site}/current -> {site}/releases/2")
        assert "WARNING" not in server.log()


@pytest.mark.parametrize("inner", ["", "src"])
def test_hup_says_which_link_it_does_not_follow(site: Path, inner: str) -> None:
    if inner:
        for number in (1, 2):
            (site / f"releases/{number}/src").mkdir()
            shutil.move(site / f"releases/{number}/app.py", site / f"releases/{number}/src")
    env = {"PWD": "/"}
    (site / "run").mkdir()
    place = site / "current" / inner
    with Server(
        site / "run", env={**env, "PYTHONPATH": str(site / "run")}, cwd=place, app="app:app"
    ) as server:
        server.ready()
        switch(site, 2)
        server.send(signal.SIGHUP)
        real = site / "releases/1" / inner
        server.says(f"Reload: serving from {real}")
        server.says(f"The link {site}/current leads to {site / 'releases/2' / inner} now")
        server.says(f"Start it with --chdir {place}")
        until(lambda: server.answers() and server.get() == "- 1")


def test_hup_where_the_directory_is_gone(site: Path) -> None:
    with start(site, named=False) as server:
        before = server.ready()
        shutil.move(site / "releases/1", site / "gone")
        shutil.rmtree(site / "gone")
        server.send(signal.SIGHUP)
        server.says("The reload failed: the server goes on as before")
        server.says("in which this server was started, is gone. Restart it")
        assert server.workers() == before
        assert server.get() == "- 1"


def test_a_preloaded_application_stays(site: Path) -> None:
    with start(site, "--preload") as server:
        server.ready()
        switch(site, 2)
        server.send(signal.SIGHUP)
        server.says(f"preload_app keeps the application that was loaded from {site}/releases/1")


def test_the_identity_of_a_server_names_its_place() -> None:
    assert str(Path(monoceros.__file__).resolve().parent) in release.identity()

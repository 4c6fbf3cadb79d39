"""Applications by name, configuration files, and what the command does with them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from monoceros import __version__, util
from monoceros.errors import AppImportError

Run = Callable[..., "subprocess.CompletedProcess[str]"]

MODULE = """
def application(environ, start_response): ...
def create_app(name="x", debug=False):
    def made(environ, start_response): ...
    made.given = (name, debug)
    return made
def broken(): raise TypeError("inside")
def nothing(): return None
number = 5
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("loadable", "__config__"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "loadable.py").write_text(MODULE)
    return tmp_path


@pytest.fixture
def run(here: Path) -> Run:
    """Runs the command in the directory of the test; it must end by itself."""

    def start(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items()
            if not name.endswith("_CMD_ARGS") and name not in ("PORT", "WEB_CONCURRENCY", "PWD")
        }  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "monoceros", *args],
            cwd=here, env={**clean, **environ}, capture_output=True, text=True, timeout=30,
            check=False,
        )  # fmt: skip

    return start


# ---- import_app


@pytest.mark.parametrize("uri", ["loadable", "loadable:application", "loadable:create_app()"])
def test_applications_by_name(here: Path, uri: str) -> None:
    assert callable(util.import_app(uri))


def test_factories_take_literals(here: Path) -> None:
    assert util.import_app("loadable:create_app('a', debug=True)").given == ("a", True)


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("loadable:app", "has no attribute 'app'. Did you mean 'loadable:application'?"),
        ("loadable:nope()", "has no attribute 'nope'"),
        ("loadable:number", "is 'int', which cannot be called"),
        ("loadable:nothing()", "the application is None"),
        ("loadable:create_app", "did you mean 'loadable:create_app()'?"),
        ("loadable:broken", "did you mean 'loadable:broken()'?"),
        ("loadable:create_app(1, 2, 3)", "cannot be called so"),
        ("loadable:create_app(number)", "must be literals"),
        ("loadable:create_app(**{'name': 1})", "neither a name nor a call"),
        ("loadable:a.b", "neither a name nor a call"),
        ("loadable:create_app(", "neither a name nor a call"),
        ("loadable:1", "neither a name nor a call"),
    ],
)
def test_applications_that_cannot_be_had(here: Path, uri: str, said: str) -> None:
    with pytest.raises(AppImportError) as caught:
        util.import_app(uri)
    assert said in str(caught.value)


def test_a_type_error_inside_a_factory_is_its_own(here: Path) -> None:
    with pytest.raises(TypeError, match="inside"):
        util.import_app("loadable:broken()")


def test_missing_modules_say_where_was_looked(here: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"'nope': looked in {here}"):
        util.import_app("nope")
    with pytest.raises(ImportError, match="did you mean 'loadable:application'"):
        util.import_app("loadable.py:app")


@pytest.mark.parametrize(
    ("source", "name", "meant"),
    [
        ("app = object()", "site.py", "site:app"),
        ("def create_app(): ...", "site.py", "site:create_app()"),
        ("from flasks import app", "./site.py", "site:app"),
        ("server: int = 1", "site.py:server", "site:server"),
        ("async def api(scope, receive, send): ...", "site.py:app", "site:api"),
        ("app = = 1", "site.py", "site:application"),
    ],
)
def test_a_file_in_the_place_of_a_module(here: Path, source: str, name: str, meant: str) -> None:
    (here / "site.py").write_text(source)
    with pytest.raises(ImportError, match="is a file") as caught:
        util.import_app(name)
    assert f"did you mean '{meant}'?" in str(caught.value)


def test_what_a_module_has_is_suggested(here: Path) -> None:
    (here / "shop").mkdir()
    (here / "shop" / "__init__.py").write_text(
        "import logging\nfrom pathlib import Path\nclass Site:\n    def __call__(self): ...\n"
        "storefront = Site()\n"
    )
    (here / "bare").mkdir()
    (here / "bare" / "__init__.py").write_text("")
    (here / "bare" / "wsgi.py").write_text("application = print\n")
    for uri, meant in (("shop", "shop:storefront"), ("bare", "bare.wsgi")):
        with pytest.raises(AppImportError, match=f"Did you mean '{meant}'"):
            util.import_app(uri)


def test_a_module_that_a_module_lacks_is_not_blamed_on_the_name(here: Path) -> None:
    (here / "needy.py").write_text("import not_installed_anywhere")
    with pytest.raises(ModuleNotFoundError) as caught:
        util.import_app("needy:app")
    assert str(caught.value) == "No module named 'not_installed_anywhere'"


# ---- load_class


def test_classes_by_name() -> None:
    from monoceros.glogging import Logger

    assert util.load_class(Logger) is Logger
    for name in ("simple", "monoceros.glogging.Logger", "gunicorn.glogging.Logger"):
        assert util.load_class(name, section="monoceros.loggers") is Logger


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("nosuch.module.Class", "there is no module called nosuch"),
        ("os.path.Nothing", "has no attribute 'Nothing'"),
        ("nosuchalias", "There is no class called 'nosuchalias'. Give one of sync"),
        ("egg:nosuchdist#x", "no package called nosuchdist"),
    ],
)
def test_classes_that_cannot_be_loaded(uri: str, said: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        util.load_class(uri)
    assert said in str(caught.value)


def test_entry_points_of_our_group_and_of_gunicorns(here: Path) -> None:
    info = here / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gunicorn.workers]\nold = collections:OrderedDict\n"
        "[monoceros.workers]\nnew = collections:Counter\n"
    )
    assert util.load_class("egg:plug#old").__name__ == "OrderedDict"
    assert util.load_class("new").__name__ == "Counter"


# ---- util


def test_http_date() -> None:
    assert util.http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert util.http_date(1700000000) == "Tue, 14 Nov 2023 22:13:20 GMT"


def test_split_request_uri_takes_two_slashes_for_a_path() -> None:
    assert util.split_request_uri("//a/b?c#d")[:] == ("", "", "//a/b", "c", "d")


def test_getcwd_believes_pwd_only_if_it_is_the_same_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    monkeypatch.chdir(real)
    monkeypatch.setenv("PWD", str(link))
    assert util.getcwd() == str(link)
    monkeypatch.setenv("PWD", str(tmp_path))
    assert util.getcwd() == str(real)


def test_fail_app() -> None:
    seen: list[Any] = []
    body = util.make_fail_app("boom")({}, lambda *args: seen.append(args))
    assert body == [b"boom"]
    assert seen[0][0].startswith("500 ")


# ---- the command


def test_order_of_sources(run: Run, here: Path) -> None:
    (here / "monoceros.conf.py").write_text("timeout = 2\nthreads = 2\nworkers = 2\n")
    (here / "gunicorn.conf.py").write_text("backlog = 77\n")
    done = run(
        "--print-config", "-w", "4", "loadable",
        MONOCEROS_CMD_ARGS="-t 3 -w 3", GUNICORN_CMD_ARGS="-t 9", WEB_CONCURRENCY="8",
    )  # fmt: skip
    shown = dict(line.replace(" ", "").split("=", 1) for line in done.stdout.splitlines())
    assert done.returncode == 0, done.stderr
    assert [shown[n] for n in ("workers", "timeout", "threads", "backlog")] == [
        "4",
        "3",
        "2",
        "2048",
    ]


def test_gunicorns_names_serve_where_ours_are_absent(run: Run, here: Path) -> None:
    (here / "gunicorn.conf.py").write_text("backlog = 77\n")
    done = run("--print-config", "loadable", GUNICORN_CMD_ARGS="-t 9")
    assert "backlog                            = 77\n" in done.stdout
    assert "timeout                            = 9\n" in done.stdout


def test_config_file_is_looked_up_before_chdir(run: Run, here: Path) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "inner.py").write_text("def application(e, s): ...")
    (here / "conf.py").write_text("chdir = 'sub'\ntimeout = 4")
    done = run("--print-config", "-c", "conf.py", "inner")
    assert done.returncode == 0, done.stderr
    assert f"= {here}/sub\n" in done.stdout


def test_config_from_a_module(run: Run, here: Path) -> None:
    (here / "settings_module.py").write_text("timeout = 6\nimport os\nhelper = 3\n")
    done = run("--print-config", "-c", "python:settings_module", "loadable")
    assert "timeout                            = 6\n" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["loadable", "--check-config"], 0, ""),
        (["loadable:app", "--check-config"], 1, "Did you mean 'loadable:application'?"),
        (["--check-config"], 1, "\nError: No application module specified."),
        (["-w", "-1", "loadable"], 1, "\nError: workers must be 0 or more, not -1."),
        (["-w", "x", "loadable"], 2, "invalid int value: 'x'"),
        (["--wrokers", "3", "loadable"], 2, "did you mean --workers?"),
        (["-c", "nope.py", "loadable"], 1, "'nope.py' does not exist"),
        (["--chdir", "nope", "loadable"], 1, "'nope' to change to does not exist"),
        (["--paste", "nope.ini"], 1, "nope.ini' does not exist"),
        (["--certfile", "x", "loadable"], 1, "TLS cannot be served: "),
        (["--protocol", "fastcgi", "loadable"], 1, "must be http or uwsgi, not 'fastcgi'"),
    ],
)
def test_exit_codes(run: Run, args: list[str], code: int, said: str) -> None:
    done = run(*args)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    if code == 0:
        assert done.stderr == ""


def test_a_bad_web_concurrency_exits_with_1(run: Run) -> None:
    done = run("--check-config", "loadable", WEB_CONCURRENCY="many")
    assert done.returncode == 1
    assert done.stderr == (
        "\nError: The environment variable WEB_CONCURRENCY must be a number of workers or auto, "
        "not 'many'.\n"
    )


def test_bad_config_files(run: Run, here: Path) -> None:
    (here / "bad.py").write_text("workers = 'x'")
    done = run("-c", "bad.py", "--check-config", "loadable")
    assert done.returncode == 1
    assert done.stderr == (
        "Invalid value for workers: x\n\n\nError: workers must be an integer, not 'x'.\n"
    )
    (here / "bad.py").write_text("1 / 0")
    done = run("-c", "bad.py", "--check-config", "loadable")
    assert done.returncode == 1
    assert "Failed to read config file: bad.py" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_misspelt_names_in_a_config_file_are_pointed_out(run: Run, here: Path) -> None:
    (here / "near.py").write_text("worker = 3\nimport logging\nname = 'x'\ncount = 1\n")
    done = run("-c", "near.py", "--check-config", "loadable")
    assert done.returncode == 0
    assert done.stderr.count("WARNING") == 1
    assert "sets worker, which is no setting: did you mean workers?" in done.stderr


def test_version_and_explain(run: Run) -> None:
    assert run("--version").stdout == f"monoceros (version {__version__})\n"
    done = run("--explain", "-w", "auto", "loadable")
    assert done.returncode == 0
    assert "from: command line\n    why:  workers = auto:" in done.stdout


def test_applications_configured_in_python(here: Path) -> None:
    from monoceros.app.base import BaseApplication

    class Embedded(BaseApplication):
        def __init__(self, options: dict[str, Any]) -> None:
            self.options = options
            super().__init__()

        def load_config(self) -> None:
            for name, value in self.options.items():
                if name in self.cfg.settings and value is not None:
                    self.cfg.set(name.lower(), value)

        def load(self) -> Any:
            return util.import_app("loadable")

    app = Embedded({"workers": 3, "other": 1})
    assert app.cfg.workers == 3
    assert app.wsgi() is app.wsgi()
    with pytest.raises(SystemExit) as caught:
        Embedded({"workers": -3})
    assert caught.value.code == 1

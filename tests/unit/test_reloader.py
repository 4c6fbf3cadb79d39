"""The reloader's engines on real files, and --reload of a real server."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monoceros import reloader
from patience import pace

Start = Callable[..., "queue.Queue[str]"]
NOTHING_S = 1.4  # longer than the clock of "poll" ticks


@pytest.fixture(params=["poll", "inotify", "auto"])
def start(request: pytest.FixtureRequest) -> Start:
    """Starts an engine on files; the queue gets the name that changed."""

    def begin(*files: Path | str) -> queue.Queue[str]:
        found: queue.Queue[str] = queue.Queue()
        engine = reloader.reloader_engines[request.param]
        made = engine(extra_files=[str(name) for name in files], callback=found.put)
        made.start()
        return found

    return begin


def later(path: Path, text: str) -> None:
    """Writes so that even a coarse clock of the file system has gone on."""
    pace(0.02, "a coarse clock goes on")
    path.write_text(text)


def test_a_changed_file_is_named_once(start: Start, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("1")
    found = start(one, two)
    later(two, "2")
    assert found.get(timeout=5) == str(two)
    later(one, "2")
    with pytest.raises(queue.Empty):
        found.get(timeout=NOTHING_S)


def test_a_neighbour_is_nobodys_business(start: Start, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    found = start(tmp_path / "one")
    later(tmp_path / "other", "1")
    (tmp_path / "one").read_text()
    with pytest.raises(queue.Empty):
        found.get(timeout=NOTHING_S)


def test_a_replaced_file_is_a_change_and_a_missing_one_is_awaited(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "one"
    path.write_text("1")
    found = start(path)
    path.unlink()
    with pytest.raises(queue.Empty):
        found.get(timeout=NOTHING_S)
    new = tmp_path / "new"
    later(new, "2")
    new.rename(path)
    assert found.get(timeout=5) == str(path)


def test_a_link_that_is_turned_around(start: Start, tmp_path: Path) -> None:
    """As a mounted ConfigMap does it: the file's own directory entry stays."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(name)
    (tmp_path / "current").symlink_to("first")
    (tmp_path / "app.py").symlink_to("current/app.py")
    found = start(tmp_path / "app.py")
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")
    assert found.get(timeout=5) == str(tmp_path / "app.py")


def test_patterns_find_changes_and_new_files(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.html").write_text("1")
    found = start(f"{tmp_path}/**/*.html")
    later(tmp_path / "deep" / "a.txt", "1")
    with pytest.raises(queue.Empty):
        found.get(timeout=NOTHING_S)
    (tmp_path / "new").mkdir()
    later(tmp_path / "new" / "b.html", "1")
    assert found.get(timeout=5) == str(tmp_path / "new" / "b.html")


def test_a_directory_is_everything_below_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "locale" / "de").mkdir(parents=True)
    (tmp_path / "locale" / "de" / "a.po").write_text("1")
    found = start(tmp_path / "locale")
    later(tmp_path / "locale" / "de" / "a.po", "2")
    assert found.get(timeout=5).startswith(str(tmp_path / "locale"))


def test_a_new_file_in_a_directory(start: Start, tmp_path: Path) -> None:
    (tmp_path / "locale").mkdir()
    found = start(tmp_path / "locale")
    later(tmp_path / "locale" / "b.po", "1")
    assert found.get(timeout=5).startswith(str(tmp_path / "locale"))


def test_modules_are_watched(tmp_path: Path) -> None:
    made = reloader.Reloader()
    files = made.get_files()
    assert os.path.abspath(reloader.__file__) in files
    assert os.path.abspath(os.__file__) in files
    assert not [name for name in files if name.endswith(".pyc")]


def test_a_directory_that_comes_later(start: Start, tmp_path: Path) -> None:
    """There is nothing to watch for inotify yet: the clock finds it."""
    found = start(f"{tmp_path}/absent/*.html", __file__)
    (tmp_path / "absent").mkdir()
    later(tmp_path / "absent" / "c.html", "1")
    assert found.get(timeout=5) == str(tmp_path / "absent" / "c.html")


# ---- the whole server

APP = """def application(environ, start_response):
    start_response('200 OK', [])
    return [b'%s']
"""


class Served:
    """A server with --reload whose application is a file to write."""

    def __init__(self, directory: Path, *args: str) -> None:
        self.directory = directory
        self.port = _free_port()
        self.write("one")
        self.log = (directory / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "monoceros", "-b", f"127.0.0.1:{self.port}", "--reload",
             *args, "changing"],
            cwd=directory, stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def write(self, text: str, whole: bool = False) -> None:
        pace(0.02, "as in later()")
        (self.directory / "changing.py").write_text(text if whole else APP % text)

    def get(self) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"
        except OSError:
            return ""

    def until(self, wanted: str) -> None:
        deadline = time.monotonic() + 15
        while wanted not in (got := self.get()):
            assert time.monotonic() < deadline, (got, self.text())
            pace(0.05, "a client that asks again")

    def text(self) -> str:
        return (self.directory / "log").read_text()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["", "-k gthread --threads 2", "--reload-engine poll"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path, *request.param.split())
    yield made
    made.process.send_signal(signal.SIGTERM)
    try:
        made.process.wait(10)
    finally:
        made.process.kill()


def test_the_application_is_loaded_again(served: Served) -> None:
    served.until("one")
    served.write("two, and longer")
    served.until("two")
    path = served.directory / "changing.py"
    assert f"Worker reloading: {path} modified" in served.text()


def test_a_syntax_error_is_shown_and_recovered_from(served: Served) -> None:
    served.until("one")
    served.write("def (:\n", whole=True)
    served.until("SyntaxError")
    assert served.get().startswith("500 ")
    served.write("mended")
    served.until("mended")
    assert served.process.poll() is None


def test_spew_prints_lines(tmp_path: Path) -> None:
    served = Served(tmp_path, "--spew")
    try:
        served.until("one")
    finally:
        served.process.terminate()
        served.process.wait(10)
    assert "changing:2:     start_response('200 OK', [])" in served.text()

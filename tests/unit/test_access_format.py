"""access_log_format is judged at the start; what a format shows never is an environ."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monoceros.config import Config
from monoceros.glogging import Logger, SafeAtoms
from monoceros.logs import access_format

APP = "def app(environ, start_response): return []\n"
OWN = """
from monoceros.glogging import Logger
class Named(Logger):
    pass
class Atoms(Logger):
    def atoms(self, *args):
        return {**super().atoms(*args), "number": 3}
class Lines(Logger):
    def access(self, *args):
        pass
"""


def check(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    (folder / "own.py").write_text(OWN)
    (folder / "app.py").write_text(APP)
    return subprocess.run(
        [sys.executable, "-m", "monoceros", "--check-config", *args, "app:app"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


REFUSED = {
    "%h %s": 'write "%(h)s" for "%h"',
    '%(h)s "%r" %>s': 'write "%(r)s" for "%r"',
    "%(h)s %>s": 'write "%(s)s" for "%>s"',
    "%{User-Agent}i": 'write "%({User-Agent}i)s" for "%{User-Agent}i"',
    "%(h)s %": "it ends after",
    "%(h": 'a "(" has no ")"',
    "%(s)d": "is text",
    "%s": 'write "%(s)s" for "%s"',  # Python takes it, and shows the whole environ
    "%s %(h)s": "must be followed",
    "100% of %(h)s": "must be followed",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_wrong_format_ends_the_start_with_a_sentence(tmp_path: Path, text: str) -> None:
    done = check(tmp_path, "--access-logformat", text)
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("\nError: access_log_format, near character "), done.stderr
    assert REFUSED[text] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text", ["%(T).2f", "%(D)x", "%(h)r %(r)a", "%(B)05d|%%", "json", "logfmt", "no atom", "%(b)ls"]
)
def test_what_python_makes_a_line_of_is_taken(tmp_path: Path, text: str) -> None:
    done = check(tmp_path, "--access-logformat", text)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("kind", "code"), [("Named", 1), ("Atoms", 0), ("Lines", 0)])
def test_logger_classes_with_atoms_or_lines_of_their_own_judge_for_themselves(
    tmp_path: Path, kind: str, code: int
) -> None:
    args = ("--logger-class", f"own.{kind}", "--access-logformat", "%(number)d")
    done = check(tmp_path, *args)
    assert done.returncode == code, done.stderr
    assert ("%(number)d is text" in done.stderr) == bool(code)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("host", "%({host}i)s"), ("status", "%(s)s"), ("request-id", "%(request_id)s"),
        ("{x-a}", "%({x-a}i)s"), ("{x-a}x", "%({x-a}i)s"), ("x-a", "%({x-a}i)s"),
        ("user_agent", "%(a)s"), ("S", "%(s)s"), ("remote_addr", "%(h)s"), ("z", None),
    ],
)  # fmt: skip
def test_an_unknown_atom_gets_a_hint(key: str, meant: str | None) -> None:
    (hint,) = access_format.hints(f"%(h)s %({key})s")
    assert hint.startswith(f"access_log_format: %({key})s is no atom, and always shows -")
    assert (f"did you mean {meant}?" in hint) == (meant is not None)
    if meant is not None:
        assert access_format.hints(meant) == []


def test_known_atoms_get_none(tmp_path: Path) -> None:
    default = Config().access_log_format
    known = default + " %(U)s %({X-A}i)s %({x}o)s %({any thing}E)s %(app_us)s %(M)d %%(z)s %(l)s"
    assert access_format.hints(known) == []
    done = check(tmp_path, "--access-logformat", "%(status)s")
    assert done.returncode == 0
    assert "did you mean %(s)s?" in done.stderr


def test_a_reload_with_a_wrong_format_keeps_the_logger() -> None:
    log = Logger(Config())
    cfg = Config()
    cfg.set("access_log_format", "%h")
    with pytest.raises(RuntimeError, match="near character"):
        log.setup(cfg)


# ---- no environ in what goes wrong

SECRET = {"{http_cookie}e": "secret-cookie", "s": "200"}


def failed(record_args: Any) -> str:
    """What logging says of a line that cannot be made."""
    stream = io.StringIO()
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(message)s"))
    before, sys.stderr = sys.stderr, stream
    try:
        handler.handle(logging.LogRecord("x", 20, "", 0, "%(s)d %h", record_args, None))
    finally:
        sys.stderr = before
    return stream.getvalue()


def test_atoms_do_not_show_themselves() -> None:
    atoms = SafeAtoms(SECRET)
    text = failed((atoms,))
    assert "Arguments:" in text
    assert "secret" not in text
    for shown in (repr(atoms), str(atoms), f"{atoms}", "".join(map(str, [atoms]))):
        assert "secret" not in shown
    assert dict(atoms)["{http_cookie}e"] == "secret-cookie"

"""Files that the master makes in folders that others may write into: strangers lay traps there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from monoceros.pidfile import Pidfile

TIMEOUT_S = 60


def write_pidfile(path: Path, trap: str, *, pid: int | None = None) -> str:
    """In a process that may hang. `trap` is run first; NAME is the file that used to be made."""
    code = (
        "import os, sys\nfrom monoceros.pidfile import Pidfile\n"
        f"PATH = {str(path)!r}\n"
        "NAME = os.path.join(os.path.dirname(PATH), f'.{os.path.basename(PATH)}.{os.getpid()}')\n"
        f"{trap}\n"
        "Pidfile(PATH).create(os.getpid())\nprint(os.getpid())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "trap",
    [
        "os.mkfifo(NAME)",
        "os.symlink(PATH + '.target', NAME)",
        "os.mkdir(NAME)",
        "open(NAME, 'w').write('foreign')",
        "os.mkfifo(PATH)",
        "os.symlink(PATH + '.target', PATH)",
    ],
)
def test_the_pidfile_is_a_new_file_whatever_lies_there(tmp_path: Path, trap: str) -> None:
    path, target = tmp_path / "pid", tmp_path / "pid.target"
    target.write_text("foreign")
    number = write_pidfile(path, trap)
    assert path.read_text() == number
    assert stat.S_ISREG(path.lstat().st_mode)
    assert target.read_text() == "foreign"
    for left in tmp_path.glob(".pid.*"):
        assert left.is_symlink() or not left.is_file() or left.read_text() == "foreign"


def test_a_pidfile_that_is_taken_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "pid").mkdir()
    with pytest.raises(RuntimeError, match="cannot be written"):
        Pidfile(str(tmp_path / "pid")).create(os.getpid())
    assert list(tmp_path.iterdir()) == [tmp_path / "pid"]

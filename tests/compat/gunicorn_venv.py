"""A Python that has gunicorn 27: the one in MONO_GUNICORN_PYTHON, or of a venv made here."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

VERSION = "27.0.1"
PACKAGES = [f"gunicorn=={VERSION}", "setproctitle", "PasteDeploy"]
VENV = Path(__file__).resolve().parents[2] / "build" / "compat-venv"


def gunicorn_python() -> str:
    """Its path. The venv is made once; a failure fails the tests, it does not skip them."""
    given = os.environ.get("MONO_GUNICORN_PYTHON")
    if given:
        return given
    VENV.parent.mkdir(exist_ok=True)
    with VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of the processes of pytest, one makes it
        return _made()


def _made() -> str:
    python = VENV / "bin" / "python"
    done = VENV / "complete"
    if not done.exists() or done.read_text() != " ".join(PACKAGES):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        done.write_text(" ".join(PACKAGES))
    return str(python)

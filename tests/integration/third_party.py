"""Packages written for gunicorn, from PyPI, in directories of their own: with and without it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = Path(__file__).resolve().parents[2] / "build"
WITHOUT_GUNICORN = [
    "uvicorn==0.54.0",
    "uvicorn-worker==0.4.0",
    "sse-starlette==3.7.0",
    "aiohttp==3.14.5",
    "gunicorn-color==0.1.0",
    "termcolor",
    "gunicorn-healthz-filter==1.0",
    "gunicorn-prometheus-exporter==0.2.4",
    "prometheus_client",
    "PasteDeploy",
    "setproctitle",
]
GUNICORN = ["gunicorn==27.0.1"]


def _directory(name: str, packages: list[str]) -> Path:
    """Made once a Python version. A failure fails the tests; it does not skip them."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = BUILD / f"{name}-{version}"
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{name}-{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of the processes of pytest, one installs
        _install(directory, packages)
    return directory


def _install(directory: Path, packages: list[str]) -> None:
    done = directory / "complete"
    if done.exists() and done.read_text() == " ".join(packages):
        return
    shutil.rmtree(directory, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    subprocess.run([*pip, "--target", str(directory), *packages], check=True)
    if packages is WITHOUT_GUNICORN:  # the packages depend on it: that is the point
        for part in (*directory.glob("gunicorn"), *directory.glob("gunicorn-27*")):
            shutil.rmtree(part)
    done.write_text(" ".join(packages))


def third_party() -> Path:
    return _directory("third-party", WITHOUT_GUNICORN)


def gunicorn() -> Path:
    return _directory("third-party-gunicorn", GUNICORN)


def gunicorn_name() -> Path:
    """The distribution of packaging/gunicorn: the name, served by monoceros."""
    source = BUILD.parent / "packaging" / "gunicorn"
    return _directory("gunicorn-name", ["--no-deps", str(source)])


def path_with(*directories: Path) -> dict[str, str]:
    """The environment in which these are importable beside what the tests can import."""
    before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return {"PYTHONPATH": os.pathsep.join([*before, *map(str, directories)])}

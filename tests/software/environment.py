"""Environments of the programs, made once below build/software: the programs, then monoceros from
this checkout, then the name gunicorn (packaging/gunicorn) in the place of the real one."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOFTWARE = ROOT / "build" / "software"

# Light programs share one; a heavy one has its own.
PACKAGES = {
    "light": [
        "flask",
        "flask-sock",
        "flask-socketio",
        "gevent",
        "gevent-websocket",
        "python-socketio[client]",
        "uvicorn",
        "starlette",
        "sse-starlette",
        "functions-framework",
        "prometheus-flask-exporter",
        "opentelemetry-sdk",
        "opentelemetry-instrumentation-flask",
        "sentry-sdk[flask]",
        "sqlalchemy",
        "psycopg[binary]",
        "redis",
        "celery",
        "datasette",
        "websocket-client",
        "setuptools",
    ],
    "wagtail": ["wagtail"],
    "nicegui": ["nicegui"],
    "mlflow": ["mlflow"],
    # Its commands import rich without saying so, and its cache is older than Flask-Caching 2.5.
    "superset": ["apache-superset", "rich", "flask-caching<2.5"],
}


@cache
def wheel() -> Path:
    """monoceros, built from this checkout."""
    directory = SOFTWARE / "wheel"
    for old in directory.glob("*.whl"):
        old.unlink()
    pip("wheel", "--no-deps", "--wheel-dir", str(directory), str(ROOT), python=sys.executable)
    return next(directory.glob("monoceros-*.whl"))


def pip(*args: str, python: str) -> None:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *args]
    subprocess.run(command, check=True)


@cache
def environment(name: str) -> Path:
    """The bin directory. A failure fails the tests; it does not skip them."""
    directory = SOFTWARE / name
    done = directory / "complete"
    packages = PACKAGES[name]
    python = str(directory / "bin" / "python")
    if not done.exists() or done.read_text() != " ".join(packages):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(directory)], check=True)
        pip("install", *packages, python=python)
        done.write_text(" ".join(packages))
    pip("uninstall", "--yes", "gunicorn", "monoceros", python=python)
    pip("install", "--no-deps", str(wheel()), str(ROOT / "packaging" / "gunicorn"), python=python)
    return directory / "bin"


def environ_of(bin_directory: Path) -> dict[str, str]:
    """The process environment in which its scripts are found first."""
    return {
        **os.environ,
        "PATH": f"{bin_directory}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "*",
    }

"""Fixtures that run the same scenario on gunicorn and on monoceros."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gunicorn_venv import gunicorn_python
from scenario import Runner

Both = Callable[..., tuple[Any, Any]]
SERVERS = ("gunicorn", "monoceros")


def clean_environment(name: str) -> dict[str, str]:
    """Ours, without what changes settings; monoceros is found where the tests found it."""
    kept = {
        key: value for key, value in os.environ.items()
        if not key.endswith("_CMD_ARGS")
        and key not in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "SENDFILE", "PWD")
    }  # fmt: skip
    if name == "gunicorn":
        kept.pop("PYTHONPATH", None)
    return kept


@pytest.fixture(scope="session")
def pythons() -> dict[str, str]:
    return {"gunicorn": gunicorn_python(), "monoceros": sys.executable}


@pytest.fixture
def both_print(pythons: dict[str, str], tmp_path: Path) -> Both:
    """Runs a script, with the package's name as its argument, and reads the JSON it prints."""

    def run(script: str) -> tuple[Any, Any]:
        found = []
        for name in SERVERS:
            done = subprocess.run(
                [pythons[name], "-W", "ignore", "-c", script, name],
                cwd=tmp_path, env=clean_environment(name), capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, f"{name}: {done.stderr}"
            found.append(json.loads(done.stdout))
        return found[0], found[1]

    return run


@pytest.fixture
def both_commands(pythons: dict[str, str], tmp_path: Path) -> Both:
    """Runs the command of each with the same arguments, in the same directory."""

    def run(*args: str, **environ: str) -> tuple[Any, Any]:
        done = [
            subprocess.run(
                [pythons[name], "-m", name, *args],
                cwd=tmp_path, env={**clean_environment(name), **environ},
                capture_output=True, text=True, timeout=60, check=False,
            )
            for name in SERVERS
        ]  # fmt: skip
        return done[0], done[1]

    return run


@pytest.fixture(scope="session")
def runner(
    pythons: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Runner]:
    """Runs the groups of the selected scenarios ahead, a few at once."""
    made = Runner(pythons, tmp_path_factory.mktemp("pairs"))
    for item in request.session.items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "scenario" in callspec.params:
            made.submit(callspec.params["group"])
    yield made
    made.close()

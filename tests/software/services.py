"""What programs need beside themselves: PostgreSQL, Redis, a Celery worker. Debian's packages."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import environ_of
from harness import free_port, wait_for
from programs import APPS

POSTGRES_BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"))), Path("/usr/bin"))


@contextlib.contextmanager
def process(command: list[str], log: Path, **options: Any) -> Iterator[None]:
    with log.open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, **options)
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def postgres(directory: Path, bin_directory: Path) -> Iterator[dict[str, str]]:
    """A cluster of its own; it refuses to run as root."""
    account = pwd.getpwnam("postgres")
    home = directory / "postgres"
    home.mkdir()
    for path in (home, *home.parents):
        if path == Path("/tmp") or path.stat().st_uid != os.getuid():
            break
        path.chmod(0o755)
    os.chown(home, account.pw_uid, account.pw_gid)
    who = {"user": account.pw_uid, "group": account.pw_gid, "cwd": home}
    init = [POSTGRES_BIN / "initdb", "--auth=trust", "--no-sync", "-D", home / "data"]
    subprocess.run(init, check=True, stdout=subprocess.DEVNULL, **who)
    port = free_port()
    command = [
        str(POSTGRES_BIN / "postgres"),
        "-D",
        str(home / "data"),
        "-p",
        str(port),
        "-k",
        str(home),
    ]
    with process(command, directory / "postgres.log", **who):
        wait_for(lambda: listens(port), "PostgreSQL", 30)
        yield {"DATABASE_URL": f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"}


@contextlib.contextmanager
def redis(directory: Path, bin_directory: Path) -> Iterator[dict[str, str]]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with process(command, directory / "redis.log", cwd=directory):
        wait_for(lambda: listens(port), "Redis", 30)
        yield {"REDIS_URL": f"redis://127.0.0.1:{port}/0"}


@contextlib.contextmanager
def celery(directory: Path, bin_directory: Path, env: dict[str, str]) -> Iterator[None]:
    program = str(bin_directory / "celery")
    # That it is ready is information, and it speaks of warnings by default.
    told = ["--loglevel", "INFO"]
    command = [program, "-A", "tasks.celery", "worker", "--pool", "solo", *told]
    log = directory / "celery.log"
    with process(command, log, cwd=APPS, env={**environ_of(bin_directory), **env}):
        wait_for(lambda: b"ready." in log.read_bytes(), "Celery", 60)
        yield

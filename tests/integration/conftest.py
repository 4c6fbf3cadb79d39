"""Fixtures of the integration tests. Everything here is real: processes, sockets, nginx."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import IS_GUNICORN, Server, raise_file_limit

StartServer = Callable[..., Server]

# Over 40 s each, though some have few tests: of all directories. `make test` begins with them, or
# its last minute is one of them, alone.
LONG = [
    "test_endless.py", "test_departures.py", "test_workers.py", "test_deadlines.py",
    "test_hostile.py", "test_late_crowds.py", "test_scenarios.py", "test_taken_signals.py",
    "test_changes_under_load.py", "test_late_drops.py", "test_compat.py", "test_misuse.py",
    "test_arbiter_recycle.py", "test_crowds.py", "test_reloads.py", "test_drained_connections.py",
    "test_succession.py",
]  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker and lifts the limit on open files once."""
    config.addinivalue_line(
        "markers", "beyond(reason, strict=True): what gunicorn does not do; must fail there"
    )
    config.addinivalue_line(
        "markers", "memory: looks at resident memory, which sanitizers make something else of"
    )
    raise_file_limit()


def longest_first(items: list[pytest.Item]) -> None:
    """The order in which xdist hands out files, with --no-loadscope-reorder."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (item.path.name not in LONG, -tests[item.path]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With gunicorn as the server, what goes beyond it is expected to fail. Nowhere else."""
    if hasattr(config, "workerinput"):  # one of several processes
        longest_first(items)
    if not IS_GUNICORN:
        return
    for item in items:
        for mark in item.iter_markers("beyond"):
            strict = mark.kwargs.get("strict", True)
            item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=strict))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers for one test: serve("probe:app", "--timeout", "3", workers=2)."""
    count = 0
    with contextlib.ExitStack() as stack:

        def start(app: str = "probe:app", *args: str, **options: object) -> Server:
            nonlocal count
            count += 1
            directory = tmp_path / f"server{count}"
            server = Server(app, *args, directory=directory, **options)  # type: ignore[arg-type]
            return stack.enter_context(server)

        yield start


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers that are not expected to come up, or not to stop with code 0."""
    servers: list[Server] = []

    def start(app: str = "probe:app", *args: str, **options: object) -> Server:
        directory = tmp_path / f"launched{len(servers)}"
        server = Server(app, *args, directory=directory, **options)  # type: ignore[arg-type]
        servers.append(server)
        return server.launch()

    yield start
    try:
        for server in servers:
            if server.code() is not None:
                server.check_ended()
    finally:
        for server in servers:
            server.kill()


@contextlib.contextmanager
def mounted(mount: Path, size: str) -> Iterator[Path]:
    """A file system of its own, so large."""
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(mount)]
    if os.getuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs to mount a small file system")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB of its own."""
    with mounted(tmp_path / "small", "64k") as mount:
        yield mount


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker with the probe application, shared by the tests of a file."""
    directory = tmp_path_factory.mktemp("probe")
    with Server("probe:app", "--access-logfile", "-", directory=directory) as server:
        yield server

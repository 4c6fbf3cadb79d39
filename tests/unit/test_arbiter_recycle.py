"""Workers of a real master that are replaced although they serve."""

from __future__ import annotations

import re
from pathlib import Path

from arbiter_harness import Server, until
from patience import pace

GREEDY = """
import os
kept = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/take":
        kept.append(bytearray(os.urandom(1 << 20) * 96))
    return [b"%d" % os.getpid()]
"""


def take(server: Server) -> int:
    """The worker that took so much."""
    return int(server.get("/take"))


def test_a_worker_that_takes_too_much_is_replaced_and_nobody_waits(tmp_path: Path) -> None:
    for kind in ("pss", "private"):
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "app.py").write_text(GREEDY)
        args = ("-w", "2", "--max-worker-memory", "80M", "--worker-lifetime-min", "1")
        with Server(folder, *args, "--worker-memory-kind", kind) as server:
            workers = server.ready(2)
            greedy = take(server)
            while greedy in server.workers():
                assert server.get()
                pace(0.02, "a client that asks all the while")
                assert len(server.workers()) >= 2
            (line,) = server.says(rf"\[INFO\] Worker \(pid:{greedy}\) takes .*")
            found = re.search(r"takes (\d+) MiB of memory, more than max_worker_memory \(80 ", line)
            assert found is not None and 96 <= int(found[1]) < 200
            server.wait_workers(2)
            assert set(workers) - {greedy} <= set(server.workers())


def test_without_a_replacement_it_goes_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(GREEDY)
    args = ("--max-worker-memory", "80M", "--worker-lifetime-min", "1")
    with Server(tmp_path, *args) as server:
        (worker,) = server.ready()
        (tmp_path / "app.py").write_text("raise RuntimeError('no database')\n")
        assert take(server) == worker
        server.says("RuntimeError: no database", 2, 60)
        assert int(server.get()) == worker
        (tmp_path / "app.py").write_text(GREEDY)
        until(lambda: int(server.get()) != worker, 60)

"""Workers come and go under load: max_requests, TTIN and TTOU."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from harness import wait_for
from patience import pace
from stage import WORKERS, full, kinds, nothing_failed, playing

SEED = 20


@pytest.mark.parametrize("kind", kinds("gthread", "asgi"))
def test_recycling_by_max_requests(kind: str, tmp_path: Path) -> None:
    recycles = full(20, 200)
    limits = ("--max-requests", "60", "--max-requests-jitter", "20")
    with playing(kind, tmp_path, *limits) as (stage, server, load):

        def enough() -> bool:
            assert server.code() is None, server.log()
            return server.log().count("Autorestarting worker") >= recycles

        wait_for(enough, f"{recycles} recycles", full(60, 600))
        nothing_failed(stage, load)


@pytest.mark.parametrize("kind", kinds("sync"))
def test_storms_of_ttin_and_ttou(kind: str, tmp_path: Path) -> None:
    """Signals merge while one is pending: what counts is what the master says it took."""
    chance = random.Random(SEED)
    with playing(kind, tmp_path) as (stage, server, load):
        for number in range(full(3, 20)):
            load.mark(f"storm {number}")
            for _ in range(12):
                server.signal(chance.choice((signal.SIGTTIN, signal.SIGTTOU)))
                pace(chance.uniform(0, 0.05), "a storm of signals")

            def settled() -> bool:
                return len(stage.workers_of(server.pid)) == wanted_workers(server.log())

            wait_for(settled, f"{wanted_workers(server.log())} workers", 40)
            load.more(60)
        nothing_failed(stage, load)


def wanted_workers(log: str) -> int:
    """What the signals that were taken amount to: never below one."""
    count = WORKERS
    for line in log.splitlines():
        if line.endswith("Handling signal: ttin"):
            count += 1
        elif line.endswith("Handling signal: ttou"):
            count = max(1, count - 1)
    return count

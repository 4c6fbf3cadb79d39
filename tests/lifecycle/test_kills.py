"""kill -9 of random workers under load: nobody but the clients of the victim notices."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from accounts import Account, executed
from harness import is_running, wait_for
from stage import KINDS, close_books, full, kinds, playing

SEED = 9
SLACK_S = 0.25  # between the kill and the moment at which a client could see it
# Requests that one worker's application may be busy with at once; None: no limit that matters.
SLOTS = {"sync": 1, "gthread": 4, "gevent": None, "asgi": None}


@pytest.mark.parametrize("kind", kinds("sync", "gthread"))
def test_kills_of_random_workers(kind: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    kills: list[tuple[float, float, int]] = []
    with playing(kind, tmp_path) as (stage, server, load):
        for number in range(full(4, 30)):
            victim = chance.choice(stage.workers_of(server.pid))
            load.mark(f"kill {number} of {victim}")
            began = time.monotonic()
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda victim=victim: not is_running(victim), "its end")
            kills.append((began, time.monotonic(), victim))
            stage.wait_ready(server.pid)
            load.more(60)
        account = close_books(stage, load)
        check_failures(account, kills, executed(stage.notes), SLOTS[kind])
    assert server.log().count("SIGKILL") >= len(kills)


def check_failures(
    account: Account,
    kills: list[tuple[float, float, int]],
    done: dict[str, list[int]],
    slots: int | None,
) -> None:
    """Each failure was in flight at a kill, and had not begun in any other worker than the victim;
    no more had begun than the victim has slots."""
    begun: dict[int, list[dict[str, Any]]] = {}
    for failure in account.failures:
        spanned = [
            victim
            for began, ended, victim in kills
            if failure["began"] <= ended + SLACK_S and failure["ended"] >= began
        ]
        assert spanned, account.explain([failure])
        for pid in done.get(failure["id"], []):
            assert pid in spanned, account.explain([failure])
            begun.setdefault(pid, []).append(failure)
        assert failure["kind"] in ("eof", "reset", "cut", "status 502"), account.explain([failure])
    for failures in begun.values():
        assert slots is None or len(failures) <= slots, account.explain(failures)


def test_every_kind_has_its_slots() -> None:
    assert set(SLOTS) == set(KINDS)

"""kill -9 of random workers under load: nobody but the clients of the victim notices."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from accounts import Account, Ended, ended, executed
from harness import is_running, wait_for
from stage import KINDS, close_books, full, kinds, playing

SEED = 9
SLACK_S = 0.25  # between the kill and the moment at which a client could see it
BOXED_BYTES_MAX = 4096  # of an answer that may wait for others
BOXED_S_MAX = 0.005 + 2.0  # how long, and how late a busy machine may be with it
Kill = tuple[float, float, int]  # when, until when, and whose
# Requests that one worker's application may be busy with at once; None: no limit that matters.
SLOTS = {"sync": 1, "gthread": 4, "gevent": None, "asgi": None}


@pytest.mark.parametrize("kind", kinds("sync", "gthread"))
def test_kills_of_random_workers(kind: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    kills: list[Kill] = []
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
        check_failures(account, kills, executed(stage.notes), ended(stage.notes), SLOTS[kind])
    assert server.log().count("SIGKILL") >= len(kills)


def check_failures(
    account: Account,
    kills: list[Kill],
    done: dict[str, list[int]],
    ends: list[Ended],
    slots: int | None,
) -> None:
    """Each failure was in flight at a kill, and had not begun in any other worker than the victim;
    as many as it has slots may have been with the application, the others in its outbox."""
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
    for pid, failures in begun.items():
        (moment,) = (began for began, _, victim in kills if victim == pid)
        boxed = outbox([one for one in ends if one.pid == pid], account.failed_ids(), moment)
        others = [failure for failure in failures if failure["id"] not in boxed]
        assert slots is None or len(others) <= slots, account.explain(failures)


def outbox(ends: list[Ended], failed: set[str], kill: float) -> set[str]:
    """Requests of a killed worker whose answers may have waited for each other (docs/adr/0017):
    small ones, done a moment before the kill, and none that was done later has left."""
    found = set()
    for end in reversed(ends):
        if end.size > BOXED_BYTES_MAX:
            continue
        if end.id not in failed or end.moment < kill - BOXED_S_MAX:
            break
        found.add(end.id)
    return found


def account_of(*failed: str) -> Account:
    """Of one second, in which these requests failed."""
    failures = [
        {"id": name, "kind": "eof", "detail": "", "began": 0.0, "ended": 1.0} for name in failed
    ]
    return Account({}, 0, len(failed), 0, 0.0, {}, {}, failures)


# What ended in worker 7, which was killed at 0.9 s, and what of it failed; a small answer is 100.
IN_THE_OUTBOX = [("a-1", 0.895, 100), ("b-1", 0.896, 100)]
LOST: dict[str, tuple[list[tuple[str, float, int]], list[str], bool]] = {
    "one that runs": ([("a-1", 0.1, 100)], ["b-1"], True),
    "two that run": ([("a-1", 0.1, 100)], ["b-1", "c-1"], False),
    "one that runs, and the outbox": (IN_THE_OUTBOX, ["a-1", "b-1", "c-1"], True),
    "two that run, and the outbox": (IN_THE_OUTBOX, ["a-1", "b-1", "c-1", "d-1"], False),
    "one before one that has left": (IN_THE_OUTBOX, ["a-1", "c-1"], False),
    "one that has waited for long": ([("a-1", -9.0, 100)], ["a-1", "c-1"], False),
    "a large one": ([("a-1", 0.895, 30_000)], ["a-1", "c-1"], False),
    "a small one before a large one": (
        [("a-1", 0.895, 100), ("b-1", 0.896, 30_000)], ["a-1", "c-1"], True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LOST)
def test_what_a_kill_may_cost(what: str) -> None:
    """With one slot."""
    lines, failed, allowed = LOST[what]
    ends = [Ended(name, 7, moment, size) for name, moment, size in lines]
    done = {name: [7] for name in {*failed, *(end.id for end in ends)}}
    with contextlib.nullcontext() if allowed else pytest.raises(AssertionError):
        check_failures(account_of(*failed), [(0.9, 0.91, 7)], done, ends, 1)


def test_every_kind_has_its_slots() -> None:
    assert set(SLOTS) == set(KINDS)

"""The master's eye on overdue requests: it tells of those whose worker cannot (docs/adr/0013)."""

from __future__ import annotations

import time

from monoceros.master import death_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from monoceros import _core
    from monoceros.master.child import Child

COLLECTED, STUCK, TOLD = 1, 2, 3  # board::Story
PATIENCE_MS = 10_000  # for a worker that has not said that it is stuck


def tell(children: Iterable[Child], scoreboard: _core.Scoreboard, log: Any) -> int:
    """Logs what is to be told by now; milliseconds until the next look is due, -1: none is."""
    due_ms = -1
    for child in children:
        if scoreboard.overdue(child.slot):
            left_ms = _tell_of(child, child.slot, scoreboard, log)
            if left_ms >= 0:
                due_ms = left_ms if due_ms < 0 else min(due_ms, left_ms)
    return due_ms


def _tell_of(child: Child, slot: int, scoreboard: _core.Scoreboard, log: Any) -> int:
    """The stacks of the whole worker stand in the first event."""
    due_ms = -1
    stacks = ""
    now_us = time.monotonic_ns() // 1000
    pid = child.worker.pid
    for _, request_id, method, target, client, _, began_us, late_us, story in scoreboard.flights(
        slot
    ):
        if not late_us or story == TOLD:
            continue
        left_ms = PATIENCE_MS - (now_us - late_us) // 1000
        if left_ms > 0 and story != STUCK:
            due_ms = left_ms if due_ms < 0 else min(due_ms, left_ms)
            continue
        # Before tell(): the worker may empty it soon.
        stacks = stacks or death_report.read_traces(child.black_box)
        if not scoreboard.tell(slot, request_id):
            continue
        log.error(
            "Request timed out: %s %s (request id %s, client %s) has run for %.1f s in "
            "worker (pid:%s); it was answered with 504, and %s%s",
            method, target, request_id, client or "unix", (now_us - began_us) / 1e6, pid,
            "was interrupted in vain" if story == COLLECTED else "cannot be interrupted", stacks,
        )  # fmt: skip
        if stacks.startswith("\n"):
            stacks = f"; the stacks of its worker are with request {request_id}"
    return due_ms

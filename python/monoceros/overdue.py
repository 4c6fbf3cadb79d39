"""The master's eye on overdue requests: it tells of those whose worker cannot (docs/adr/0013)."""

from __future__ import annotations

import time

from monoceros import obituary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from monoceros import _core
    from monoceros.workers.base import Worker

PATIENCE_MS = 1000  # for the worker to tell by itself, with more detail


def tell(workers: Iterable[Worker], scoreboard: _core.Scoreboard, log: Any) -> int:
    """Logs what is to be told by now; milliseconds until the next look is due, -1: none is."""
    due_ms = -1
    now_us = time.monotonic_ns() // 1000
    for worker in workers:
        if worker.slot is None or not scoreboard.overdue(worker.slot):
            continue
        for _, request_id, method, target, client, _, began_us, late_us in scoreboard.flights(
            worker.slot
        ):
            if not late_us:
                continue
            left_ms = PATIENCE_MS - (now_us - late_us) // 1000
            if left_ms > 0:
                due_ms = left_ms if due_ms < 0 else min(due_ms, left_ms)
            elif scoreboard.tell(worker.slot, request_id):
                log.error(
                    "Request timed out: %s %s (request id %s, client %s) has run for %.1f s in "
                    "worker (pid:%s); it was answered with 504, and cannot be interrupted%s",
                    method, target, request_id, client or "unix", (now_us - began_us) / 1e6,
                    worker.pid, obituary.read_traces(worker.black_box),
                )  # fmt: skip
    return due_ms

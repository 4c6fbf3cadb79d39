"""The part of the configuration that the supervisor decides by."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import Master


def policy(server: Master) -> dict[str, Any]:
    cfg, workers = server.cfg, server.num_workers
    grace = float(cfg.drain_delay + cfg.graceful_timeout + cfg.stream_grace)  # from TERM to KILL
    return {
        "workers": workers,
        "timeout_ms": round(cfg.timeout * 1000),
        "graceful_timeout_ms": round(grace * 1000),
        "max_surge": _surge(server),
        "max_unavailable": share_of(cfg.max_unavailable, workers),
        "memory_limit_bytes": cfg.max_worker_memory,
        "private_memory": cfg.worker_memory_kind == "private",
        "lifetime_min_ms": cfg.worker_lifetime_min * 1000,
        "watch_requests": bool(cfg.request_kill_timeout),
        "daemon": bool(cfg.daemon),
    }


def _surge(server: Master) -> int:
    workers = server.num_workers
    if server.cfg.max_surge != "auto":
        return share_of(server.cfg.max_surge, workers)
    from monoceros.host import sizing

    advice = sizing.surge(workers, list(server.WORKERS))
    if server.WORKERS and advice.workers < workers:
        server.log.info("%s", advice.reason)
    return advice.workers


def share_of(text: str, workers: int) -> int:
    """How many workers "3" or "25%" mean, rounded up."""
    if text.endswith("%"):
        return -(-workers * int(text[:-1]) // 100)
    return int(text)

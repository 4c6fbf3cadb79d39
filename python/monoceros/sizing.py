"""workers = "auto": how many workers this machine, or this container, can feed.

Looks at the affinity mask, the CPU quota of the cgroup (version 2, then 1) and its memory limit.
"""

from __future__ import annotations

import math
import os

from monoceros.cgroup import OWN, ROOT, own_paths, read

# What a worker of a middling application takes; a hello application takes a tenth of it.
WORKER_BYTES = 96 << 20
# A limit this high is cgroup version 1's way of saying that there is none.
NO_LIMIT = 1 << 60


class Advice:
    """A number of workers, and one line that says why."""

    __slots__ = ("reason", "workers")

    def __init__(self, workers: int, reason: str) -> None:
        self.workers = workers
        self.reason = reason


def _quota_v2(text: str | None) -> float | None:
    parts = (text or "").split()
    if len(parts) != 2 or parts[0] == "max":
        return None
    return int(parts[0]) / int(parts[1])


def cpu_quota(root: str = ROOT, proc_cgroup: str = OWN) -> float | None:
    """CPUs' worth of time that the cgroup may use, or None for no limit."""
    found = [_quota_v2(read(f"{d}/cpu.max")) for d in own_paths(root, "", proc_cgroup)]
    for directory in own_paths(root, "cpu", proc_cgroup):
        quota = read(f"{directory}/cpu.cfs_quota_us")
        period = read(f"{directory}/cpu.cfs_period_us")
        if quota and period and int(quota) > 0:
            found.append(int(quota) / int(period))
    limits = [limit for limit in found if limit is not None]
    return min(limits) if limits else None


def memory_limit(root: str = ROOT, proc_cgroup: str = OWN) -> int | None:
    """Bytes that the cgroup may use, or None for no limit."""
    texts = [read(f"{d}/memory.max") for d in own_paths(root, "", proc_cgroup)]
    texts += [read(f"{d}/memory.limit_in_bytes") for d in own_paths(root, "memory", proc_cgroup)]
    limits = [int(text) for text in texts if text and text.isdigit() and int(text) < NO_LIMIT]
    return min(limits) if limits else None


def advise(worker_class: str, root: str = ROOT, proc_cgroup: str = OWN) -> Advice:
    """The number of workers for auto.

    One a CPU where a worker handles many requests at a time; a sync worker often waits for a
    database, so there are twice as many and one more.
    """
    cpus = float(len(os.sched_getaffinity(0)))
    reasons = [f"{cpus:g} CPUs in the affinity mask"]
    quota = cpu_quota(root, proc_cgroup)
    if quota is not None:
        reasons.append(f"a cgroup quota of {quota:g} CPUs")
        cpus = min(cpus, quota)
    whole = max(1, math.ceil(cpus))
    if worker_class == "sync":
        workers = 2 * whole + 1
        reasons.append(f"a sync worker handles one request at a time: 2 x {whole} + 1")
    else:
        workers = whole
        reasons.append(f"a {worker_class} worker handles many requests at a time: one a CPU")
    memory = memory_limit(root, proc_cgroup)
    if memory is not None:
        fitting = max(1, memory // WORKER_BYTES)
        reasons.append(f"a memory limit of {memory >> 20} MiB holds {fitting} of 96 MiB")
        workers = min(workers, fitting)
    return Advice(workers, f"workers = auto: {workers} ({'; '.join(reasons)})")

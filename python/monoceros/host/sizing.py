"""workers = "auto": how many workers this machine, or this container, can feed.

Looks at the affinity mask, the CPU quota of the cgroup (version 2, then 1) and its memory limit.
"""

from __future__ import annotations

import os

from monoceros.host.cgroup import OWN, ROOT, own_paths, read

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
    whole = max(1, _ceil(cpus))
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


# Workers that boot at the same time on one CPU, so that a reload of many is quick and those that
# serve meanwhile have some of it too.
BOOTING_A_CPU = 4


def surge(
    workers: int, pids: list[int], root: str = ROOT, proc_cgroup: str = OWN, proc: str = "/proc"
) -> Advice:
    """How many new workers may be there beside the old ones while a reload replaces them. pids:
    the old ones, the largest of which tells what a worker takes."""
    cpus = float(len(os.sched_getaffinity(0)))
    quota = cpu_quota(root, proc_cgroup)
    if quota is not None:
        cpus = min(cpus, quota)
    number = min(workers, max(1, _ceil(cpus * BOOTING_A_CPU)))
    reasons = [f"{cpus:g} CPUs"]
    sizes = [_own_bytes(pid, proc) for pid in pids]
    free = memory_free(root, proc_cgroup, proc)
    if free is not None and sizes and max(sizes) > 0:
        number = min(number, max(1, free // max(sizes)))
        reasons.append(f"{free >> 20} MiB of memory free, {max(sizes) >> 20} MiB a worker")
    said = f"Reload: up to {number} new workers at a time ({'; '.join(reasons)}; max_surge)"
    return Advice(number, said)


def memory_free(root: str = ROOT, proc_cgroup: str = OWN, proc: str = "/proc") -> int | None:
    """Bytes that the machine and the cgroup still have; None where neither says."""
    found = []
    for line in (read(f"{proc}/meminfo") or "").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) << 10)
    for directory in own_paths(root, "", proc_cgroup):
        limit, used = read(f"{directory}/memory.max"), read(f"{directory}/memory.current")
        if limit and used and limit.isdigit() and used.isdigit():
            found.append(max(0, int(limit) - int(used)))
    return min(found) if found else None


def _ceil(number: float) -> int:
    return -int(-number // 1)  # math is a library of its own


def _own_bytes(pid: int, proc: str) -> int:
    """What a process does not share with files, roughly."""
    fields = (read(f"{proc}/{pid}/statm") or "0 0 0").split()
    return max(0, int(fields[1]) - int(fields[2])) * os.sysconf("SC_PAGE_SIZE")

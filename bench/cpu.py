"""What a process tree has used: CPU time and memory, read from /proc. Linux only."""

import os
from pathlib import Path

_PROC = Path("/proc")
_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (the second may hold spaces)."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """`root` first, then its living descendants; threads are not listed apart."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_stat_fields(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def used_us(pids: list[int]) -> int:
    """User and system microseconds of the processes, all threads, and the dead they reaped.

    Comes in steps of a clock tick (10 ms), so measure over seconds.
    """
    ticks = 0
    for pid in pids:
        try:
            ticks += sum(int(value) for value in _stat_fields(pid)[11:15])
        except (FileNotFoundError, ProcessLookupError):
            continue
    return ticks * _TICK_US


def busy_us(pids: list[int]) -> float:
    """Microseconds on a core of the living threads, to the nanosecond, unlike `used_us`."""
    total = 0
    for pid in pids:
        for thread in (_PROC / str(pid) / "task").iterdir():
            total += int((thread / "schedstat").read_text().split()[0])
    return total / 1000


def pss_kib(pids: list[int]) -> int:
    """Proportional set size of the processes together, in KiB: shared pages count once."""
    total = 0
    for pid in pids:
        try:
            text = (_PROC / str(pid) / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total


def machine() -> dict[str, str]:
    """Processor, core count and kernel, for the report's header."""
    model = "unknown processor"
    for line in (_PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "kernel": os.uname().release.partition("-")[0],
    }

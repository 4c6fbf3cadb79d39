"""What is known of a worker that died: the rest of the one event that tells of its death."""

from __future__ import annotations

import os

from monoceros.host import cgroup
from monoceros.workers import in_flight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from monoceros import _core
    from monoceros.master.child import Child

TRACE_BYTES_MAX = 32 * 1024
KILLED = 9
MODULES = "Extension modules: "  # faulthandler's list of them, hundreds where numpy is loaded


def details(
    child: Child, scoreboard: _core.Scoreboard, status: int, oom: OomCount, by_master: bool
) -> str:
    """To be appended to the sentence that the supervisor has for this death. Call it before the
    child's slot is cleared."""
    parts = []
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == KILLED and not by_master:
        parts.append(oom.sentence())
    sender = scoreboard.told_by(child.slot)
    if sender:
        parts.append(f" It was sent a signal by process {sender}{_name_of(sender)}.")
    parts.append(child.held or in_flight.describe(scoreboard.flights(child.slot)))
    parts.append(read_traces(child.black_box))
    return "".join(parts)


def read_traces(black_box: int) -> str:
    """What faulthandler wrote when a fatal signal, or the abort of a stuck worker, struck."""
    if black_box < 0:
        return ""
    text = os.pread(black_box, TRACE_BYTES_MAX, 0).decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if not line.startswith(MODULES)]
    text = "\n".join(lines).strip("\n")
    return f"\n{text}" if text else ""


def _name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return f" ({file.read().strip()})"
    except OSError:
        return ", which has ended"


class OomCount:
    """How often the kernel has killed in this server's cgroup for want of memory."""

    def __init__(self, root: str = cgroup.ROOT, proc_cgroup: str = cgroup.OWN) -> None:
        places = [
            *((d, "memory.events", "memory.max") for d in cgroup.own_paths(root, "", proc_cgroup)),
            *(
                (d, "memory.oom_control", "memory.limit_in_bytes")
                for d in cgroup.own_paths(root, "memory", proc_cgroup)
            ),
        ]
        counting = (place for place in places if _kills(f"{place[0]}/{place[1]}") is not None)
        directory, events, limit = next(counting, places[-1])
        self._events = f"{directory}/{events}"
        self._limit = (directory, limit)
        self._seen = _kills(self._events)

    def sentence(self) -> str:
        before, self._seen = self._seen, _kills(self._events)
        if self._seen is None or before is None:
            return ""
        if self._seen > before:
            directory, name = self._limit
            limit = cgroup.read(f"{directory}/{name}")
            said = f" ({name} is {limit})" if limit is not None else ""
            return f" The kernel's out-of-memory killer struck in this cgroup{said}."
        return " No out-of-memory kill was counted in this cgroup: somebody sent the signal."


def _kills(events: str) -> int | None:
    for line in (cgroup.read(events) or "").splitlines():
        name, _, number = line.partition(" ")
        if name == "oom_kill" and number.isdigit():
            return int(number)
    return None

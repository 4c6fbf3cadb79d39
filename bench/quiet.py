"""Servers that run at the same time, loaded in turn for a tenth of a second each.

Whoever shares the host with a virtual machine slows it down by half for tenths of seconds or for
seconds, in CPU time too, which counts what the neighbour takes from caches and execution units. So
a fixed piece of Python is timed on the servers' core between any two slices, and only slices count
before and after which it was as fast as it can be; of those the lower quartile, because what
remains of the noise only adds. That tells servers apart that differ by 3 %.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import cpu
from cases import Case, pick_cases
from servers import SERVER_CORE, Running, Server, free_port, pick_servers

import load

CASE_NAMES = ["hello", "flask", "django"]
SERVER_NAMES = ["bare", "bjoern", "fastpysgi", "freastal", "monoceros"]
SLICE_SECONDS = 0.1
SECONDS = 20  # of each group of fresh processes
TOLERANCE = 1.1  # of the fastest probe
WARM_ROUNDS = 10
SLICES_MIN = 4  # fewer tell nothing about a group
_FASTEST = 0.05  # the fraction of the probes that tells how fast the core can be
_PROBE_STEPS = 4000


class _Adder:
    def __init__(self) -> None:
        self.seen: dict[int, str] = {}

    def add(self, number: int) -> int:
        """Calls, attributes, dictionaries and strings, as frameworks use them."""
        self.seen[number & 15] = str(number)
        return number + len(self.seen)


def _probe_us() -> float:
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        began = time.thread_time()
        adder = _Adder()
        for number in range(_PROBE_STEPS):
            adder.add(number)
        return (time.thread_time() - began) * 1e6
    finally:
        os.sched_setaffinity(0, own)


class Group:
    """Fresh processes of some servers, each with a client of its own, until the context ends."""

    def __init__(self, case: Case, servers: list[Server]) -> None:
        self.case = case
        self.servers = servers
        self.failed: dict[str, str] = {}  # server name -> why it is out
        self.clients: dict[str, load.Client] = {}
        self.pids: dict[str, list[int]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Group":
        for server in self.servers:
            port = free_port()
            running = self._stack.enter_context(Running(server, load.launch(self.case, port)))
            try:
                load.wait_until_right(running, port, self.case)
            except load.WrongAnswer as error:
                self.failed[server.name] = f"failed ({error})"
                continue
            self.clients[server.name] = self._stack.enter_context(load.Client(port, self.case))
            self.pids[server.name] = running.pids
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def slice_us(self, name: str) -> float | None:
        """CPU us a request of one slice; None for a server that is out, or is now."""
        if name in self.failed:
            return None
        try:
            before = cpu.busy_us(self.pids[name])
            answered = self.clients[name].run(seconds=SLICE_SECONDS).requests
            return (cpu.busy_us(self.pids[name]) - before) / answered
        except (load.WrongAnswer, OSError) as error:  # OSError: its processes changed
            self.failed[name] = str(error)
            return None


def _slices(group: Group) -> dict[str, list[float]]:
    """CPU us a request of the slices that count, by server; one group of fresh processes."""
    names = list(group.clients)
    for _ in range(WARM_ROUNDS):
        for name in names:
            group.slice_us(name)
    probes = [_probe_us()]
    measured: list[tuple[str, float | None]] = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        # There and back again, so that nobody always comes behind the same neighbour.
        for name in [*names, *reversed(names)]:
            measured.append((name, group.slice_us(name)))
            probes.append(_probe_us())
    quick = sorted(probes)[int(len(probes) * _FASTEST)] * TOLERANCE
    found: dict[str, list[float]] = {name: [] for name in names}
    for i, (name, value) in enumerate(measured):
        if value is not None and probes[i] <= quick and probes[i + 1] <= quick:
            found[name].append(value)
    return found


def _lower_quartile(values: list[float]) -> float | None:
    if len(values) < SLICES_MIN:
        return None
    return statistics.quantiles(values, n=4, method="inclusive")[0]


def _play_group(case: Case, rows: dict[str, dict[str, Any]], servers: list[Server]) -> None:
    """One more group of fresh processes into the rows; who fails once is out of the case."""
    with Group(case, [one for one in servers if not rows[one.name]["failed"]]) as group:
        for name, values in _slices(group).items():
            rows[name]["slices"] += len(values)
            rows[name]["cpu_us"].append(_lower_quartile(values))
        for name, reason in group.failed.items():
            rows[name]["failed"] = reason


def measure(
    groups: int, names: tuple[list[str], list[str]], absence: Callable[[Server, Case], str]
) -> list[dict[str, Any]]:
    """Rows {case, server, cpu_us: [of each group, or None], slices: that counted, failed}."""
    rows: list[dict[str, Any]] = []
    wanted = names[1] or SERVER_NAMES
    servers = [server for server in pick_servers(wanted) if server.name in wanted]
    for case in pick_cases(names[0] or CASE_NAMES):
        racing = [one for one in servers if one.name != "bare" or case.bare is not None]
        mine = {
            one.name: {
                "case": case.name,
                "server": one.name,
                "cpu_us": [],
                "slices": 0,
                "failed": absence(one, case),
            }
            for one in racing
        }
        for _ in range(groups):
            _play_group(case, mine, racing)
        rows += mine.values()
    return rows

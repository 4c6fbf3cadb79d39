"""Servers that run at the same time, loaded in turn for a tenth of a second each.

Whoever shares the host with a virtual machine slows it down by half for tenths of seconds or for
seconds, in CPU time too, which counts what the neighbour takes from caches and execution units. So
a fixed piece of Python is timed on the servers' core between any two slices, and only slices count
before and after which it was as fast as it can be; of those the lower quartile, because what
remains of the noise only adds. That tells servers apart that differ by 3 %.
"""

import os
import select
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from cases import CONNECTIONS, Case, pick_cases
from servers import SERVER_CORE, Running, Server, free_port, pick_servers

import load

CASE_NAMES = ["hello", "flask", "django"]
SERVER_NAMES = ["bjoern", "monoceros"]
SLICE_SECONDS = 0.1
SECONDS = 20  # of each group of fresh processes
TOLERANCE = 1.1  # of the fastest probe
WARM_ROUNDS = 10
SLICES_MIN = 4  # fewer tell nothing about a group
_FASTEST = 0.05  # the fraction of the probes that tells how fast the core can be
_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
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


def _busy_us(pids: list[int]) -> float:
    """CPU time of all threads, to the nanosecond, unlike cpu.used_us."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
    return total / 1000


class _Load:
    """Kept-alive connections to one server; each has one request under way during a slice."""

    def __init__(self, port: int, expected: bytes) -> None:
        self.expected = expected
        self.poll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        for _ in range(CONNECTIONS):
            client = socket.create_connection(("127.0.0.1", port))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets[client.fileno()] = client
            self.poll.register(client.fileno(), select.EPOLLIN)

    def run(self, seconds: float) -> int:
        """Requests answered; every one that was sent."""
        for client in self.sockets.values():
            client.send(_REQUEST)
        end = time.monotonic() + seconds
        under_way, answered = len(self.sockets), 0
        while under_way:
            ready = self.poll.poll(5)
            if not ready:
                raise load.WrongAnswer("failed (no answer for 5 s)")
            go_on = time.monotonic() < end
            for number, _ in ready:
                client = self.sockets[number]
                if not client.recv(65536).endswith(self.expected):
                    raise load.WrongAnswer("failed (another answer than the case expects)")
                answered += 1
                if go_on:
                    client.send(_REQUEST)
                else:
                    under_way -= 1
        return answered


def _slices(case: Case, servers: list[Server]) -> dict[str, list[float]]:
    """CPU us a request of the slices that count, by server; one group of fresh processes."""
    with ExitStack() as stack:
        clients: dict[str, _Load] = {}
        pids: dict[str, list[int]] = {}
        for server in servers:
            port = free_port()
            running = stack.enter_context(Running(server, load.launch(case, port)))
            load.wait_until_right(running, port, case)
            clients[server.name] = _Load(port, case.expected)
            pids[server.name] = running.pids
        for _ in range(WARM_ROUNDS):
            for client in clients.values():
                client.run(SLICE_SECONDS)
        probes = [_probe_us()]
        measured: list[tuple[str, float]] = []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            # There and back again, so that nobody always comes behind the same neighbour.
            for name in [*clients, *reversed(clients)]:
                before = _busy_us(pids[name])
                answered = clients[name].run(SLICE_SECONDS)
                measured.append((name, (_busy_us(pids[name]) - before) / answered))
                probes.append(_probe_us())
    quick = sorted(probes)[int(len(probes) * _FASTEST)] * TOLERANCE
    found: dict[str, list[float]] = {name: [] for name in clients}
    for i, (name, value) in enumerate(measured):
        if probes[i] <= quick and probes[i + 1] <= quick:
            found[name].append(value)
    return found


def _lower_quartile(values: list[float]) -> float | None:
    if len(values) < SLICES_MIN:
        return None
    return statistics.quantiles(values, n=4, method="inclusive")[0]


def measure(
    groups: int, names: tuple[list[str], list[str]], absence: Callable[[Server, Case], str]
) -> list[dict[str, Any]]:
    """Rows {case, server, cpu_us: [of each group, or None], slices: that counted}."""
    rows: list[dict[str, Any]] = []
    for case in pick_cases(names[0] or CASE_NAMES):
        wanted = names[1] or SERVER_NAMES
        servers = [server for server in pick_servers(wanted) if server.name in wanted]
        servers = [server for server in servers if not absence(server, case)]
        mine = {
            server.name: {"case": case.name, "server": server.name, "cpu_us": [], "slices": 0}
            for server in servers
        }
        for _ in range(groups):
            for name, values in _slices(case, servers).items():
                mine[name]["slices"] += len(values)
                mine[name]["cpu_us"].append(_lower_quartile(values))
        rows += mine.values()
    return rows

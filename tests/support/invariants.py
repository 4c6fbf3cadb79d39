"""Invariants: what holds of every server, whatever a test was about. harness.Server checks them.

| invariant | when | what makes an exception |
|---|---|---|
| it uses no CPU while nothing is asked | before the stop | announce(busy=True) |
| workers and master hold no more descriptors than at the start | before | announce(descriptors=3) |
| no process outlives the master | after the stop | announce(orphans=True) |
| accepted = answered + refused + aborted, in the last log line | after the stop | none |
| no traceback, crash or critical event in the error log | after | announce("words of it") |
| no sanitizer has reported anything (`make test-sanitized`) | after the stop | none |
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from patience import pace, quiet_for

WINDOW_S = 0.1
REST_S_MAX = 10.0  # for what the test's last request, signal or client has left to be done
BUSY_RATIO = 0.1  # of one core, all processes together; who spins takes 1 where the core is free
ENTRY = re.compile(r"^(?=\[\d{4}-\d\d-\d\d )", re.MULTILINE)
LEDGER = re.compile(r"accepted (\d+) = answered (\d+) \+ refused (\d+) \+ aborted (\d+)")
# They do without our engine.
UNCOUNTED = re.compile(
    r"Using worker: (tornado|kinds.Tornado|own_uvicorn|aiohttp|geventwebsocket|green_socket)"
)
# What applications say when they raise.
BY_CONVENTION = ("on purpose", "boom in ")
ALARMS = (
    "Traceback (most recent call last)", "[CRITICAL]",
    *(f"was killed by SIG{name}" for name in ("SEGV", "ABRT", "BUS", "ILL", "FPE")),
)  # fmt: skip
REPORT = re.compile(r"^.*(ERROR: AddressSanitizer|:\d+:\d+: runtime error: ).*$", re.MULTILINE)
LISTEN, ESTABLISHED, FIN_WAIT1, FIN_WAIT2 = "0A", "01", "04", "05"  # of /proc/net/tcp
CLIENT_IS_THERE = (ESTABLISHED, FIN_WAIT1, FIN_WAIT2)


@dataclass
class Announced:
    """What a test provokes on purpose."""

    words: list[str] = field(default_factory=list)
    busy: bool = False
    descriptors: int = 0
    orphans: bool = False


def session_of(leader: int) -> list[int]:
    """Living processes of the session that this process leads, or led."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def cpu_seconds(pid: int) -> float:
    """What the threads of a process, also those that have ended, have used; 0 when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(3)
    except OSError:
        return 0.0


def check_rest(leader: int, window_s: float = WINDOW_S, patience_s: float | None = None) -> None:
    """Whoever was asked for nothing takes no CPU. Spent time, not elapsed: a busy machine makes
    this slower, not wrong."""
    deadline = time.monotonic() + (REST_S_MAX if patience_s is None else patience_s)
    while True:
        pids = session_of(leader)
        before = {pid: cpu_seconds(pid) for pid in pids}
        begin = time.monotonic()
        quiet_for(window_s, "nothing uses the CPU")
        elapsed = time.monotonic() - begin
        spent = {pid: cpu_seconds(pid) - before[pid] for pid in pids}
        if sum(used for used in spent.values() if used > 0) <= BUSY_RATIO * elapsed:
            return
        assert time.monotonic() < deadline, (
            f"it does not rest: seconds of CPU by process in {elapsed:.2f} s, unasked: {spent}"
        )


def _tcp_states() -> dict[str, str]:
    states = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            states[f"socket:[{fields[9]}]"] = fields[3]
    return states


def _links(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    links = {}
    try:
        for name in os.listdir(folder):
            try:
                links[int(name)] = os.readlink(folder / name)
            except FileNotFoundError:
                continue
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return links


def _unix_clients() -> set[str]:
    """Connected sockets that have a name: those that a listener has accepted."""
    found = set()
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[3] != "00010000":
            found.add(f"socket:[{fields[6]}]")
    return found


def descriptors(pid: int) -> list[str]:
    """What a process has open, but for connections whose clients are still there."""
    states = _tcp_states()
    clients = _unix_clients()
    return sorted(
        f"{link} in state {states.get(link, '?')}" if link.startswith("socket") else link
        for link in _links(pid).values()
        if states.get(link) not in CLIENT_IS_THERE and link not in clients
    )


def watches_listener(pid: int) -> bool:
    """Whether a poller of the process waits for connections: it serves."""
    links = _links(pid)
    states = _tcp_states()
    listening = {fd for fd, link in links.items() if states.get(link) == LISTEN}
    for fd, link in links.items():
        if link != "anon_inode:[eventpoll]":
            continue
        try:
            text = Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        watched = {int(number) for number in re.findall(r"tfd:\s*(\d+)", text)}
        if watched & listening:
            return True
    return False


def check_descriptors(pids: Iterable[int], at_start: int, more: int) -> None:
    """No process among them has more open than `at_start`, soon after clients have gone."""
    deadline = time.monotonic() + REST_S_MAX
    for pid in pids:
        while len(now := descriptors(pid)) > at_start + more:
            assert time.monotonic() < deadline, (
                f"process {pid} has {len(now)} descriptors open, at the start it had "
                f"{at_start}: {now}"
            )
            pace(0.02, "until the deadline above")


def check_no_orphans(leader: int) -> None:
    """Whoever is about to end has a moment to do so."""
    deadline = time.monotonic() + REST_S_MAX
    while left := session_of(leader):
        if time.monotonic() > deadline:
            commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
            raise AssertionError(f"processes outlive the master: {left} {commands}")
        pace(0.02, "until the deadline above")


def check_ledger(log: str) -> None:
    """Each master's last line adds up, and each has one."""
    left = 0 if UNCOUNTED.search(log) else log.count("[INFO] Shutting down: Master")
    assert len(LEDGER.findall(log)) >= left, f"a master without a last line:\n{log}"
    check_sums(log)


def check_sums(log: str) -> None:
    """Each last line that is there adds up."""
    for line in LEDGER.findall(log):
        accepted, answered, refused, aborted = map(int, line)
        assert accepted == answered + refused + aborted, f"the ledger does not add up: {line}"


def check_log(log: str, announced: Iterable[str]) -> None:
    """Every traceback, crash and whatever is critical has been announced. Reports cannot be."""
    report = REPORT.search(log)
    assert not report, f"a sanitizer's report:\n{log[report.start() :][:8000]}"
    for entry in ENTRY.split(log):
        alarmed = any(alarm in entry for alarm in ALARMS)
        if alarmed and not any(words in entry for words in (*BY_CONVENTION, *announced)):
            raise AssertionError(
                'the test has not announced this log entry, by server.announce("words of it") '
                f"or expects=[...]:\n{entry}"
            )

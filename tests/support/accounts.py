"""The books of a test under load: what clients asked and got, what the application executed.

A CountedLoad runs counted_load.py, or counted_h2.py; an Account is what it saw in the end. The
application appends "<id> <pid>" to the file `executed` as it begins a request, so what was executed
twice, or answered without having been executed, is found.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import wait_for

HERE = Path(__file__).resolve().parent
STOP_S_MAX = 45.0
SAMPLES = 8
LANES = {"busy": 2, "idle": 2, "sleepy": 1}  # connections to each target
# The master's last line, once it has one.
LEDGER = re.compile(r"Requests: accepted (\d+) = answered (\d+) \+ refused (\d+) \+ aborted (\d+)")


@dataclass
class Account:
    """What the clients saw."""

    sent: dict[str, int]  # connection -> requests
    answered: int
    failed: int
    idle_closed: int
    slowest_ms: float
    kinds: dict[str, int]
    versions: dict[str, list[float]]
    failures: list[dict[str, Any]]
    marks: list[tuple[float, str]] = field(default_factory=list)

    def __add__(self, other: Account) -> Account:
        """Of two loads on one site, whose lanes have different names."""
        versions = dict(self.versions)
        for name, (count, first, last) in other.versions.items():
            seen = versions.get(name, [0, first, last])
            versions[name] = [seen[0] + count, min(seen[1], first), max(seen[2], last)]
        return Account(
            self.sent | other.sent,
            self.answered + other.answered,
            self.failed + other.failed,
            self.idle_closed + other.idle_closed,
            max(self.slowest_ms, other.slowest_ms),
            self.kinds | other.kinds,
            versions,
            self.failures + other.failures,
            sorted({*self.marks, *other.marks}),
        )

    def sent_ids(self) -> set[str]:
        """Of every request."""
        return {
            f"{name}-{number}"
            for name, count in self.sent.items()
            for number in range(1, count + 1)
        }

    def failed_ids(self) -> set[str]:
        """Of every failure that was recorded."""
        return {failure["id"] for failure in self.failures}

    def explain(self, failures: list[dict[str, Any]] | None = None) -> str:
        """Failures as text: how many of which kind, and some of them beside the last event."""
        chosen = self.failures if failures is None else failures
        total = self.answered + self.failed
        lines = [f"{self.failed} of {total} requests failed: {self.kinds}"]
        for failure in chosen[:SAMPLES]:
            lines.append(f"  {failure['id']} {failure['kind']}: {failure['detail']}")
            lines.append(f"    {self._when(failure)}")
        return "\n".join(lines)

    def _when(self, failure: dict[str, Any]) -> str:
        took_ms = (failure["ended"] - failure["began"]) * 1000
        before = [mark for mark in self.marks if mark[0] <= failure["ended"]]
        if not before:
            return f"after {took_ms:.1f} ms, before any event"
        moment, text = before[-1]
        since_ms = (failure["ended"] - moment) * 1000
        return f"after {took_ms:.1f} ms, {since_ms:.1f} ms after {text}"


class CountedLoad:
    """Load on every target until finish(). A context manager; no process outlives it."""

    def __init__(
        self,
        targets: Mapping[str, int],
        directory: Path,
        authority: Path | None = None,
        **lanes: int,
    ) -> None:
        """`targets` are ports of 127.0.0.1 by name; `lanes` are busy, idle, sleepy: how many. With
        an `authority` it is HTTP/2 over TLS, of a server whose certificate that one has signed."""
        directory.mkdir(parents=True, exist_ok=True)
        self._progress = directory / "progress"
        self._result = directory / "result.json"
        self._errors = directory / "load.log"
        program = "counted_load.py" if authority is None else "counted_h2.py"
        self._command = [sys.executable, str(HERE / program)]
        if authority is not None:
            self._command += ["--authority", str(authority)]
        self._command += ["--progress", str(self._progress), "--result", str(self._result)]
        for kind, count in (LANES | lanes).items():
            self._command += [f"--{kind}", str(count)]
        self._command += [f"{name}=127.0.0.1:{port}" for name, port in targets.items()]
        self._process: subprocess.Popen[bytes] | None = None
        self.marks: list[tuple[float, str]] = []

    def __enter__(self) -> CountedLoad:
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        wait_for(lambda: self.counts()[0] > 0, "the first answers", 30)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def mark(self, text: str) -> None:
        """Notes an event, to see failures beside it."""
        self.marks.append((time.monotonic(), text))

    def counts(self) -> tuple[int, int]:
        """Answered and failed so far."""
        assert self._process is not None
        assert self._process.poll() is None, f"the load left:\n{self._errors.read_text()}"
        data = self._progress.read_bytes() if self._progress.exists() else b""
        answered, failed = struct.unpack("QQ", data) if len(data) == 16 else (0, 0)
        return answered, failed

    def more(self, count: int = 50) -> None:
        """Waits for so many more requests to be over, well or not."""
        wanted = sum(self.counts()) + count
        wait_for(lambda: sum(self.counts()) >= wanted, f"{count} more requests", 30)

    def finish(self) -> Account:
        """Lets what is in flight end, and closes the books."""
        assert self._process is not None
        self._process.terminate()
        try:
            code = self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            raise AssertionError("the load does not end") from None
        assert code == 0, f"the load failed:\n{self._errors.read_text()}"
        return Account(**json.loads(self._result.read_text()), marks=self.marks)


def executed(directory: Path) -> dict[str, list[int]]:
    """Request id -> the processes that executed it, in order; from the application's notes.

    What asks beside the load does it as "probe", and is nobody's account."""
    found: dict[str, list[int]] = {}
    for line in (directory / "executed").read_text().splitlines():
        name, _, pid = line.partition(" ")
        if name != "probe":
            found.setdefault(name, []).append(int(pid))
    return found


@dataclass(frozen=True)
class Ended:
    """A request that the application was done with."""

    id: str
    pid: int
    moment: float  # monotonic
    size: int


def ended(directory: Path) -> list[Ended]:
    """In the order in which it happened, as far as the application notes it."""
    path = directory / "ended"
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        name, pid, moment, size = line.split()
        if name != "probe":
            found.append(Ended(name, int(pid), float(moment), int(size)))
    return found


def check_books(account: Account, done: Mapping[str, list[int]]) -> None:
    """Nothing was executed twice, and everything that was answered was executed, once."""
    times = Counter({name: len(pids) for name, pids in done.items()})
    twice = [name for name, count in times.items() if count > 1]
    assert not twice, f"executed twice: {twice[:SAMPLES]}"
    sent = account.sent_ids()
    unknown = set(done) - sent
    assert not unknown, f"executed, but never asked: {sorted(unknown)[:SAMPLES]}"
    assert len(account.failures) == account.failed, "more failures than were recorded"
    missing = sent - account.failed_ids() - set(done)
    assert not missing, f"answered, but never executed: {sorted(missing)[:SAMPLES]}"
    total = account.answered + account.failed
    assert total == len(sent), f"{len(sent)} requests were sent, {total} are accounted for"


def check_ledger(log: str) -> None:
    """Each master's last line adds up: accepted = answered + refused + aborted."""
    lines = LEDGER.findall(log)
    for line in lines:
        accepted, answered, refused, aborted = map(int, line)
        assert accepted == answered + refused + aborted, line
    assert len(lines) == log.count("Shutting down: Master"), "a master without a last line"

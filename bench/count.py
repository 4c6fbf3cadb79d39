"""Instructions in user space and system calls, a request: what a busy machine does not change.

perf counts where the processor has counters for us; most virtual machines have none, and then
callgrind runs the whole worker, 50 times slower, and counts what it translates (and system calls,
which perf leaves out here). A run is a few segments, each of so many requests; the median segment
counts, so that a collection of Python's whole heap in one of them does not.
"""

import functools
import re
import shutil
import statistics
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import functions
from cases import Case
from servers import SCRATCH, Running, Server, free_port

import load

CONNECTIONS = 8
SEGMENTS = 5
REQUESTS = {"flask": 200, "django": 200}  # of a segment
REQUESTS_ELSE = 1000
START_SECONDS_MAX = 300.0  # gevent under callgrind on a busy machine
_EVENT = "instructions:u"


@dataclass(frozen=True)
class Counted:
    """Of one request; None: not counted."""

    instructions: float | None
    calls: float | None


@functools.cache
def how() -> str:
    """ "perf", "callgrind" or, where nothing can count, "no instructions: ..." """
    if shutil.which("perf"):
        probe = ["perf", "stat", "-x", ",", "-e", _EVENT, "true"]
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
        if re.search(rf"^\d+,,{_EVENT}", done.stderr, re.MULTILINE):
            return "perf"
    if shutil.which("valgrind") and shutil.which("callgrind_control"):
        return "callgrind"
    return "no instructions: neither perf's counters nor valgrind are here"


def requests_of(case_name: str) -> int:
    """How many requests a segment has, and so callgrind's profile."""
    return REQUESTS.get(case_name, REQUESTS_ELSE)


def _perf(pids: list[int], client: load.Client, requests: int) -> tuple[float, float | None]:
    """perf counts from when it has attached, which is when it is enabled through its pipe."""
    command = ["perf", "stat", "-x", ",", "-e", _EVENT, "-p", ",".join(map(str, pids))]
    fifo = {name: SCRATCH / f"perf-{name}" for name in ("control", "answer")}
    for path in fifo.values():
        path.unlink(missing_ok=True)
        subprocess.run(["mkfifo", str(path)], check=True)
    command += ["-D", "-1", "--control", f"fifo:{fifo['control']},{fifo['answer']}"]
    perf = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with fifo["control"].open("w", buffering=1) as control, fifo["answer"].open() as answer:
        control.write("enable\n")
        answer.readline()
        client.run(requests=requests)
        control.write("disable\n")
        answer.readline()
        perf.terminate()
        counted = re.search(rf"^(\d+),,{_EVENT}", perf.communicate()[1], re.MULTILINE)
    if counted is None:
        raise load.WrongAnswer("failed (perf counted nothing)")
    return float(counted[1]), None


def _callgrind(pids: list[int], client: load.Client, requests: int) -> tuple[float, float | None]:
    _dump(pids)
    client.run(requests=requests)
    instructions = calls = 0
    for part in _dump(pids):
        instructions += functions.by_function(part).total()
        # The clock is read without a system call, but under valgrind.
        by_function = functions.by_function(part, "sysCount")
        calls += sum(n for name, n in by_function.items() if not name.startswith("clock_gettime"))
    return instructions, calls


def _profile(pid: int) -> list[Path]:
    """The parts that callgrind has written of the process, oldest first."""
    parts = SCRATCH.glob(f"callgrind.{pid}.*")
    return sorted(parts, key=lambda path: int(path.suffix[1:]))


def _dump(pids: list[int]) -> list[Path]:
    """Have each process write what it counted since its last dump; returns the files."""
    for pid in pids:
        done = subprocess.run(
            ["callgrind_control", "-d", str(pid)], capture_output=True, text=True, check=False
        )
        if "OK." not in done.stdout:
            raise load.WrongAnswer(f"failed (callgrind_control: {done.stdout} {done.stderr})")
    return [_profile(pid)[-1] for pid in pids]


def measure(server: Server, case: Case) -> Counted:
    """Start, check, warm up and count one fresh process. WrongAnswer where there is no number.

    Keeps callgrind's last profile: build/bench-scratch/<case>-<build>.callgrind.
    """
    if how() not in ("perf", "callgrind"):
        return Counted(None, None)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for stale in SCRATCH.glob("callgrind.*"):
        stale.unlink()
    port = free_port()
    launch = load.launch(case, port)
    counting = _perf
    if how() == "callgrind":
        out = f"--callgrind-out-file={SCRATCH}/callgrind.%p"
        options = ("--trace-children=yes", "--collect-systime=nsec", out)
        launch = replace(launch, under=("valgrind", "--quiet", "--tool=callgrind", *options))
        counting = _callgrind
    requests = requests_of(case.name)
    with Running(server, launch) as running:
        load.wait_until_right(running, port, case, START_SECONDS_MAX)
        workers = running.pids[1:]
        with load.Client(port, case, CONNECTIONS) as client:
            client.run(requests=requests)
            segments = [counting(workers, client, requests) for _ in range(SEGMENTS)]
        if how() == "callgrind":
            profile = _profile(workers[0])[-1]
            shutil.copy(profile, SCRATCH / f"{case.name}-{server.name}.callgrind")
    calls = [one[1] for one in segments if one[1] is not None]
    return Counted(
        statistics.median(one[0] for one in segments) / requests,
        statistics.median(calls) / requests if calls else None,
    )

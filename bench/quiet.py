"""Whether the servers' core was undisturbed: a fixed piece of Python, timed on it.

Whoever shares the host with a virtual machine slows it down, by half for seconds at a time and in
CPU time too, which counts what the neighbour takes from caches and execution units. So each round
is bracketed by two probes, and rounds between slow probes are repeated.
"""

import os
import statistics
import time

from servers import SERVER_CORE

TOLERANCE = 1.1  # of the fastest probe
SEARCH_SECONDS = 3.0
_TURNS = 5
_STEPS = 4000


class _Adder:
    def __init__(self) -> None:
        self.seen: dict[int, str] = {}

    def add(self, number: int) -> int:
        """Calls, attributes, dictionaries and strings, as frameworks use them."""
        self.seen[number & 15] = str(number)
        return number + len(self.seen)


def _turn_us() -> float:
    began = time.thread_time()
    adder = _Adder()
    total = 0
    for number in range(_STEPS):
        total += adder.add(number) & 7
    return (time.thread_time() - began) * 1e6


def _probe_us() -> float:
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        return statistics.median(_turn_us() for _ in range(_TURNS))
    finally:
        os.sched_setaffinity(0, own)


class Watch:
    """Knows the fastest probe of this run."""

    def __init__(self) -> None:
        deadline = time.monotonic() + SEARCH_SECONDS
        self.best_us = _probe_us()
        while time.monotonic() < deadline:
            self.best_us = min(self.best_us, _probe_us())

    def is_quiet(self) -> bool:
        """Whether the core is as fast now as it was at its best."""
        now_us = _probe_us()
        self.best_us = min(self.best_us, now_us)
        return now_us <= self.best_us * TOLERANCE

"""Fails one allocation of Python after the other: `python faults.py CASE STEP [FIRST]`.

For n = FIRST, FIRST + STEP ... the n-th allocation of a case fails; then the n-th and all after it.
Whatever happens must be the case's own outcome or MemoryError, at once or by way of handle_error
and sys.unraisablehook: never SystemError ("returned a result with an exception set"), which Python
makes of a lost or a forgotten exception, never a crash, never a client that waits. Afterwards the
case must do its work as if nothing had been; and no round leaves memory behind, nor, in a debug
build of Python, a reference.
"""

from __future__ import annotations

import _testcapi
import faulthandler
import gc
import json
import sys
import traceback
from typing import Any

import planted
from cases import PLAIN, Case
from reentrant import REENTRANT
from rig import total_references

ROUNDS_MAX = 6000
REPEATED = 6  # before growth is believed: caches fill up once
# CPython 3.12 crashes by itself where there is no memory for a function's cells.
FIRST_TO_CRASH = (3, 12)
NEVER = 1 << 30
WHOLE_ROUNDS = 60  # without a fault: reference counts
NOISE = 12
ALLOWED = (MemoryError,)
PLANTED = (planted.Leak, planted.Other)  # to see that a fault is found
CASES = {case.__name__.lower(): case for case in (*PLAIN, *REENTRANT, *PLANTED)}


class Unraisable:
    """sys.unraisablehook: notes the kinds of what was raised where nobody could hear of it."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def __call__(self, given: Any) -> None:
        self.kinds.append(f"{given.exc_type.__name__}: {given.exc_value}")


def attempt(case: Case, start: int, stop: int) -> tuple[Any, BaseException | None, bool]:
    """(value, error, whether the start-th allocation was reached)."""
    value = error = None
    reached = True
    begin, end = _testcapi.set_nomemory, _testcapi.remove_mem_hooks
    begin(start, stop)
    try:
        value = case.act()
        if stop != 0:
            reached = not _next_fails(start)
    except BaseException as raised:
        end()
        error = raised
    end()
    return value, error, reached


def _next_fails(count: int) -> bool:
    """Whether one of the next allocations fails: the case has not come to its own end by it."""
    try:
        for _ in range(count + 1):
            bytes(2000)
    except MemoryError:
        return True
    return False


def round_faults(case: Case, start: int, stop: int, hook: Unraisable) -> tuple[list[str], bool]:
    """One round: what is wrong with it, and whether the allocation was reached."""
    case.prepare()
    value, error, reached = attempt(case, start, stop)
    found = []
    if error is not None and not isinstance(error, ALLOWED):
        text = "".join(traceback.format_exception(error))
        if case.excused not in text:
            found.append(f"it ended with {text}")
    if error is not None:
        error.__traceback__ = None
    found += case.faults(value, error)
    found += [
        f"unraisable: {kind}"
        for kind in hook.kinds
        if not kind.startswith("MemoryError") and case.excused not in kind
    ]
    hook.kinds.clear()
    return found, reached


def measure() -> tuple[int, int]:
    """Blocks of memory and references in use."""
    sys._clear_type_cache()  # which keeps the names of attributes that C asked for
    gc.collect()
    return sys.getallocatedblocks(), total_references()


def leaks(case: Case, start: int, stop: int, hook: Unraisable) -> str:
    """What the same round leaves behind each time; "" where that is nothing."""
    before = measure()
    for attempt_number in range(REPEATED):
        round_faults(case, start, stop, hook)
        after = measure()
        grown = (after[0] - before[0], after[1] - before[1])
        if grown[0] <= 0 and grown[1] <= 0:
            return ""
        if attempt_number + 1 < REPEATED:
            before = after
    return f"it leaves {grown[0]} blocks and {grown[1]} references behind"


def run(name: str, step: int, start: int) -> dict[str, Any]:
    """All rounds of a case, without a fault if step is 0; a report."""
    hook = Unraisable()
    sys.unraisablehook = hook
    case = CASES[name]()
    found: list[str] = []
    for _ in range(3):  # caches, interned texts
        found += round_faults(case, NEVER, 0, hook)[0]
    gc.collect()
    gc.freeze()  # what is collected from here on is a round's own
    before = measure()
    for _ in range(WHOLE_ROUNDS):
        found += round_faults(case, NEVER, 0, hook)[0]
    grown = measure()[0] - before[0], measure()[1] - before[1]
    if max(grown) > NOISE:
        found.append(f"{WHOLE_ROUNDS} rounds leave {grown} blocks and references behind")
    reached = step != 0
    while reached and start < ROUNDS_MAX and len(found) < 5:
        for stop in (start + 1, 0):
            print(name, start, stop, file=sys.stderr, flush=True)  # the last one, after a crash
            before = measure()
            wrong, hit = round_faults(case, start, stop, hook)
            reached = hit if stop else reached
            after = measure()
            if after[0] > before[0] or after[1] > before[1]:
                leak = leaks(case, start, stop, hook)
                wrong += [leak] if leak else []
            found += [f"allocation {start}{'' if stop else ' on'}: {text}" for text in wrong]
        found += [
            f"after allocation {start}: {text}" for text in round_faults(case, NEVER, 0, hook)[0]
        ]
        start += step
    return {"case": name, "rounds": start // max(step, 1), "found": found}


if __name__ == "__main__":
    faulthandler.enable()
    if len(sys.argv) == 1:
        for kind in (PLAIN if sys.version_info < FIRST_TO_CRASH else (), REENTRANT):
            print(*(case.__name__.lower() for case in kind))
        sys.exit(0)
    report = run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print(json.dumps(report))
    sys.exit(1 if report["found"] else 0)

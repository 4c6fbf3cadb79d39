"""The Python module by itself, in children of pytest: what it does when there is no memory, whether
it keeps its references, and what happens to it when objects of the application call back.

`make test` tries every STEP-th allocation with the interpreter that runs pytest. `make test-core`
tries each one, with a debug build of Python and the module under AddressSanitizer where there is
one (tools/core.sh): MONO_PYTHON names the interpreter, as it does for servers.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from harness import PYTHON, can_import

HERE = Path(__file__).parent
STEP = os.environ.get("MONO_FAULT_STEP", "2")
LARGE = {"tables": 23}  # steps so many times longer than those of others
LIMIT_S = 200
# Debian 12's 3.11.2 forgets the exception where there is no memory for a Python function's frame,
# which its debug build notices. Later ones do not; ours would be met with them as well.
OF_CPYTHON = "_Py_CheckFunctionResult: a function returned NULL without setting an exception"
CRASHES_MAX = 30

pytestmark = pytest.mark.skipif(
    not can_import("_testcapi"), reason="this Python came without its test modules"
)


def child(case: str, step: str) -> None:
    """Runs the rounds of a case; a crash shows the one in which it happened."""
    first = 0
    for _ in range(CRASHES_MAX):
        done = subprocess.run(
            [PYTHON, "faults.py", case, step, str(first)],
            cwd=HERE, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        if done.returncode in (0, 1) or OF_CPYTHON not in done.stderr:
            break
        rounds = re.findall(rf"^{case} (\d+) \d+$", done.stderr, re.MULTILINE)
        first = int(rounds[-1]) + 1
    assert done.returncode in (0, 1) and done.stdout, f"{done.returncode}: {done.stderr[-4000:]}"
    report = json.loads(done.stdout)
    assert report["found"] == [], "\n".join(report["found"])
    if step != "0":
        assert report["rounds"] > 1, "no allocation failed"


def case_names() -> list[list[str]]:
    """As faults.py has them, which imports the module and so is not imported here: those whose
    allocations fail, and those whose objects call back."""
    command = [PYTHON, "faults.py"]
    listed = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    return [line.split() for line in listed.stdout.splitlines()] or [[], []]


PLAIN, REENTRANT = case_names()


def test_there_are_cases() -> None:
    assert {"keptpieces", "futures"} <= set(REENTRANT)


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("case", PLAIN)
def test_every_allocation_may_fail(case: str) -> None:
    child(case, str(int(STEP) * LARGE.get(case, 1)))


# Without faults: CPython itself leaks where there is no memory for the cells of their functions.
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("case", REENTRANT)
def test_objects_may_call_back(case: str) -> None:
    child(case, "0")


@pytest.mark.parametrize(("case", "words"), [("leak", "leave"), ("other", "SystemError")])
def test_a_fault_is_seen(case: str, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        child(case, "1")

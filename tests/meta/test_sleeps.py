"""Tests wait for conditions. Where time itself is what they are about, they say why: pace() and
quiet_for() of tests/support/patience.py, and of src/base/patience_test.hpp for C++.

Applications under test (apps/, and texts of Python in a test) may sleep as applications do: they
are what is slow.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from repo_tree import code_only, cpp_files, is_test, python_files, text

# The helpers themselves, and the loops that wait for conditions.
SLEEPERS = {
    "tests/support/patience.py", "tests/support/harness.py", "tests/unit/arbiter_harness.py",
    "src/base/patience_test.hpp",
}  # fmt: skip
NAMES = {"sleep", "pause"}
CPP = re.compile(r"\b(sleep_for|sleep_until|u?sleep|nanosleep|pause_ms)\s*\(")
PYTHON_TESTS = [
    path
    for path in python_files()
    if path.parts[0] == "tests" and "apps" not in path.parts and str(path) not in SLEEPERS
]
CPP_TESTS = [path for path in cpp_files() if is_test(path) and path.parts[0] in ("src", "tests")]


def python_sleeps(source: str) -> list[int]:
    """Lines that call time.sleep() in the test's own process; what asyncio awaits is not looked
    at, nor what is only text of an application."""
    found = []
    for node in ast.walk(ast.parse(source)):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr == "sleep":
            owner = called.value
            if isinstance(owner, ast.Name) and owner.id == "time":
                found.append(node.lineno)
        elif isinstance(called, ast.Name) and called.id == "sleep":
            found.append(node.lineno)
    return sorted(found)


def cpp_sleeps(source: str) -> list[int]:
    """Lines of a C++ test that sleep."""
    code = code_only(source)
    return [code.count("\n", 0, match.start()) + 1 for match in CPP.finditer(code)]


ADVICE = "wait for a condition; or pace() and quiet_for(), which say why"


@pytest.mark.parametrize("path", PYTHON_TESTS, ids=str)
def test_python_tests_do_not_sleep_and_hope(path: Path) -> None:
    assert python_sleeps(text(path)) == [], ADVICE


def test_cpp_tests_do_not_sleep_and_hope() -> None:
    found = {str(path): cpp_sleeps(text(path)) for path in CPP_TESTS if str(path) not in SLEEPERS}
    assert {path: lines for path, lines in found.items() if lines} == {}, ADVICE


def test_the_check_can_fail() -> None:
    assert python_sleeps("import time\nif x:\n    time.sleep(1)\nsleep(2)") == [3, 4]
    assert python_sleeps("await asyncio.sleep(1)\nAPP = 'time.sleep(1)'\npace(1, 'w')") == []
    assert cpp_sleeps("a;\nstd::this_thread::sleep_for(b); usleep(1);") == [2, 2]
    assert cpp_sleeps("// sleep_for(1)\nquiet_for(b);") == []

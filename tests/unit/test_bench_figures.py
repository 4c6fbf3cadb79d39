"""What bench/functions.py reads out of callgrind's profiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUNCTIONS = Path(__file__).resolve().parents[2] / "bench" / "functions.py"
BEFORE = """version: 1
events: Ir sysCount
ob=(1) core.so
fl=(1) core.cpp
fn=(1) mono::(anonymous namespace)::parse(char const*, unsigned long)
10 100 1
+2 20
cfn=(2) memcpy.part.0
calls=3 0
* 5000 7
fn=(2)
12 30
"""
AFTER = BEFORE.replace("10 100 1", "10 140 1") + "fn=(3) _PyEval_EvalFrameDefault'2\n-1 7\n"


def test_costs_of_calls_are_the_callee_s(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_text(BEFORE)
    after.write_text(AFTER)
    done = subprocess.run(
        [sys.executable, FUNCTIONS, before, after], capture_output=True, text=True, check=True
    )
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["120.0", "160.0", "+40.0", "mono::parse"],
        ["0.0", "7.0", "+7.0", "_PyEval_EvalFrameDefault"],
        ["30.0", "30.0", "+0.0", "memcpy"],
    ]

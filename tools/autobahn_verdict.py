"""Reads autobahntestsuite's index.json; says how many cases passed and names those that did not.

Exits with 1 if a case is neither OK nor INFORMATIONAL, in behaviour or in how it closed.
NON-STRICT, which RFC 6455 permits but the suite does not expect first, is a failure too.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

GOOD = {"OK", "INFORMATIONAL"}


def verdict(index: dict[str, dict[str, dict[str, object]]]) -> int:
    """Prints what passed and what did not; the process's exit code."""
    failures = 0
    for agent, cases in index.items():
        counts = Counter(str(case["behavior"]) for case in cases.values())
        print(f"{agent}: {len(cases)} cases: {dict(counts)}")
        for name, case in sorted(cases.items()):
            results = {str(case["behavior"]), str(case["behaviorClose"])}
            if results <= GOOD:
                continue
            failures += 1
            print(f"  {name}: {case['behavior']}, close: {case['behaviorClose']}")
    if not index:
        print("no case was run: does the server listen?")
    return 1 if failures or not index else 0


if __name__ == "__main__":
    sys.exit(verdict(json.loads(Path(sys.argv[1]).read_text())))

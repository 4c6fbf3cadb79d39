"""Reads autobahntestsuite's index.json; says how many cases passed and names those that did not.

Exits with 1 if a case is neither OK nor INFORMATIONAL, in behaviour or in how it closed. With
NON-STRICT a server does what RFC 6455 permits, but not what the suite expects first. That is a
failure of everything but a worker, where the application's task has its own time: it may not have
answered a message yet when the frame behind it breaks the protocol and ends the connection.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

GOOD = {"OK", "INFORMATIONAL"}
NON_STRICT_AGENTS = {"asgi_worker"}


def verdict(index: dict[str, dict[str, dict[str, object]]]) -> int:
    """Prints what passed and what did not; the process's exit code."""
    failures = 0
    for agent, cases in index.items():
        good = GOOD | ({"NON-STRICT"} if agent in NON_STRICT_AGENTS else set())
        counts = Counter(str(case["behavior"]) for case in cases.values())
        print(f"{agent}: {len(cases)} cases: {dict(counts)}")
        for name, case in sorted(cases.items()):
            results = {str(case["behavior"]), str(case["behaviorClose"])}
            if results <= good:
                continue
            failures += 1
            print(f"  {name}: {case['behavior']}, close: {case['behaviorClose']}")
    if not index:
        print("no case was run: does the server listen?")
    return 1 if failures or not index else 0


if __name__ == "__main__":
    sys.exit(verdict(json.loads(Path(sys.argv[1]).read_text())))

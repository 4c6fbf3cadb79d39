"""Instructions by function from a callgrind profile, and how two profiles differ.

`functions.py A.callgrind B.callgrind` prints what grew and shrank most. (callgrind_annotate counts
recursive Python twice over in profiles that begin amid a run.) The format: the manual of callgrind,
section "Callgrind Format Specification".
"""

import re
import sys
from collections import Counter
from pathlib import Path

_NAME = re.compile(r"fn=\((\d+)\)(?: (.*))?")
_COST = re.compile(r"[+\-*\d]\S* \d")
# What compilers append to a part of a function, and callgrind to a recursive one.
_SUFFIX = re.compile(r"(\.(constprop|isra|part|cold|lto_priv)(\.\d+)*|'\d+)+$|\(.*")


def _short(name: str) -> str:
    return _SUFFIX.sub("", name.replace("(anonymous namespace)::", ""))


def by_function(profile: Path, event: str = "Ir") -> Counter[str]:
    """Function -> its own share of the event, without that of what it calls."""
    column = 1
    names: dict[str, str] = {}
    spent: Counter[str] = Counter()
    current, skip = "", False
    for line in profile.read_text(errors="replace").splitlines():
        if match := _NAME.match(line):
            if match[2]:
                names[match[1]] = _short(match[2])
            current = names.get(match[1], match[1])
        elif line.startswith("cfn="):
            if named := _NAME.match(line[1:]):
                names.setdefault(named[1], _short(named[2] or ""))
        elif line.startswith("calls="):
            skip = True  # the next line has the costs of the call
        elif line.startswith("events: "):
            column = line.split().index(event)  # behind the position, as behind "events:"
        elif _COST.match(line):
            costs = line.split()
            if not skip and len(costs) > column:  # zeros at the end are left out
                spent[current] += int(costs[column])
            skip = False
    return spent


def differences(a: Path, b: Path, requests: int, most: int = 12) -> list[str]:
    """Lines "A B difference function", in instructions a request, the largest first."""
    before, after = by_function(a), by_function(b)
    order = sorted(before.keys() | after.keys(), key=lambda name: -abs(after[name] - before[name]))
    return [
        f"{before[name] / requests:9.1f} {after[name] / requests:9.1f} "
        f"{(after[name] - before[name]) / requests:+9.1f}  {name}"
        for name in order[:most]
    ]


if __name__ == "__main__":
    print("\n".join(differences(Path(sys.argv[1]), Path(sys.argv[2]), 1, 40)))

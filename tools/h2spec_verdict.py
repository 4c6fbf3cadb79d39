"""Reads h2spec's reports in a folder; says how many cases passed and names those that did not.

Exits with 1 if a case that is not expected to fail does, if one that is expected to passes, or if a
report is missing or has fewer cases than h2spec has.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

CASES_MIN = 146  # of h2spec 2.2.1, strict
REPORTS = [
    f"{kind}-{way}"
    for kind in ("sync", "gthread", "gevent", "asgi")
    for way in ("tls", "cleartext")
]
# (section, case) -> what h2spec says then, and why that is right.
EXPECTED_IN_CLEARTEXT = {
    # The port speaks HTTP/1 as well, so what is no preface is HTTP/1, and a bad request line there
    # gets an answer: a 400 that h2spec cannot read as frames. It says so, and then the connection
    # ends, as RFC 9113 section 3.4 demands.
    ("http2/3.5", "Sends invalid connection preface"): "looked like an HTTP/1.1 header",
}


def failures(report: Path) -> tuple[int, dict[tuple[str, str], str]]:
    """How many cases there were, and what is said of those that did not pass."""
    found: dict[tuple[str, str], str] = {}
    cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        name = (case.get("package", ""), case.get("classname", ""))
        for trouble in case:  # a failure, an error, or skipped
            found[name] = f"{trouble.tag}: {' '.join((trouble.text or '').split())}"
    return len(cases), found


def judge(report: Path) -> int:
    """Prints what became of one run; how many of its cases are not as they should be."""
    if not report.exists():
        print(f"{report.stem}: no report")
        return 1
    count, failed = failures(report)
    expected = EXPECTED_IN_CLEARTEXT if report.stem.endswith("cleartext") else {}
    known = {name for name, words in expected.items() if words in failed.get(name, "")}
    print(f"{report.stem}: {count - len(failed)} of {count} passed, {len(known)} known not to")
    wrong = [f"{name}: {text}" for name, text in failed.items() if name not in known]
    wrong += [f"{name}: passes, or fails otherwise" for name in expected.keys() - known]
    if count < CASES_MIN:
        wrong.append(f"{count} cases, not {CASES_MIN}")
    for line in wrong:
        print(f"  {line}")
    return len(wrong)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    sys.exit(1 if sum(judge(directory / f"{name}.xml") for name in REPORTS) else 0)

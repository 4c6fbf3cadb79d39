"""What the gen_*.py tools share: writing a page of docs/, or checking that it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(name: str, page: str, argv: list[str]) -> int:
    """The tool's command line: [--check] [FILE], docs/`name` by default. Returns the exit code."""
    check = "--check" in argv
    files = [argument for argument in argv[1:] if not argument.startswith("-")]
    here = Path(__file__).resolve().parent.parent
    target = Path(files[0]) if files else here / "docs" / name
    if not check:
        target.write_text(page, encoding="utf-8")
        return 0
    if target.read_text(encoding="utf-8") == page:
        return 0
    sys.stderr.write(f"{target} is out of date: run {Path(argv[0]).name}.\n")
    return 1

"""Groups of scenarios, and the runner that gives each group one server run on either side.

A scenario is a named look at a Side. The looks of a group happen in their order on the same
server, both sides at once; a test then compares the two answers of one scenario. Scenarios that
docs/compat.md names must differ, all others must not.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pair import HERE, SERVERS, Side

Look = Callable[[Side], Any]
PAGE = HERE.parents[1] / "docs" / "compat.md"
GROUPS_AT_ONCE = 5  # they mostly wait


@dataclass(frozen=True)
class Group:
    """One server run on either side. Without args, the looks start what they need."""

    name: str
    looks: Mapping[str, Look]
    args: str | None = None
    theirs: str = ""  # more arguments, for gunicorn only
    config: str = ""  # of gunicorn.conf.py, which both read
    files: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1


@dataclass(frozen=True)
class Failed:
    """A look that raised: never equal to anything."""

    trace: str


def run_side(group: Group, side: Side) -> dict[str, Any]:
    """All looks of a group on one side, by scenario."""
    answers: dict[str, Any] = {}
    try:
        side.write("gunicorn.conf.py", group.config)
        for name, text in group.files.items():
            side.write(name, text)
        if group.args is not None:
            more = group.theirs if side.name == "gunicorn" else ""
            side.start(f"-b 127.0.0.1:{{port}} {more} {group.args}", group.env, group.workers)
        for name, look in group.looks.items():
            try:
                answers[name] = look(side)
            except Exception:
                answers[name] = Failed(traceback.format_exc() + side.log()[-3000:])
        try:
            side.check_invariants()
        except AssertionError:
            answers[list(answers)[-1]] = Failed(traceback.format_exc())
    except Exception:
        failure = Failed(traceback.format_exc() + side.log()[-3000:])
        answers = {name: answers.get(name, failure) for name in group.looks}
    finally:
        side.close()
    return answers


class Runner:
    """Runs groups in the background, in the order in which they are asked for first."""

    def __init__(self, pythons: Mapping[str, str], directory: Path) -> None:
        self._pythons = pythons
        self._directory = directory
        self._groups = ThreadPoolExecutor(GROUPS_AT_ONCE)
        self._sides = ThreadPoolExecutor(2 * GROUPS_AT_ONCE)
        self._runs: dict[str, Future[list[dict[str, Any]]]] = {}

    def submit(self, group: Group) -> None:
        if group.name not in self._runs:
            self._runs[group.name] = self._groups.submit(self._run, group)

    def _run(self, group: Group) -> list[dict[str, Any]]:
        sides = [
            Side(name, self._pythons[name], self._directory / group.name / name)
            for name in SERVERS
        ]  # fmt: skip
        return list(self._sides.map(lambda side: run_side(group, side), sides))

    def answers(self, group: Group, scenario: str) -> tuple[Any, Any]:
        """gunicorn's and monoceros's."""
        self.submit(group)
        theirs, ours = self._runs[group.name].result()
        return theirs[scenario], ours[scenario]

    def close(self) -> None:
        self._groups.shutdown(cancel_futures=True)
        self._sides.shutdown()


ROW = re.compile(r"^\| `([\w-]+)` \|(.*)\|\s*$", re.MULTILINE)


def differences() -> dict[str, list[str]]:
    """The rows of docs/compat.md: id of a difference -> scenarios that show it."""
    found = {}
    for name, rest in ROW.findall(PAGE.read_text()):
        scenarios = rest.split("|")[-1]
        found[name] = re.findall(r"`([^`]+)`", scenarios)
    return found


def intended() -> dict[str, str]:
    """Scenario -> id of the difference that it shows."""
    return {look: name for name, looks in differences().items() for look in looks}


def all_of(groups: Sequence[Group]) -> list[tuple[Group, str]]:
    return [(group, look) for group in groups for look in group.looks]

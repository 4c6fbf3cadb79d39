"""Each scenario on gunicorn 27 and on monoceros: the same, unless docs/compat.md says otherwise."""

from __future__ import annotations

import difflib
import json

import pytest

from pair import Side
from scenario import Failed, Group, Runner, all_of, differences, intended
from tables import GROUPS

SCENARIOS = all_of(GROUPS)
INTENDED = intended()


def shown(value: object) -> str:
    """Comparable, and readable line by line in a failure."""
    return json.dumps(value, indent=1, sort_keys=True, default=str)


# The first of a group waits for all of it: dozens of processes, two at a time.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("group", "scenario"), SCENARIOS, ids=[look for _, look in SCENARIOS])
def test_same(runner: Runner, group: Group, scenario: str) -> None:
    theirs, ours = runner.answers(group, scenario)
    for name, answer in (("gunicorn", theirs), ("monoceros", ours)):
        if isinstance(answer, Failed):
            pytest.fail(f"{name} could not be looked at:\n{answer.trace}", pytrace=False)
    if scenario in INTENDED:
        said = f"docs/compat.md says that {INTENDED[scenario]} differs; it no longer does"
        assert shown(ours) != shown(theirs), said
    else:
        lines = difflib.unified_diff(
            shown(theirs).splitlines(),
            shown(ours).splitlines(),
            "gunicorn",
            "monoceros",
            lineterm="",
        )
        if text := "\n".join(lines):
            pytest.fail(f"{scenario}:\n{text}", pytrace=False)


def test_names_are_unique_and_many() -> None:
    names = [look for _, look in SCENARIOS]
    assert len(names) == len(set(names))
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert len(names) >= 150


def test_each_difference_names_its_scenarios() -> None:
    names = {look for _, look in SCENARIOS}
    for difference, looks in differences().items():
        assert looks, f"{difference} has no scenario that shows it"
        assert set(looks) <= names, difference


def test_a_difference_is_seen(runner: Runner) -> None:
    """The whole machinery can fail: two servers that answer differently are not the same."""

    def look(side: Side) -> str:
        return side.name

    theirs, ours = runner.answers(Group("self-test", {"name": look}), "name")
    assert shown(theirs) != shown(ours)

"""The lifecycle tests' limits of time. See stage.py for what they run."""

from __future__ import annotations

import pytest

from stage import SOAK

SOAK_TEST_S_MAX = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The issue's whole numbers take longer than a test may in `make test`."""
    for item in items:
        if SOAK and "lifecycle" in item.path.parts:
            item.add_marker(pytest.mark.timeout(SOAK_TEST_S_MAX))

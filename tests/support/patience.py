"""The moments in which a test lets time pass instead of waiting for a condition (harness.wait_for).

They are few, and each says why: tests/meta/test_sleeps.py finds a bare time.sleep() in a test. None
of them may be needed for a test to pass on a slow machine: too short, they only show less.
"""

from __future__ import annotations

import time


def quiet_for(seconds: float, why: str) -> None:
    """A span that is the subject: what is asserted behind it is that something did not happen in
    it, or how often it did. `why` says what."""
    assert why
    time.sleep(seconds)


def pace(seconds: float, why: str) -> None:
    """What an actor of the test takes its time for: a slow client between two bytes, a load for its
    length, somebody who sends signals. `why` says who."""
    assert why
    time.sleep(seconds)

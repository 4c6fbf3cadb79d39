"""Memory for the frames of greenlets is used again, not mapped and unmapped for each."""

import subprocess
import sys

PROGRAM = """
import resource, sys, gevent
from monoceros import _core

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        gevent.joinall([gevent.spawn(lambda: i) for i in range(20)])
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
print(faults())
_core.keep_stack_chunks()
_core.keep_stack_chunks()
faults()
print(faults())
"""


def test_greenlets_are_given_the_memory_of_earlier_ones() -> None:
    printed = subprocess.check_output([sys.executable, "-c", PROGRAM], text=True)
    without, kept = map(int, printed.split())
    assert kept < 250, printed  # of 1000 greenlets
    if sys.version_info >= (3, 11):  # frames were on the heap before
        assert without > 750, "the interpreter keeps them by itself: stack_chunks.cpp can go"

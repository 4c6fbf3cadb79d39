"""Exceptions of ours that Python drops come again.

What is raised in the callback of a weak reference, in __del__, in a callback of the collector, gets
no further: Python tells sys.unraisablehook and goes on. So that hook knows our kinds, and there the
signal whose handler raised comes again, for the code behind. All else goes to the hook that was
there.
"""

from __future__ import annotations

import sys

from monoceros import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_kinds: dict[type[BaseException], tuple[Callable[[Any], object], int]] = {}
_hook: Any = None


def watch(kind: type[BaseException], lost: Callable[[Any], object], signum: int) -> None:
    """For exceptions of exactly this kind that are dropped, in any thread: lost(exception), then
    the signal is handled again, in the main thread. 0: the exception's own `signum`."""
    _kinds[kind] = (lost, signum)


def guard() -> None:
    """Call it before one is raised: the application's hook may have taken the place of ours."""
    global _hook
    if sys.unraisablehook is not _hook:
        sys.unraisablehook = _hook = _core.unraisable_hook(_kinds, sys.unraisablehook)

"""Cases with a fault of their own, which faults.py must find."""

from __future__ import annotations

import ctypes
from typing import Any

from cases import Case


class Leak(Case):
    """An object that nobody frees: a reference too many, as a forgotten Py_DECREF makes it."""

    def act(self) -> Any:
        kept = object()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))


class Other(Case):
    """It ends otherwise where there is no memory: SystemError, as a lost exception becomes."""

    def act(self) -> Any:
        try:
            return [bytes(1000)]
        except MemoryError:
            raise SystemError("a result with an exception set") from None

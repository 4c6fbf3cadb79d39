"""spew: print every line of Python as it runs."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any


class Spew:
    """A trace function that prints FILE:LINE and the line, for all modules or those named."""

    def __init__(self, trace_names: list[str] | None = None, show_values: bool = True) -> None:
        self.trace_names = trace_names
        self.show_values = show_values

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Spew:
        if event == "line":
            self._print(frame)
        return self

    def _print(self, frame: FrameType) -> None:
        import linecache

        module = frame.f_globals.get("__name__", "?")
        if self.trace_names is not None and module not in self.trace_names:
            return
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).rstrip()
        # One write a line: master and workers share the stream, and may not be buffered.
        sys.stdout.write(f"{module}:{frame.f_lineno}: {line}\n")


def spew(trace_names: list[str] | None = None, show_values: bool = False) -> None:
    sys.settrace(Spew(trace_names, show_values))


def unspew() -> None:
    sys.settrace(None)

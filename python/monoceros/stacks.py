"""Where this process's threads and tasks are, as text for one event in the error log."""

from __future__ import annotations

import os
import sys
import traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable
    from types import FrameType

# What stands around an application's calls: the server, and how threads begin.
AROUND = (
    os.path.dirname(__file__),
    os.path.join(os.path.dirname(os.__file__), "threading.py"),
    "<frozen",
)
TASKS_MAX = 100  # told in one event


def of_threads() -> str:
    """Each thread's stack, its innermost call last."""
    threading = sys.modules.get("threading")
    names = {thread.ident: thread.name for thread in threading.enumerate()} if threading else {}
    parts = []
    for ident, frame in sys._current_frames().items():
        name = names.get(ident) or ("MainThread" if len(names) == 0 else "?")
        parts.append(f"Thread {name} ({ident:#x}):\n{_text(frame)}")
    return "".join(parts)


def of_tasks(tasks: Iterable[asyncio.Task[object]]) -> str:
    """Where asyncio's tasks wait."""
    parts = []
    for number, task in enumerate(tasks):
        if number == TASKS_MAX:
            parts.append("... and further tasks\n")
            break
        frames = task.get_stack()
        where = "".join(_text(frame) for frame in frames) or "  (done)\n"
        parts.append(
            f"Task {task.get_name()} {getattr(task.get_coro(), '__qualname__', '')}:\n{where}"
        )
    return "".join(parts)


def _text(frame: FrameType) -> str:
    """Without the server's own calls around the application's."""
    calls = traceback.extract_stack(frame)
    theirs = [call for call in calls if not call.filename.startswith(AROUND)]
    return "".join(traceback.format_list(theirs)) or "  (in the server itself)\n"

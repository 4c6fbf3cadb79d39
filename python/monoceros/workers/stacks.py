"""Where this process's threads, tasks and greenlets are, as text for an event in the error log.

A stack is taken at once, as codes and lines, the innermost call first; what it belongs to runs on
meanwhile. It becomes text later, which reads source files.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping
    from types import CodeType, FrameType
    from typing import Any

    Stack = list[tuple[CodeType, int]]

HERE = os.path.dirname(os.path.dirname(__file__))  # the package
LIBRARY = os.path.dirname(os.__file__)
# What stands around an application's calls: the server, and how threads and tasks begin.
AROUND = (
    HERE,
    os.path.join(LIBRARY, "threading.py"),
    os.path.join(LIBRARY, "asyncio", "base_events.py"),
    os.path.join(LIBRARY, "asyncio", "events.py"),
    os.path.join(LIBRARY, "asyncio", "runners.py"),
    "<frozen",
)
CALLS_MAX = 100  # of a stack
TASKS_MAX = 1000  # looked at for one event
RUNNERS = ("turn", "_serve", "handle", "handle_request")  # of sync and gthread
NAMES_MAX = 4  # of those with the same stack


def current_frames() -> dict[int, FrameType]:
    """Of all threads; empty where they run while they are looked at (free-threaded Python). No
    collection meanwhile, which could deadlock before Python 3.12 (python/cpython#106883)."""
    import gc

    if "free-threading" in sys.version:
        return {}
    was_on = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        if was_on:
            gc.enable()


def is_ours(frame: FrameType | None) -> bool:
    """Whether the innermost call is the server's own."""
    return frame is not None and frame.f_code.co_filename.startswith(HERE)


def in_application(frame: FrameType | None) -> bool:
    """Whether what runs there was called by a worker to answer a request, and is not ours."""
    innermost = frame
    while frame is not None and not is_ours(frame):
        frame = frame.f_back
    return frame is not innermost and frame is not None and frame.f_code.co_name in RUNNERS


def of_frame(frame: FrameType | None) -> Stack:
    """The calls that led there."""
    stack: Stack = []
    while frame is not None and len(stack) < CALLS_MAX:
        stack.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return stack


def of_coroutine(awaited: Any) -> Stack:
    """Where a suspended coroutine waits: what it awaits, and that in turn, down to a future."""
    stack: Stack = []
    while awaited is not None and len(stack) < CALLS_MAX:
        kind = next((k for k in ("cr", "gi", "ag") if hasattr(awaited, f"{k}_frame")), None)
        if kind is None:
            break
        frame = getattr(awaited, f"{kind}_frame")
        if frame is not None:
            stack.insert(0, (frame.f_code, frame.f_lineno))
        awaited = getattr(awaited, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    return stack


def text(stack: Stack, sources: bool = True) -> str:
    """Without the server's own calls around the application's. sources: with the lines of code."""
    lines = []
    for code, line in reversed(stack):
        if code.co_filename.startswith(AROUND):
            continue
        lines.append(f'  File "{code.co_filename}", line {line}, in {code.co_name}\n')
        source = _source(code.co_filename, line) if sources else ""
        if source:
            lines.append(f"    {source}\n")
    if len(stack) >= CALLS_MAX:
        lines.insert(0, "  ...\n")
    return "".join(lines) or "  (in the server itself)\n"


def of_threads(stacks: Mapping[int, Stack]) -> list[tuple[str, Stack]]:
    """Name and stack of each thread."""
    names = _thread_names()
    return [(f"Thread {names.get(i, '?')} ({i:#x})", stack) for i, stack in stacks.items()]


def of_tasks(tasks: Iterable[asyncio.Task[Any]]) -> list[tuple[str, Stack]]:
    """Name and stack of asyncio's tasks; of a thousand at most."""
    found: list[tuple[str, Stack]] = []
    for task in tasks:
        if len(found) == TASKS_MAX:
            break
        coroutine = task.get_coro()
        name = f"Task {task.get_name()} {getattr(coroutine, '__qualname__', '')}"
        found.append((name, of_coroutine(coroutine)))
    return found


def grouped(
    named: Iterable[tuple[str, Stack]], known: Iterable[Stack] = (), sources: bool = True
) -> str:
    """Stacks under their names; those with the same calls once, without the server's own and
    without those that have the same calls as a known one."""
    seen = {_calls(stack) for stack in known} | {()}
    groups: dict[tuple[CodeType, ...], list[str]] = {}
    first: dict[tuple[CodeType, ...], Stack] = {}
    for name, stack in named:
        calls = _calls(stack)
        if calls not in seen:
            groups.setdefault(calls, []).append(name)
            first.setdefault(calls, stack)
    parts = []
    for calls, names in groups.items():
        more = f" and {len(names) - NAMES_MAX} more" if len(names) > NAMES_MAX else ""
        parts.append(f"{', '.join(names[:NAMES_MAX])}{more}:\n{text(first[calls], sources)}")
    return "".join(parts)


def _calls(stack: Stack) -> tuple[CodeType, ...]:
    return tuple(code for code, _ in stack if not code.co_filename.startswith(AROUND))


def _thread_names() -> dict[int | None, str]:
    threading = sys.modules.get("threading")
    if threading is None:
        import _thread

        return {_thread.get_ident(): "MainThread"}
    return {thread.ident: thread.name for thread in threading.enumerate()}


def _source(filename: str, line: int) -> str:
    import linecache

    return linecache.getline(filename, line).strip()

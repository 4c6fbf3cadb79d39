"""Every hook, noting its name, process and arguments in trace.txt. For `from traced import *`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

COUNTS = {
    "on_starting": 1, "on_reload": 1, "when_ready": 1, "pre_fork": 2, "post_fork": 2,
    "post_worker_init": 1, "worker_int": 1, "worker_abort": 1, "pre_exec": 1, "pre_request": 2,
    "post_request": 4, "child_exit": 2, "worker_exit": 2, "nworkers_changed": 3, "on_exit": 1,
}  # fmt: skip


def show(value: Any) -> str:
    """What a hook can rely on about an argument."""
    if hasattr(value, "WORKERS"):
        return "arbiter"
    if hasattr(value, "booted"):
        pid = "booting" if value.pid == "[booting]" else f"mine={value.pid == os.getpid()}"
        return f"worker(pid={pid} age={value.age} booted={value.booted} alive={value.alive})"
    if hasattr(value, "method"):
        return f"request({value.method} {value.path} {value.query} {value.uri} {value.version})"
    if hasattr(value, "status"):
        return f"response({value.status} {value.sent} {sorted(value.headers)})"
    if isinstance(value, dict):
        return f"environ({value.get('PATH_INFO')})"
    return repr(value)


def note(name: str, *args: Any) -> None:
    text = f"{os.getpid()} {name} {' '.join(map(show, args))}\n"
    with (Path(os.environ["COMPAT_DIR"]) / "trace.txt").open("a") as file:
        file.write(text)


def hook(name: str, count: int) -> Callable[..., None]:
    """A function of exactly `count` arguments, as the settings demand."""
    return {
        1: lambda a: note(name, a),
        2: lambda a, b: note(name, a, b),
        3: lambda a, b, c: note(name, a, b, c),
        4: lambda a, b, c, d: note(name, a, b, c, d),
    }[count]


globals().update({name: hook(name, count) for name, count in COUNTS.items()})
__all__ = list(COUNTS)

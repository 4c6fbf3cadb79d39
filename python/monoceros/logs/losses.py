"""Where a log line goes that tells of a lost log: to what still works.

Not through the logger: this is called amid a handler's work, whose lock nobody else's handler may
wait for.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LEVELS = {40: "ERROR", 30: "WARNING"}


def announce(level: int, text: str) -> None:
    """To every handler of the error log that has lost nothing; where there is none, to standard
    error. From any thread; never raises."""
    told = False
    for handler in _handlers():
        try:
            told = _hand(handler, level, text) or told
        except Exception:
            pass  # the next one may still work
    if not told:
        to_stderr(level, text)


def _handlers() -> list[Any]:
    logging: Any = sys.modules.get("logging")
    if logging is None or not hasattr(logging, "getLogger"):
        return []
    return handlers_of(logging.getLogger("gunicorn.error"))


def handlers_of(log: Any) -> list[Any]:
    # Of a logger, and of those that it propagates to.
    found = []
    while log is not None:
        found += log.handlers
        log = log.parent if log.propagate else None
    return found


def _hand(handler: Any, level: int, text: str) -> bool:
    import logging

    if level < handler.level or isinstance(handler, logging.NullHandler) or _is_down(handler):
        return False
    record = logging.LogRecord("gunicorn.error", level, __file__, 0, text, None, None, "announce")
    lock = getattr(handler, "lock", None)
    if lock is not None and not lock.acquire(blocking=False):
        return False  # its holder may be waiting for ours
    try:
        if handler.filter(record):
            handler.emit(record)
    finally:
        if lock is not None:
            lock.release()
    return not _is_down(handler)


def _is_down(handler: Any) -> bool:
    return bool(getattr(handler, "is_down", bool)())


def to_stderr(level: int, text: str) -> None:
    # As the error log would have it. On a broken standard error there is nobody to tell.
    line = f"{time.strftime('[%Y-%m-%d %H:%M:%S %z]')} [{os.getpid()}] [{LEVELS[level]}] {text}\n"
    from monoceros.logs.sink import std_sink

    sink = std_sink(sys.stderr)
    if sink is not None:
        if not sink.is_down:
            sink.write(line.encode("utf-8", "backslashreplace"))
    elif sys.stderr is not None:
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, ValueError):
            pass

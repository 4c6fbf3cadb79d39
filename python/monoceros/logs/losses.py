"""A log line that tells of a lost log, to the handlers that still work (logs.sink announces it).

Not through the logger: this is called amid a handler's work, whose lock nobody else's handler may
wait for.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def hand_over(level: int, text: str) -> bool:
    """To every handler of the error log that has lost nothing; whether there is one. From any
    thread; never raises."""
    told = False
    for handler in _handlers():
        try:
            told = _hand(handler, level, text) or told
        except Exception:
            pass  # the next one may still work
    return told


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

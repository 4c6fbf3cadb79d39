"""Handlers of a user's own logging configuration that lose their destination: said once, counted,
and their return is told, as with ours. Each handler by itself: logging's classes stay as they are.
"""

from __future__ import annotations

import logging
import sys
from logging.handlers import SocketHandler, SysLogHandler

from monoceros.logs.sink import announce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Loss:
    """Of one handler. Its methods take the place of the handler's, which holds its lock then."""

    def __init__(self, handler: Any) -> None:
        self._emit = handler.emit
        self._handle_error = handler.handleError
        where = getattr(handler, "address", None) or f"{handler.host}:{handler.port}"
        where = f"{where[0]}:{where[1]}" if isinstance(where, tuple) else where
        self._name = f"{type(handler).__name__} at {where}"
        self._lost = 0
        self._fails = False

    def emit(self, record: logging.LogRecord) -> None:
        self._fails = False
        self._emit(record)
        if self._lost and not self._fails:
            lost, self._lost = self._lost, 0
            announce(30, f"{self._name} is reached again: {lost} lines were lost.")

    def handle_error(self, record: logging.LogRecord) -> None:
        """Within emit(). What is no lost connection is told as ever."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self._handle_error(record)
            return
        self._fails = True
        self._lost += 1
        if self._lost == 1:
            words = "lines for it are lost, and counted, until it can."
            announce(40, f"{self._name} cannot be reached: {error}. {words}")

    def is_down(self) -> bool:
        return self._lost > 0


def watch(handler: Any) -> None:
    """Once for each handler."""
    if isinstance(handler, (SysLogHandler, SocketHandler)) and not hasattr(handler, "is_down"):
        loss = Loss(handler)
        handler.is_down = loss.is_down  # type: ignore[union-attr]
        handler.emit = loss.emit  # type: ignore[method-assign]
        handler.handleError = loss.handle_error  # type: ignore[method-assign]

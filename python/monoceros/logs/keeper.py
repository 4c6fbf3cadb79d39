"""The server's own loggers go on when an application configures logging.

logging.config disables, by default, every logger that it does not name: access log and tracebacks
would end without a word. Whoever disables one of ours by name is obeyed, and that is said.
"""

from __future__ import annotations

import logging
import sys
import sysconfig

from monoceros.logs.losses import handlers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

IN_BULK = ("_handle_existing_loggers", "_install_loggers")  # functions of logging.config


class _Kept(logging.Logger):
    """Mixed into the class of a logger of ours. Only `disabled` differs."""

    @property
    def disabled(self) -> bool:
        return bool(self.__dict__.get("_disabled", False))

    @disabled.setter
    def disabled(self, value: bool) -> None:
        frame = sys._getframe(1)
        if value and frame.f_code.co_name in IN_BULK and _is_logging(frame):
            self.debug("%s disables all loggers; %s goes on.", _place(frame), self.name)
            return
        if value and not self.disabled:
            words = "%s disables the logger %s: nothing more is written through it."
            logging.getLogger("gunicorn.error").warning(words, _place(frame), self.name)
        self.__dict__["_disabled"] = bool(value)


def keep(log: logging.Logger) -> None:
    # Makes the logger one that goes on.
    cls: Any = type(log)
    if not issubclass(cls, _Kept):
        off = log.disabled
        log.__class__ = type(cls.__name__, (_Kept, cls), {"__module__": cls.__module__})
        log.__dict__["_disabled"] = off


def keep_lent(loggers: list[logging.Logger], ours: list[logging.Logger]) -> None:
    """Loggers that have been given the handlers of one of ours (uvicorn's have, by its worker class
    and by ours) go on with it. What is done to their list of handlers concerns ours no more."""
    for log in loggers:
        lenders = [one for one in ours if one.handlers and one.handlers == log.handlers]
        if lenders and log not in ours:
            log.handlers = list(log.handlers)
            keep(log)


def _is_logging(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] == "logging"


def _place(frame: FrameType | None) -> str:
    """Who is behind it: the innermost code that is no library, else the innermost that is not
    logging's."""
    libraries = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    first = ""
    while frame is not None:
        path = frame.f_code.co_filename
        where = f"{path}, line {frame.f_lineno},"
        if not _is_logging(frame):
            first = first or where
            if not path.startswith((*libraries, "<")):
                return where
        frame = frame.f_back
    return first


def heard(log: logging.Logger) -> bool:
    # Whether an error would be written to somewhere.
    handlers = [item for item in handlers_of(log) if not isinstance(item, logging.NullHandler)]
    return bool(handlers) and log.isEnabledFor(logging.ERROR)

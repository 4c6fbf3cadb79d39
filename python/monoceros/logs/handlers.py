"""logging's handlers for streams and files, over a Sink: they never wait.

Subclasses of the standard ones, because others look for these, their `stream`, and the names
that FileHandler has. Imported only where the module logging is.
"""

from __future__ import annotations

import logging
import os
import sys

from monoceros.logs import files
from monoceros.logs.sink import Sink, std_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _OverSink(logging.StreamHandler):  # type: ignore[type-arg]
    """What both kinds share. The class may be given to a handler that exists (see adopt)."""

    def find_sink(self) -> Sink | None:
        raise NotImplementedError

    def is_down(self) -> bool:
        sink = self.find_sink()
        return sink is not None and sink.is_down

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + self.terminator
            self.write_text(text)
        except Exception:
            self.handleError(record)

    def write_text(self, text: str) -> None:
        """Text for the same place as the log lines. Unlike emit(), raises what goes wrong."""
        sink = self.find_sink()
        if sink is None:
            self.stream.write(text)
            self.flush()
        else:
            encoding = getattr(self.stream, "encoding", None) or "utf-8"
            sink.write(text.encode(encoding, "backslashreplace"))


class StreamHandler(_OverSink):
    """Over standard output or error; over any other stream as logging has it."""

    def find_sink(self) -> Sink | None:
        return std_sink(self.stream)

    end = logging.Handler.close


class FileHandler(logging.FileHandler, _OverSink):
    """Appends to a file; reopen() starts it anew under the same name."""

    _sink: Sink | None = None
    _attached: Any = None
    emit = _OverSink.emit

    def _open(self) -> Any:
        how = {"encoding": self.encoding, "errors": self.errors, "opener": files.opener}
        return open(self.baseFilename, self.mode, **how)  # type: ignore[call-overload]

    def find_sink(self) -> Sink | None:
        if self.stream is None:
            self.stream = self._open()
        if self._attached is not self.stream:
            if self._sink is None:
                self._sink = Sink(self.stream.fileno(), own=True, name=self.baseFilename)
            else:
                self._sink.attach(self.stream.fileno(), own=True)
            self._attached = self.stream
        return self._sink

    def close(self) -> None:
        """An application that configures logging closes every handler: not ours, which end()s."""
        if not hasattr(self, "_gunicorn"):
            self.end()

    def end(self) -> None:
        sink, self._sink, self._attached = self._sink, None, None
        if sink is not None:
            sink.close()
        super().close()


def reopen(handler: logging.FileHandler, handed: int = -1) -> None:
    """The file by that name anew, or what the master has opened by that name. OSError: it cannot
    be opened, and the old one stays."""
    handler.acquire()
    try:
        if not handler.stream:
            return  # was never opened, or is closed
        if handed >= 0:
            fresh: Any = os.fdopen(
                os.dup(handed), handler.mode, encoding=handler.encoding, errors=handler.errors
            )
        else:
            fresh = handler._open()
        old, handler.stream = handler.stream, fresh
        if isinstance(handler, FileHandler):
            handler.find_sink()
        old.close()
    finally:
        handler.release()


def adopt(handlers: list[logging.Handler]) -> None:
    """Lets the plain handlers of a user's logging configuration never wait either; of those with a
    server behind them, the loss is said."""
    if "logging.handlers" in sys.modules:
        from monoceros.logs import destinations

        for handler in handlers:
            destinations.watch(handler)
    for handler in handlers:
        if type(handler) is logging.StreamHandler:
            handler.__class__ = StreamHandler
        elif type(handler) is logging.FileHandler and not handler.delay:
            handler.__class__ = FileHandler
        if isinstance(handler, (StreamHandler, FileHandler)):
            handler.find_sink()

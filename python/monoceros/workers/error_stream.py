"""ErrorStream: wsgi.errors, text for wherever the error log goes."""

from __future__ import annotations

import sys

from monoceros.logs.sink import std_sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class ErrorStream:
    """Each write goes out at once: to standard error if the error log is there, and to every
    handler of gunicorn.error that has a stream; to each place once. It does not wait where the
    log itself does not."""

    encoding = "utf-8"

    def __init__(self, worker: Any) -> None:
        self._cfg = worker.cfg
        self._log = worker.log

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__} (PEP 3333)")
        seen: list[Any] = []
        for handler in self._handlers():
            stream = getattr(handler, "stream", None)
            if stream is None or any(stream is other for other in seen):
                continue
            seen.append(stream)
            if hasattr(handler, "write_text"):
                handler.write_text(text)
            else:
                stream.write(text)
                stream.flush()
        if self._cfg.errorlog == "-" and not any(stream is sys.stderr for stream in seen):
            _to_stderr(text)
        return len(text)

    def _handlers(self) -> list[Any]:
        # While the logger is light, asking for error_log would import logging.
        if getattr(self._log, "_light", False):
            return []
        return list(self._log.error_log.handlers)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Nothing is kept back."""


def _to_stderr(text: str) -> None:
    sink = std_sink(sys.stderr)
    if sink is not None:
        sink.write(text.encode("utf-8", "backslashreplace"))
    elif sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()

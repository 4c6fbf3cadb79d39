"""Worker classes that are built on an installed gunicorn, or on nothing at all."""

from __future__ import annotations

import os

from monoceros.workers.workertmp import WorkerTmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros import _core


class AdoptedTmp(WorkerTmp):
    """The heartbeat of an adopted worker: into the scoreboard, not into its own file."""

    __slots__ = ("_file", "_worker")

    def __init__(self, worker: Any, file: Any) -> None:
        super().__init__()
        self._worker = worker
        self._file = file

    def notify(self) -> None:
        if self._worker.booted and not self._worker.said_ready:
            self._worker.set_ready()
        else:
            super().notify()

    def fileno(self) -> int:
        return int(self._file.fileno())

    def close(self) -> None:
        super().close()
        if self._file is not None:
            self._file.close()


class Adopted:
    """Mixed into a foreign worker class: what our master asks of a worker beyond gunicorn's."""

    slot: int | None = None
    scoreboard: _core.Scoreboard | None = None
    said_ready = False
    booted = False
    held = ""
    black_box = -1
    handover: Any = None
    tmp: Any = None
    _master_fd = -1

    def attach(
        self, scoreboard: _core.Scoreboard, slot: int, master_fd: int, relay: tuple[int, int]
    ) -> None:
        self.scoreboard = scoreboard
        self.slot = slot
        self._master_fd = master_fd
        self.tmp = AdoptedTmp(self, self.tmp)
        self.tmp.attach(scoreboard, slot)

    def notify(self) -> None:
        self.tmp.notify()

    def set_ready(self) -> None:
        """As Worker.set_ready: older workers may go."""
        self.said_ready = True
        if self.scoreboard is None or self.slot is None:
            return
        self.scoreboard.set_ready(self.slot)
        try:
            os.write(self._master_fd, b"\0")
        except OSError:
            pass


_adopted: dict[type, type] = {}


def adopted(cls: type) -> Any:
    """A class of the same name that our master can run; cls itself if it can already."""
    if hasattr(cls, "attach"):
        return cls
    made = _adopted.get(cls)
    if made is None:
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        made = _adopted[cls] = type(cls.__name__, (Adopted, cls), body)
    return made

"""Worker classes that are built on an installed gunicorn, or on nothing at all."""

from __future__ import annotations

from monoceros.workers.workertmp import WorkerTmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.workers.place import Place


class AdoptedTmp(WorkerTmp):
    """The heartbeat of an adopted worker: into the scoreboard, not into its own file."""

    __slots__ = ("_file", "_worker")

    def __init__(self, worker: Any, file: Any) -> None:
        super().__init__()
        self._worker = worker
        self._file = file

    def notify(self) -> None:
        if self._worker.booted and not self._worker.said_ready:
            self._worker.said_ready = True
            self._worker.place.set_ready()
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

    place: Place
    said_ready = False
    booted = False
    tmp: Any = None

    def attach(self, place: Place) -> None:
        self.place = place
        self.tmp = AdoptedTmp(self, self.tmp)
        self.tmp.attach(place.scoreboard, place.slot)

    def notify(self) -> None:
        self.tmp.notify()


_adopted: dict[type, type] = {}


def adopted(cls: type) -> Any:
    """A class of the same name that our master can run."""
    made = _adopted.get(cls)
    if made is None:
        body = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        made = _adopted[cls] = type(cls.__name__, (Adopted, cls), body)
    return made

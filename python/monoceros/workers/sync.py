"""SyncWorker: one request at a time; every connection, slow or idle, is the engine's."""

from __future__ import annotations

from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


class SyncWorker(EngineWorker):
    """The default worker: the main thread is the engine's pilot and runs the application."""

    slots = 1

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The application may have the thread for long: the drain does not wait for it."""
        super().handle_exit(sig, frame)
        if self.engine is not None:
            self.begin_drain()

"""SyncWorker: one request at a time; every connection, slow or idle, is the engine's."""

from __future__ import annotations

from monoceros.workers.runner import EngineWorker


class SyncWorker(EngineWorker):
    """The default worker: the main thread is the engine's pilot and runs the application."""

    slots = 1

    def _wake(self) -> None:
        """The application may have the thread for long: the drain does not wait for it, whoever
        has asked for it, a signal or a changed file."""
        super()._wake()
        if self.engine is not None and not self.alive:
            self.begin_drain()

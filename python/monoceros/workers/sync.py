"""SyncWorker: one request at a time; every connection, slow or idle, is the engine's."""

from __future__ import annotations

from monoceros.workers.runner import EngineWorker


class SyncWorker(EngineWorker):
    """The default worker: the main thread is the engine's pilot and runs the application."""

    slots = 1

"""What still runs when a worker's drain is out of time: interrupted, so that `finally` and close()
run before the master kills, and told."""

from __future__ import annotations

from _thread import get_ident

from monoceros import _core
from monoceros.errors import StopTimeout
from monoceros.host import unraisable
from monoceros.workers.base import OVERDUE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from types import FrameType
    from typing import Any


class Ending:
    """Of one worker. `pool`: the threads that run its requests; without one, the main thread."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._untold = 0
        self._interrupted: set[Any] = set()  # threads or greenlets
        self.pool: list[threading.Thread] | None = None
        self.signs: tuple[type[BaseException], ...] = (StopTimeout,)  # how a request ends by it
        unraisable.watch(StopTimeout, self._lost, OVERDUE)

    def handle(self, sig: int, frame: FrameType | None) -> None:
        """The signal's handler. The engine rings: requests are late, or the time is over. In the
        main thread, anywhere; as workers/deadlines.py says."""
        worker = self._worker
        if worker.deadlines is not None:
            worker.deadlines.handle(sig, frame)
        if worker.engine is None or not worker.engine.out_of_time:
            return
        from monoceros.workers import stacks

        unraisable.guard()
        if self.pool is not None:
            self._interrupt_pool(self.pool, stacks)
        elif not self._interrupted and stacks.in_application(frame):
            self.note(get_ident())
            raise StopTimeout

    def _interrupt_pool(self, pool: list[threading.Thread], stacks: Any) -> None:
        """As soon as they run Python code: what waits in C code goes on until the kill."""
        frames = stacks.current_frames()
        for thread in pool:
            ident: Any = thread.ident
            if ident not in self._interrupted and stacks.in_application(frames.get(ident)):
                self.note(ident)
                _core.raise_in_thread(ident, StopTimeout)

    def note(self, one: Any) -> None:
        """Once for each that is interrupted."""
        self._interrupted.add(one)
        self._untold += 1

    def _lost(self, error: StopTimeout) -> None:
        """In the thread in which Python has dropped it: the next ring finds it there again."""
        self._interrupted.discard(get_ident())
        self._untold -= 1  # below 0 where that was told

    def tell(self) -> None:
        if self._untold > 0:
            count, self._untold = self._untold, 0
            words = "1 request is ended" if count == 1 else f"{count} requests are ended"
            self._worker.log.warning("%s: graceful_timeout is over.", words)

    def ended(self, error: BaseException) -> bool:
        """Whether a request has failed by it, which is told."""
        engine = self._worker.engine
        return isinstance(error, self.signs) and engine is not None and engine.out_of_time

"""ThreadWorker: `threads` requests at once over one engine; idle connections cost no thread.

Every pool thread asks the engine for requests itself; whichever waits there is its pilot. The main
thread runs no requests: it beats the heart, handles signals and ends the worker.
"""

from __future__ import annotations

import os
import select
import threading

from monoceros.errors import StopTimeout
from monoceros.workers.base import Worker
from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.sock import BaseSocket
    from monoceros.workers.overrides import Connection, HandledRequest

BEAT_SECONDS_MAX = 1.0


class ThreadWorker(EngineWorker):
    """The worker of --threads."""

    def run(self) -> None:
        self.slots = self.cfg.threads
        self._counting = threading.Lock()
        self.start_engine()
        pool = self.ending.pool = [
            threading.Thread(target=self._run_thread, name=f"request-{number}", daemon=True)
            for number in range(self.slots)
        ]
        for thread in pool:
            thread.start()
        beat = min(BEAT_SECONDS_MAX, self.cfg.timeout / 2 or BEAT_SECONDS_MAX)
        while self.alive:
            self._wait(beat)
        self._end(pool, beat)

    def _wait(self, seconds: float) -> None:
        """Between two beats: signals and finished threads write to the worker's pipe."""
        self.notify()
        self.say_journal()
        self.check_master()
        readable, _, _ = select.select([self.PIPE[0]], [], [], seconds)
        if readable:
            os.read(self.PIPE[0], 4096)

    def runner_fd(self) -> int:
        """Pool threads go on: the main thread tells."""
        return self.PIPE[1]

    def _wake_on_signals(self) -> None:
        """The worker's pipe wakes the main thread, as set up before the application was loaded."""

    def _end(self, pool: list[threading.Thread], beat: float) -> None:
        assert self.engine is not None
        self.begin_drain()
        while any(thread.is_alive() for thread in pool) and self.is_draining():
            self._wait(min(beat, 0.1))
        self.say_journal()
        self.warn_of_open_connections()

    def _run_thread(self) -> None:
        """A pool thread: serves until the worker's end and until the last connection is gone."""
        assert self.engine is not None
        # This thread was started as one that is not waited for. What the application starts in it
        # takes over what it says now: that is waited for, as in other workers.
        me: Any = threading.current_thread()
        me._daemonic = False
        me.serves_requests = True
        try:
            while not self.engine.drained:
                try:
                    self._serve()
                except StopTimeout:
                    pass  # it came too late for the request that it was for
        except (SystemExit, KeyboardInterrupt):
            self.log.info("The application asked worker %s to leave", self.pid)
            self.alive = False
        finally:
            self._wake_main()

    def _serve(self) -> None:
        assert self.engine is not None
        if not self.alive:
            self.begin_drain()  # until then, serve_wsgi would return at once
        left = self.requests_left() if self.alive else 0
        if left:  # a share: all threads together shall not answer many more than allowed
            left = max(1, left // self.slots)
        answered = self.engine.serve_wsgi(self.wsgi, int(BEAT_SECONDS_MAX * 1000), left)
        with self._counting:
            self.nr += answered
            self.check_max_requests()

    def bracket(self, listener: BaseSocket, request: HandledRequest) -> None:
        from monoceros.workers.overrides import Connection

        self.handle(Connection(self, listener, request))

    def handle(self, conn: Connection) -> None:  # type: ignore[override]
        """gunicorn's for what a connection has sent; here it is called for each request."""
        self.handle_request(conn.request, conn)

    def handle_request(self, req: Any, conn: Any) -> Any:  # type: ignore[override]
        req.answer()
        return True

    def _wake_main(self) -> None:
        Worker._wake(self)

    def wake_to_tell(self) -> None:
        self._wake_main()

    def tell_overdue(self) -> None:
        """By the main thread alone, which is woken for it."""
        if threading.current_thread() is threading.main_thread():
            super().tell_overdue()

    def check_max_requests(self) -> None:
        was_alive = self.alive
        super().check_max_requests()
        if was_alive and not self.alive and self.engine is not None:
            self.engine.wake()
            self._wake_main()

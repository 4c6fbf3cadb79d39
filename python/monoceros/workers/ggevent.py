"""GeventWorker: a greenlet a request, over an engine that gevent's hub drives.

The hub watches the engine's descriptor; slow clients, keep-alive and limits are the engine's, so a
greenlet exists only while an application runs. Standard modules are patched before the application
is loaded, as gunicorn does it.
"""

from __future__ import annotations

import time

try:
    import gevent
    from gevent import event, monkey
    from gevent.hub import get_hub
except ImportError:
    raise RuntimeError(
        "The gevent worker needs gevent 24.10.1 or later: pip install gevent"
    ) from None

from monoceros import _core
from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


BEAT_SECONDS = 1.0


class GeventWorker(EngineWorker):
    """`worker_connections` greenlets at once; blocking calls of patched modules cooperate."""

    nested = True

    def patch(self) -> None:
        monkey.patch_all()

    def init_process(self) -> None:
        self.patch()
        gevent.reinit()
        self.slots = self.cfg.worker_connections
        super().init_process()

    def run(self) -> None:
        self.engine = self.open_engine()
        self._awake = event.Event()
        watcher = get_hub().loop.io(self.engine.fileno(), 1)
        watcher.start(self._turn)
        self._wake_on_signals()
        self._turn()
        while self.alive:
            self._beat(BEAT_SECONDS)
        self.engine.drain()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while not self.engine.drained and time.monotonic() < deadline:
            self._turn()
            self._beat(0.05)
        self.warn_of_open_connections()
        watcher.stop()

    def _beat(self, seconds: float) -> None:
        self.notify()
        self.say_journal()
        self.check_master()
        self._awake.wait(seconds)
        self._awake.clear()
        self._turn()  # deadlines pass without an event

    def _turn(self) -> None:
        """In the hub: hands what is ready to greenlets."""
        assert self.engine is not None
        fresh, again, _ = self.engine.turn()
        for exchange in fresh:
            gevent.spawn(self._handle, exchange)
        if again:
            get_hub().loop.run_callback(self._turn)

    def _handle(self, exchange: _core.Exchange) -> None:
        try:
            exchange.run_wsgi(self.wsgi)
        except (SystemExit, KeyboardInterrupt, gevent.GreenletExit):
            self.log.debug("A request ended its greenlet")
        self.nr += 1
        self.check_max_requests()
        if not self.alive:
            self._awake.set()

    def wait_room(self, exchange: _core.Exchange) -> None:
        """The reader is slow: this greenlet waits, others go on."""
        room = event.Event()
        exchange.waiter = room.set
        while not exchange.gone and not room.wait(BEAT_SECONDS):
            pass
        exchange.waiter = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        gevent.spawn(self._awake.set)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        gevent.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        gevent.spawn(super().handle_usr1, sig, frame)


class GeventPyWSGIWorker(GeventWorker):
    """gunicorn's name for gevent's own server; here the engine serves it as well."""

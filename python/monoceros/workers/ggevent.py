"""GeventWorker: a greenlet a request, over an engine that gevent's hub drives.

The hub watches the engine's descriptor; slow clients, keep-alive and limits are the engine's, so a
greenlet exists only while an application runs. Standard modules are patched before the application
is loaded, as gunicorn does it.
"""

from __future__ import annotations

import gc
import sys
import time
from _thread import get_ident as get_thread_ident

try:
    import gevent
    from gevent import event, monkey
    from gevent._hub_local import get_hub_if_exists as _get_hub
    from gevent.hub import RawGreenlet, get_hub
    from gevent.util import format_run_info
except ImportError:
    raise RuntimeError(
        "The gevent worker needs gevent 24.10.1 or later: pip install gevent"
    ) from None

from monoceros import _core
from monoceros.errors import RequestTimeout
from monoceros.host import departure, forked
from monoceros.workers import patching, stacks
from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from monoceros.sock import BaseSocket
    from monoceros.workers.gpywsgi import Servers
    from monoceros.workers.overrides import HandledRequest
    from monoceros.workers.stacks import Stack

BEAT_SECONDS = 1.0


def _leave_after(greenlet: Any) -> None:
    """Of a forked child: comes into being at once, and ends the process when the one greenlet that
    goes on in it has ended."""
    error: BaseException | None = None
    try:
        greenlet.switch()
    except BaseException as raised:  # gevent's own: there is no hub to report to
        error = getattr(greenlet, "exception", None) or raised
    forked.leave(error)


class GeventWorker(EngineWorker):
    """`worker_connections` greenlets at once; blocking calls of patched modules cooperate."""

    nested = True
    # Of gevent.pywsgi: a class that sets either is served by gevent's own server (gpywsgi.py).
    server_class: Any = None
    wsgi_handler: Any = None
    _quitting = False
    _servers: Servers | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.counts_requests = not cls.uses_pywsgi()

    @classmethod
    def uses_pywsgi(cls) -> bool:
        return cls.server_class is not None or cls.wsgi_handler is not None

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """In the master, at its start."""
        early = patching.too_early()
        if early:
            log.warning(
                "%s took SSLContext from ssl before gevent could patch it, so TLS fails there "
                "(RecursionError): begin the configuration file, or the program, with `from "
                "gevent import monkey; monkey.patch_all()`.",
                " and ".join(early[:3]),
            )
        if not cls.uses_pywsgi():
            return
        log.info("%s is served by gevent's own server (gevent.pywsgi).", cls.__name__)
        for name in ("request_timeout", "request_buffering", "warmup_path", "readiness_path"):
            if getattr(cfg, name):
                log.warning("%s has no effect on %s.", name, cls.__name__)

    @classmethod
    def patch_master(cls) -> None:
        """In the master, before it loads an application: as patch() does, but for the sockets."""
        nobody = cls.__new__(cls)
        nobody.sockets = []
        nobody.patch()

    def patch(self) -> None:
        monkey.patch_all()

    def init_process(self) -> None:
        self.patch()
        gevent.reinit()
        _core.keep_stack_chunks()
        self.slots = self.cfg.worker_connections
        super().init_process()

    def epolls(self) -> list[int]:
        return [get_hub().loop.fileno()]

    def in_forked_child(self) -> None:
        """Greenlets end with a fork, as threads do: those that wait are the parent's requests, and
        its worker. Only this one goes on, with a hub of its own."""
        hub = _get_hub()
        current = gevent.getcurrent()
        if hub is None or hub.thread_ident != get_thread_ident():
            return  # a thread of a pool
        if self._servers is not None:
            self._servers.forget_clients()
        hub.loop.reinit()
        if current is hub:
            hub.loop.run_callback(forked.leave)
            return
        gc.freeze()  # nobody's greenlet is collected, which would run it to its end
        if hub.parent is not current:
            if isinstance(current, gevent.Greenlet):
                current.unlink_all()  # who waits for it is not here
            last = RawGreenlet(_leave_after, hub.parent)
            last.switch(current)
            current.parent = last
            hub.parent = current
        hub._threadpool = hub._resolver = None
        # libuv can neither be forked nor left from inside its callbacks: there the hub stays, over
        # an empty epoll set, and only its timers still wake greenlets.
        if not type(hub.loop).__module__.startswith("gevent.libuv"):
            hub.destroy(destroy_loop=True)

    def run(self) -> None:
        self._awake = event.Event()
        if self.uses_pywsgi():
            from monoceros.workers.gpywsgi import Servers

            self._servers = Servers(self)
            return self._servers.run()
        self.start_engine()
        assert self.engine is not None
        watcher = get_hub().loop.io(self.engine.fileno(), 1)
        watcher.start(self._turn)
        self._turn()
        while self.alive:
            self._beat(BEAT_SECONDS)
        self.begin_drain()
        while self.is_draining() and not self.engine.out_of_time:
            self._turn()
            self._beat(0.05)
        self._end_requests()
        self.warn_of_open_connections()
        watcher.stop()

    def _end_requests(self) -> None:
        """Of a drain: the master is about to kill; iterables are closed before."""
        assert self.engine is not None
        greenlets = self.engine.tasks()
        if not greenlets:
            return
        self.ending.signs = (gevent.GreenletExit,)
        for greenlet in greenlets:
            self.ending.note(greenlet)
        self.ending.tell()
        gevent.killall(greenlets, timeout=max(0.05, self._end_at - time.monotonic()))
        self._turn()

    def _beat(self, seconds: float) -> None:
        self.notify()
        self.say_journal()
        self.check_master()
        self.wait_awake(seconds)
        self._turn()  # deadlines pass without an event

    def wait_awake(self, seconds: float) -> None:
        """Or until a signal, or the end, has to be looked at."""
        self._awake.wait(seconds)
        self._awake.clear()

    def wake_loop(self) -> None:
        """In the hub's thread."""
        self._awake.set()

    def _turn(self) -> None:
        """In the hub: hands what is ready to greenlets."""
        assert self.engine is not None
        fresh, again, _, news = self.engine.turn()
        spawn, handle = gevent.spawn, self._handle
        for exchange in fresh:
            exchange.task = spawn(handle, exchange)
        if again:
            get_hub().loop.run_callback(self._turn)
        if news:
            self._awake.set()

    def _handle(self, exchange: _core.Exchange) -> None:
        try:
            exchange.run_wsgi(self.wsgi)
        except departure.Exit:
            raise  # of the worker
        except (SystemExit, KeyboardInterrupt, gevent.GreenletExit):
            self.log.debug("A request ended its greenlet")
        self.nr += 1
        if self.nr >= self.max_requests:
            self.check_max_requests()
        if not self.alive:
            self._awake.set()

    def wait_event(self, exchange: _core.Exchange) -> None:
        """The client is slow: this greenlet waits, others go on. Those that read or write the same
        request share the event."""
        happened = event.Event() if exchange.waiter is None else exchange.waiter.__self__
        exchange.waiter = happened.set
        happened.wait(BEAT_SECONDS)
        if exchange.waiter == happened.set:
            exchange.waiter = None

    def bracket(self, listener: BaseSocket, request: HandledRequest) -> None:
        from monoceros.workers.overrides import Client

        client = Client(request)
        client.name = listener.getsockname()  # which gunicorn gives handle_request alone
        self.handle(listener, client, request.address)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.handle_request(client.name, client.request, client, addr)

    def waiting(self) -> str:
        return "\n".join(format_run_info(thread_stacks=False)) + "\n"

    # ---- request deadlines

    def is_running(self, exchange: _core.Exchange) -> bool:
        return exchange.task is gevent.getcurrent()

    def stack_of(self, exchange: _core.Exchange, frame: FrameType | None) -> Stack:
        running = self.is_running(exchange)
        return stacks.of_frame(frame if running else exchange.task.gr_frame)

    def others(self, late: list[_core.Exchange]) -> list[tuple[str, Stack]]:
        theirs = {id(exchange.task) for exchange in late}
        found: list[tuple[str, Stack]] = []
        for one in gc.get_objects():
            # By type(), because asking a proxy for its class could run anything.
            if not issubclass(type(one), gevent.Greenlet) or id(one) in theirs:
                continue
            if len(found) == stacks.TASKS_MAX:
                break
            found.append((f"Greenlet {id(one):#x}", stacks.of_frame(one.gr_frame)))
        return found

    def interrupt_soon(self, exchanges: list[_core.Exchange]) -> None:
        get_hub().loop.run_callback_threadsafe(self._interrupt, exchanges)

    def _interrupt(self, exchanges: list[_core.Exchange]) -> None:
        """In the hub."""
        for exchange in exchanges:
            if exchange.interrupt():
                exchange.task.throw(RequestTimeout.of(exchange))

    def wake_to_tell(self) -> None:
        get_hub().loop.run_callback_threadsafe(self._awake.set)

    def _wake(self) -> None:
        super()._wake()
        if hasattr(self, "_awake"):
            gevent.spawn(self._awake.set)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        if not self.booted:  # an application that loads may give no greenlet its time
            self.alive = False
            self.cfg.worker_int(self)
            sys.exit(0)
        if not self._quitting:  # a second greenlet would raise its SystemExit in the first's end
            self._quitting = True
            gevent.spawn(super().handle_quit, sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        gevent.spawn(super().handle_usr1, sig, frame)


class GeventPyWSGIWorker(GeventWorker):
    """gunicorn's name for gevent's own server; here the engine serves it as well, unless a subclass
    names a handler or a server."""


def __getattr__(name: str) -> Any:
    """gunicorn's names for what such subclasses build on."""
    if name in ("PyWSGIHandler", "PyWSGIServer"):
        from monoceros.workers import gpywsgi

        return getattr(gpywsgi, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

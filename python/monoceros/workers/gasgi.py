"""ASGIWorker: an asyncio (or uvloop) loop over the engine; a task a request.

The loop watches the engine's descriptor. receive() and send() are the core's: what can be answered
at once is, without a Future and without a turn of the loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from monoceros.workers import FOREIGN_WORKERS
from monoceros.workers.lifespan import Lifespan, LifespanFailure
from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from monoceros import _core
    from monoceros.sock import BaseSocket
    from monoceros.workers.asgi_hearing import Hearing

BEAT_SECONDS = 1.0
QUICK_SECONDS = 1.0  # what tasks get when the worker must leave at once
EAGER = sys.version_info >= (3, 12)


class ASGIWorker(EngineWorker):
    """Serves an ASGI 3 application."""

    nested = True
    stream_bodies = True

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """In the master, at its start."""
        if cfg.worker_class_str in FOREIGN_WORKERS:
            log.info("%s means monoceros' own asgi worker here.", cfg.worker_class_str)
        if cfg.threads > 1:
            log.warning("threads has no effect on asgi workers.")

    def init_process(self) -> None:
        self._open_loop()
        super().init_process()

    def take_over(self) -> None:
        """Instead of init_process's beginning: another worker's process has become ours."""
        self._open_loop()
        self._add_signals()

    def _open_loop(self) -> None:
        self.slots = self.cfg.worker_connections
        self.loop = self._make_loop()
        asyncio.set_event_loop(self.loop)

    def _make_loop(self) -> asyncio.AbstractEventLoop:
        if self.cfg.asgi_loop != "asyncio":
            try:
                import uvloop

                loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
                return loop
            except ImportError:
                if self.cfg.asgi_loop == "uvloop":
                    self.log.warning("uvloop is not installed: the asgi worker uses asyncio.")
        return asyncio.new_event_loop()

    # ---- what scopes have in common

    def base_scope(self, listener: BaseSocket) -> dict[str, Any]:
        name = listener.getsockname()
        inet = isinstance(name, tuple)
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "scheme": "http",
            "root_path": self.cfg.root_path,
            "server": (name[0], name[1]) if inet else (str(name), None),
        }

    # ---- life

    def run(self) -> None:
        """Serves until told to stop; then drains, and ends the application's lifespan."""
        try:
            self.loop.run_until_complete(self._serve())
        finally:
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.close()

    async def _serve(self) -> None:
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._quick = False
        lifespan = Lifespan(self.wsgi, self.cfg.asgi_lifespan, self.log)
        try:
            await lifespan.startup()
        except LifespanFailure as error:
            self.log.error("The application did not start: %s", error)
            sys.exit(3)
        self.engine = self.open_engine()
        scopes = [self.base_scope(listener) for listener in self.sockets]
        self.engine.set_asgi(self.loop, scopes, lifespan.state)
        self.loop.add_reader(self.engine.fileno(), self._turn)
        self._turn()
        while self.alive:
            await self._beat(BEAT_SECONDS)
        await self._drain()
        self.loop.remove_reader(self.engine.fileno())
        if not self._quick:
            await lifespan.shutdown()
        await lifespan.abandon()

    async def _beat(self, seconds: float) -> None:
        self.notify()
        self.say_journal()
        self.check_master()
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except asyncio.TimeoutError:
            pass
        self._awake.clear()
        self._turn()  # deadlines pass without an event

    async def _drain(self) -> None:
        assert self.engine is not None
        self.engine.drain()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while not (self.engine.drained and not self._tasks) and not self._quick:
            if time.monotonic() >= deadline:
                break
            await self._beat(0.05)
        self.warn_of_open_connections()
        if self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=QUICK_SECONDS)

    # ---- requests

    def _turn(self) -> None:
        assert self.engine is not None
        fresh, again, gone = self.engine.turn()
        for exchange in fresh:
            self._start(exchange)
        for exchange in gone:
            if exchange.task is not None:
                self._cancel_later(exchange.task)
        if again:
            self.loop.call_soon(self._turn)

    def _start(self, exchange: _core.Exchange) -> None:
        coroutine = self._handle(exchange)
        if EAGER:
            eager: dict[str, Any] = {"eager_start": True}  # unknown before Python 3.12
            task = asyncio.Task(coroutine, loop=self.loop, **eager)
            if task.done():
                return
        else:
            task = self.loop.create_task(coroutine)
        exchange.task = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel_later(self, task: asyncio.Task[None]) -> None:
        """The client has left: the application hears of it, then has a grace period."""
        grace = self.cfg.asgi_disconnect_grace_period
        if grace:
            self.loop.call_later(grace, task.cancel)
        else:
            task.cancel()

    async def _handle(self, exchange: _core.Exchange) -> None:
        failed = True
        scope = exchange.scope()
        send = exchange.send
        hearing = None
        try:
            if True in self.heard and scope["type"] == "http":
                hearing = self._listen(scope, send)
                send = hearing.send
            await self.wsgi(scope, exchange.receive, send)
            failed = False
        except asyncio.CancelledError:
            if not exchange.gone:
                self.log.warning("A request was cancelled: %s", _name(scope))
        except Exception as error:
            name = scope.get("method", "WEBSOCKET")
            self._handle_error(error, name, scope["path"], exchange.request_id)
        except (SystemExit, KeyboardInterrupt):
            self.log.info("The application asked worker %s to leave", self.pid)
            self.alive = False
        finally:
            exchange.task = None
            gone = exchange.gone
            if not exchange.close(failed) and not failed and not gone:
                self.log.error("The application left %s without a complete response.", _name(scope))
            if hearing is not None and self.heard[1]:
                self._after_request(*hearing.outcome())
            self.nr += 1
            self.check_max_requests()
            if not self.alive:
                self._awake.set()

    def _listen(self, scope: dict[str, Any], send: Any) -> Hearing:
        """The hook pre_request; what it raises, the request fails with."""
        from monoceros.workers.asgi_hearing import Hearing

        hearing = Hearing(scope, send)
        if self.heard[0]:
            self._before_request(hearing.environ)
        return hearing

    # ---- signals: the loop calls these between callbacks

    def init_signals(self) -> None:
        super().init_signals()
        self._add_signals()

    def _add_signals(self) -> None:
        # All but ABRT, which comes when the loop is stuck and calls nobody.
        add = self.loop.add_signal_handler
        add(signal.SIGTERM, self.handle_exit, signal.SIGTERM, None)
        add(signal.SIGINT, self.handle_quit, signal.SIGINT, None)
        add(signal.SIGQUIT, self.handle_quit, signal.SIGQUIT, None)
        add(signal.SIGUSR1, self.handle_usr1, signal.SIGUSR1, None)
        add(signal.SIGWINCH, self.handle_winch, signal.SIGWINCH, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        self._wake()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        self._quick = True
        self.cfg.worker_int(self)
        self._wake()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        self.cfg.worker_abort(self)
        os._exit(1)

    def _wake(self) -> None:
        awake = getattr(self, "_awake", None)
        if awake is not None:
            awake.set()


def _name(scope: dict[str, Any]) -> str:
    return f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"

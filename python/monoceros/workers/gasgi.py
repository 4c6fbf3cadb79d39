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
from _thread import get_ident

from monoceros import _core
from monoceros.errors import RequestTimeout
from monoceros.host import forked
from monoceros.workers import FOREIGN_WORKERS, stacks
from monoceros.workers.interface import as_asgi
from monoceros.workers.lifespan import Lifespan, LifespanFailure
from monoceros.workers.runner import EngineWorker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import FrameType
    from typing import Any

    from monoceros.sock import BaseSocket
    from monoceros.workers.asgi_hearing import Hearing
    from monoceros.workers.stacks import Stack

BEAT_SECONDS = 1.0
QUICK_SECONDS = 1.0  # what tasks get when the worker must leave at once
SLOTS_MAX = 1 << 30  # the engine's own limit is that of descriptors
# A name of its own would be formatted for every task; eager_start is unknown before Python 3.12.
TASK: dict[str, Any] = {"name": "request"}
if sys.version_info >= (3, 12):
    TASK["eager_start"] = True
# What Exchange.close() says, as bits.
ENDED_COMPLETE, ENDED_HTTP, ENDED_ROOM = 1, 2, 4
ANSWERED = ENDED_COMPLETE | ENDED_HTTP


class ASGIWorker(EngineWorker):
    """Serves an ASGI 3 application."""

    CALLED = ()
    nested = True
    stream_bodies = True
    changes_scope = False  # by _scope()

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
        self.keep_from_children()

    def epolls(self) -> list[int]:
        return forked.epoll_of(self.loop)

    def in_forked_child(self) -> None:
        if self.loop.is_running() and get_ident() == self._thread:
            forked.end_loop(self.loop)

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi = as_asgi(self.wsgi, getattr(self.app, "app_uri", None) or "The application")

    def make_fail_app(self, message: str) -> Any:
        body = message.encode()
        fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]

        async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 500, "headers": fields})
                await send({"type": "http.response.body", "body": body})

        return app

    def _open_loop(self) -> None:
        # An open WebSocket or event stream holds a slot: who did not ask for a limit gets none.
        limited = "worker_connections" in self.cfg.sources
        self.slots = self.cfg.worker_connections if limited else SLOTS_MAX
        self.loop = self._make_loop()
        asyncio.set_event_loop(self.loop)
        self._thread = get_ident()

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
            self.loop.run_until_complete(self._begin())
            self._run_through(self._serve())
            self._run_through(self._finish())
        finally:
            self._close_loop()

    def _run_through(self, part: Coroutine[Any, Any, None]) -> None:
        """An exit that the application raises anywhere in the loop, from a signal handler of its
        own for instance, is the wish to leave: in good order."""
        task = self.loop.create_task(part)
        while not task.done():
            try:
                self.loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                forked.leave_if_forked(self.pid, error)
                self.log.info("The application asked worker %s to leave", self.pid)
                self.alive = False
                self._wake()

    def _close_loop(self) -> None:
        """As asyncio.run ends: tasks that the application has left running are cancelled and
        awaited, so that what they have in `finally` runs."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=QUICK_SECONDS))
        for task in left:
            if not task.done():
                self.log.warning("A task did not end when it was cancelled: %r", task)
            elif not task.cancelled() and task.exception() is not None:
                self.log.error("A task failed when it was cancelled: %r", task.exception())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    async def _begin(self) -> None:
        self._awake = asyncio.Event()
        self._quick = False
        self._add_signals()
        self._lifespan = Lifespan(self.wsgi, self.cfg.asgi_lifespan, self.log)
        try:
            await self._lifespan.startup()
        except LifespanFailure as error:
            self.log.error("The application did not start: %s", error)
            sys.exit(3)
        self.start_engine()
        assert self.engine is not None
        scopes = [self.base_scope(listener) for listener in self.sockets]
        farewells = "sse_starlette" not in sys.modules or "stream_grace" in self.cfg.sources
        self.engine.set_asgi(self.loop, scopes, self._lifespan.state, farewells)
        watched = self._has_deadlines or True in self.heard or self.changes_scope
        self._answer = self._handle_watched if watched else self._handle
        self.loop.add_reader(self.engine.fileno(), self._turn)
        self._turn()

    async def _serve(self) -> None:
        while self.alive:
            await self._beat(BEAT_SECONDS)

    async def _finish(self) -> None:
        assert self.engine is not None
        await self._drain()
        self.loop.remove_reader(self.engine.fileno())
        if not self._quick:
            await self._lifespan.shutdown()
        await self._lifespan.abandon()

    async def _beat(self, seconds: float) -> None:
        self.notify()
        self.say_journal()
        self.check_master()
        self._stop_signal.keep()
        try:
            await asyncio.wait_for(self._awake.wait(), seconds)
        except asyncio.TimeoutError:
            pass
        self._awake.clear()
        self._turn()  # deadlines pass without an event

    async def _drain(self) -> None:
        assert self.engine is not None
        self.begin_drain()
        while (self.is_draining() or self.engine.running) and not self._must_hurry():
            if self.engine.farewell_said:
                self._stop_signal.tell()
            await self._beat(0.05)
        self._stop_signal.tell()
        if tasks := self.engine.tasks():
            if not self._quick:
                words = "%d requests are cancelled: graceful_timeout is over."
                self.log.warning(words, len(tasks))
            for task in tasks:
                task.cancel()
            left_s = QUICK_SECONDS if self._quick else (self._end_at - time.monotonic()) / 2
            await asyncio.wait(tasks, timeout=max(left_s, 0.05))
            self._turn()  # what they have said at their end
        self.warn_of_open_connections()

    def _must_hurry(self) -> bool:
        assert self.engine is not None
        return self._quick or self.engine.out_of_time or time.monotonic() >= self._end_at

    # ---- requests

    def _turn(self) -> None:
        assert self.engine is not None
        fresh, again, gone, news = self.engine.turn(self.slots)
        for exchange in fresh:
            exchange.task = asyncio.Task(self._answer(exchange), loop=self.loop, **TASK)
        for exchange in gone:
            if exchange.task is not None:
                self._cancel_later(exchange)
        if again:
            self.loop.call_soon(self._turn)
        if news:
            self._awake.set()

    def _cancel_later(self, exchange: _core.Exchange) -> None:
        """The client has left: the application hears of it, then has a grace period."""
        task = exchange.task

        def ended(_: asyncio.Task[None]) -> None:
            if exchange.abandon():  # it has not begun, and never comes to its end
                self._turn()

        task.add_done_callback(ended)
        grace = self.cfg.asgi_disconnect_grace_period
        if grace:
            self.loop.call_later(grace, task.cancel)
        else:
            task.cancel()

    async def _handle(self, exchange: _core.Exchange) -> None:
        """A request that nobody but the application hears of: the way that is short."""
        try:
            await self.wsgi(exchange.scope(), exchange.receive, exchange.send)
        except BaseException as error:
            self._end(exchange, error)
        else:
            ended = exchange.close(False)
            if ended == ANSWERED:
                self.nr += 1
                if self.nr >= self.max_requests or not self.alive:
                    self._look_at_life()
            else:
                self._settle(exchange, ended, False)

    async def _handle_watched(self, exchange: _core.Exchange) -> None:
        """A request with a deadline, or of which hooks or loggers hear."""
        if self._has_deadlines:
            exchange.task = asyncio.current_task(self.loop)  # eager tasks have just begun
            if not exchange.enter():
                self._settle(exchange, exchange.close(True), True)
                return
        hearing = None
        try:
            scope = self._scope(exchange)
            send = exchange.send
            if True in self.heard and scope["type"] == "http":
                hearing = self._listen(scope, send)
                send = hearing.send
            await self.wsgi(scope, exchange.receive, send)
        except BaseException as error:
            self._end(exchange, error)
        else:
            self._end(exchange, None)
        if hearing is not None and self.heard[1]:
            self._after_request(*hearing.outcome())

    def _end(self, exchange: _core.Exchange, error: BaseException | None) -> None:
        if self._has_deadlines and exchange.leave():
            self.tell_overdue()
        if error is not None:
            self._explain(exchange, error)
        failed = error is not None
        self._settle(exchange, exchange.close(failed), failed)

    def _settle(self, exchange: _core.Exchange, ended: int, failed: bool) -> None:
        """After close()."""
        if ended & ENDED_ROOM:
            self.loop.call_soon(self._turn)
        if not failed and not ended & ENDED_COMPLETE:
            _, method, path = exchange.about
            self.log.error("The application left %s %s without a complete response.", method, path)
        if ended & ENDED_HTTP:
            self.nr += 1
        self._look_at_life()

    def _look_at_life(self) -> None:
        self.check_max_requests()
        if not self.alive:
            self._awake.set()

    def _explain(self, exchange: _core.Exchange, error: BaseException) -> None:
        """What the application raised."""
        kind, method, path = exchange.about
        name = method, path
        if isinstance(error, asyncio.CancelledError):
            if not exchange.gone:
                self.log.warning("A request was cancelled: %s %s", *name)
        elif _is_departure(error, exchange.gone or kind == "websocket"):
            self.log.debug("The client left: %s %s", *name)
        elif isinstance(error, SystemExit | KeyboardInterrupt):
            forked.leave_if_forked(self.pid, error)
            self.log.info("The application asked worker %s to leave", self.pid)
            self.alive = False
        elif not isinstance(error, RequestTimeout | GeneratorExit):
            forked.leave_if_forked(self.pid, error)
            self._handle_error(error, method, path, exchange.request_id)

    def _scope(self, exchange: _core.Exchange) -> dict[str, Any]:
        scope = exchange.scope()
        if self._has_deadlines:
            scope["extensions"]["monoceros"]["extend_timeout"] = exchange.extend_timeout
        return scope

    def _listen(self, scope: dict[str, Any], send: Any) -> Hearing:
        """The hook pre_request; what it raises, the request fails with."""
        from monoceros.workers.asgi_hearing import Hearing

        hearing = Hearing(scope, send)
        if self.heard[0]:
            self._before_request(hearing.environ)
        return hearing

    # ---- request deadlines

    def waiting(self) -> str:
        return stacks.grouped(stacks.of_tasks(asyncio.all_tasks(self.loop)))

    def is_running(self, exchange: _core.Exchange) -> bool:
        return exchange.task is asyncio.current_task(self.loop)

    def stack_of(self, exchange: _core.Exchange, frame: FrameType | None) -> Stack:
        if self.is_running(exchange):
            return stacks.of_frame(frame)
        return stacks.of_coroutine(exchange.task.get_coro())

    def others(self, late: list[_core.Exchange]) -> list[tuple[str, Stack]]:
        theirs = {exchange.task for exchange in late}
        return stacks.of_tasks(asyncio.all_tasks(self.loop) - theirs)

    def interrupt_soon(self, exchanges: list[_core.Exchange]) -> None:
        self.loop.call_soon_threadsafe(self._interrupt, exchanges)

    def _interrupt(self, exchanges: list[_core.Exchange]) -> None:
        for exchange in exchanges:
            if exchange.interrupt():
                exchange.task.cancel()

    def _wake_on_signals(self) -> None:
        """The loop has its own way."""

    def wake_to_tell(self) -> None:
        self.loop.call_soon_threadsafe(self._awake.set)

    # ---- signals: plain handlers until the loop runs, which then calls these between callbacks

    def _add_signals(self) -> None:
        # In the running loop: uvloop forgets signals that come before it runs. All but ABRT, which
        # comes when the loop is stuck and calls nobody.
        add = self.loop.add_signal_handler
        self._stop_signal = StopSignal(self)
        add(signal.SIGINT, self.handle_quit, signal.SIGINT, None)
        add(signal.SIGQUIT, self.handle_quit, signal.SIGQUIT, None)
        add(signal.SIGUSR1, self.handle_usr1, signal.SIGUSR1, None)
        add(signal.SIGWINCH, self.handle_winch, signal.SIGWINCH, None)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        if not self.loop.is_running():
            super().handle_quit(sig, frame)  # which leaves
        self.alive = False
        self._quick = True
        self.cfg.worker_int(self)
        self._wake()

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        self.note_abort()
        self.cfg.worker_abort(self)
        os._exit(1)

    def _wake(self) -> None:
        """From any thread, too: the reloader's."""
        awake = getattr(self, "_awake", None)
        if awake is not None and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(awake.set)


class StopSignal:
    """TERM, as uvicorn's Server would have it: software that was written for uvicorn looks for one
    behind the signal's handler, or puts its own in the place of Server.handle_exit. sse-starlette
    does both, and ends its streams when should_exit is true."""

    def __init__(self, worker: ASGIWorker) -> None:
        self.should_exit = False
        self.force_exit = False
        self._captured_signals: list[int] = []
        self._worker = worker
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.siginterrupt(signal.SIGTERM, False)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Anywhere in the main thread; the worker hears of it from its loop."""
        worker = self._worker
        if not worker.loop.is_closed():
            worker.loop.call_soon_threadsafe(worker.handle_exit, sig, None)

    def keep(self) -> None:
        """An event loop's remove_signal_handler() leaves the default action, a sudden end."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self.handle_exit)

    def tell(self) -> None:
        """Streams are to end: not sooner than those that hear of it by http.disconnect, or one
        without an end would be cut that begins while the worker still accepts."""
        if self.should_exit:
            return
        self.should_exit = True
        uvicorn = sys.modules.get("uvicorn.server")
        if uvicorn is None:
            return
        try:
            uvicorn.Server.handle_exit(self, signal.SIGTERM, None)
        except Exception as error:
            self._worker.log.warning("uvicorn's Server.handle_exit failed: %r", error)


def _is_departure(error: BaseException, told: bool) -> bool:
    """Whether it says that the client has gone, and nothing else: send()'s exception, or what a
    framework made of it or, `told` so by receive(), raises by itself: Starlette's ClientDisconnect
    and WebSocketDisconnect. One that came in the way of another exception does not."""
    if parts := getattr(error, "exceptions", None):  # a group's
        return all(_is_departure(part, told) for part in parts)
    cause = error.__cause__ or error.__context__
    named = "Disconnect" in type(error).__name__
    if isinstance(error, _core.ClientDisconnected) or (told and named):
        return not isinstance(cause, Exception) or _is_departure(cause, told)
    renamed = isinstance(error, OSError) or named
    return renamed and cause is not None and _is_departure(cause, told)

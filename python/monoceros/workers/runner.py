"""EngineWorker: what sync and gthread share: the engine, its environ, its logs and its end."""

from __future__ import annotations

import os
import sys
import time

from monoceros import _core, compat
from monoceros.errors import RequestTimeout
from monoceros.host import departure
from monoceros.workers import choose, leaving
from monoceros.workers.base import OVERDUE, Worker
from monoceros.workers.ending import Ending
from monoceros.workers.error_stream import ErrorStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from monoceros.config import Config
    from monoceros.sock import BaseSocket
    from monoceros.workers.deadlines import Deadlines
    from monoceros.workers.overrides import HandledRequest
    from monoceros.workers.stacks import Stack
else:
    import _signal as signal  # signal itself imports enum and more

DEBUG = 10  # logging.DEBUG, without importing logging
# Of the log: by method, not by level, for loggers that count or override them.
JOURNAL_METHODS = {10: "debug", 20: "info", 30: "warning", 40: "error", 50: "critical"}
SERVE_MS_MAX = 1000  # how long one call into the core may last: the heart beats in between


_speak: Any = lambda say, text: say(text)  # noqa: E731 - in one line, as its copies are


def relay(say: Callable[[str], None], text: str, file: str, line: int, function: str) -> None:
    """Calls a logger's method from the place in the core that speaks: log records name that."""
    code = _speak.__code__.replace(co_filename=file, co_name=function, co_firstlineno=line)
    type(_speak)(code, {})(say, text)


class EngineWorker(Worker):
    """Runs a WSGI application over the C++ engine with `slots` requests at once."""

    counts_requests = True  # in the scoreboard
    serves_tls = True
    slots = 1
    nested = False  # an event loop drives the engine
    stream_bodies = False  # applications get requests at their heads
    engine: _core.Engine | None = None
    deadlines: Deadlines | None = None  # with request_timeout
    _access_in_core = False
    _logs_unrun = False  # answers that no application gave, in access lines of Python's
    _end_at = 0.0  # of the drain, monotonic; 0: it has not begun
    _for_good = False
    _tell_waits_at = 0.0  # monotonic, with _end_at; once
    # What may be overridden of gunicorn's.
    CALLED: tuple[str, ...] = ("handle", "handle_request", "handle_error")
    _hears_errors = False
    heard = (False, False)  # whether anybody in Python listens to requests: before, after

    @classmethod
    def turns_asgi(cls, cfg: Config, app: Any) -> bool:
        """Whether an asgi worker takes the place of this class, which nobody has asked for."""
        return choose.turns_asgi(cls.stream_bodies, cfg, app)

    def load_wsgi(self) -> None:
        """Loads the application. An asynchronous one makes this an asgi worker, unless another
        class was asked for."""
        super().load_wsgi()
        if not self.turns_asgi(self.cfg, self.wsgi):
            if not self.stream_bodies:
                choose.refuse_asgi(self)
            return
        if not self.cfg.preload_app:  # else the master has known it
            self.log.info("Using worker: asgi (the application is asynchronous; see -k asgi)")
        kind = choose.asgi_worker()
        self.__class__ = kind  # hooks and the master have this very object
        kind.take_over(self)

    def init_process(self) -> None:
        try:
            super().init_process()
        finally:
            self.close_access_log()

    def close_access_log(self) -> None:
        """However the worker ends: lines of the access log that found no room are counted."""
        if self.deadlines is not None:
            self.deadlines.close()
        if self.engine is not None:
            self.engine.close_access_log()
            self.say_journal()

    # ---- what the engine is made from

    def base_environ(self, listener: BaseSocket) -> dict[str, Any]:
        """The part of environ that is the same for every request of a listener (PEP 3333)."""
        name = listener.getsockname()
        is_inet = isinstance(name, tuple)
        return {
            "wsgi.errors": ErrorStream(self),
            "wsgi.version": (1, 0),
            "wsgi.multithread": self.slots > 1,
            "wsgi.multiprocess": self.cfg.workers > 1,
            "wsgi.run_once": False,
            "wsgi.file_wrapper": _core.FileWrapper,
            "wsgi.input_terminated": True,
            "wsgi.url_scheme": "http",
            "SERVER_SOFTWARE": compat.server_names()[1],
            "SERVER_NAME": name[0] if is_inet else str(name),
            "SERVER_PORT": str(name[1]) if is_inet else "",
            "SCRIPT_NAME": "",
        }

    def open_engine(self) -> _core.Engine:
        listeners = []
        for listener in self.sockets:
            environ = self.base_environ(listener)
            listeners.append((listener.fileno(), environ, environ["SERVER_PORT"] == ""))
        in_core = bool(getattr(self.log, "access_in_core", False)) and _core.Engine.can_format(
            self.cfg.access_log_format
        )
        self._access_in_core = in_core
        logs_here = self.log.access_log_enabled and not in_core
        self._logs_unrun = logs_here or self._has_statsd()
        # Without listeners to hear them, hooks and loggers cost nothing.
        debug = self.log.loglevel <= DEBUG
        before = debug or not self.cfg.is_default("pre_request")
        after = logs_here or self._has_statsd() or not self.cfg.is_default("post_request")
        self.heard = (before, after)
        names: set[str] = set()
        if not type(self).__module__.startswith("monoceros."):
            from monoceros.workers.overrides import own_names

            names = set(own_names(type(self))) & set(self.CALLED)
        self._hears_errors = "handle_error" in names
        return _core.Engine(
            self.cfg.freeze(),
            listeners,
            self._handle_error,
            before=self._before_request if before else None,
            after=self._after_request if after else None,
            wait=self.wait_event if self.nested else None,
            around=self._around_request if names else None,
            script_name=os.environ.get("SCRIPT_NAME", ""),
            server=compat.server_names()[0],
            slots=self.slots,
            shared=self.cfg.workers > 1,
            connections_max=self.connections_max(),
            access_log=in_core and self.log.access_log_enabled,
            keep_unrun=self._logs_unrun or self._hears_errors,
            access_fd=self.log.access_fd() if in_core else -1,
            nested=self.nested,
            stream_bodies=self.stream_bodies,
            place=self._place_of_engine(),
            runner_fd=self.runner_fd(),
            tls=self.place.tls if self.place is not None else None,
        )

    def connections_max(self) -> int:
        """How many connections this worker holds at most; 0: as many as descriptors allow, because
        an idle one costs next to nothing here and nobody has asked for a limit."""
        asked = "worker_connections" in self.cfg.sources
        return int(self.cfg.worker_connections) if asked else 0

    def runner_fd(self) -> int:
        """Where the engine writes a byte when it has something to tell to who does not drive it;
        -1: serve_wsgi returns, or the next beat finds it."""
        return -1

    def _place_of_engine(self) -> tuple[_core.Scoreboard, int, int, int, int, int, int] | None:
        """Where the engine stands in its server; None without one."""
        place = self.place
        if place is None:
            return None
        sender, receiver = (-1, -1) if self.nested else place.relay
        overdue = stuck = 0
        if self.cfg.request_timeout:
            from monoceros.workers import deadlines

            overdue, stuck = deadlines.numbers(place.black_box)
        elif not self.nested:
            overdue = OVERDUE
        return (place.scoreboard, place.slot, sender, receiver, place.master_fd, overdue, stuck)

    def start_engine(self) -> None:
        """The engine, and the signals that concern it; in the main thread."""
        self.ending = Ending(self)
        self.engine = self.open_engine()
        self.reopen_access_log()  # USR1 may have come meanwhile
        self._has_deadlines = self.cfg.request_timeout != 0  # asked for each request
        if self._has_deadlines and self.place is not None:
            from monoceros.workers.deadlines import Deadlines

            self.deadlines = Deadlines(self, self.place, self.engine)
            self.deadlines.open()
        if not self.nested and self.place is not None:
            signal.signal(OVERDUE, self.ending.handle)
        self._wake_on_signals()
        if self.cfg.warmup_path:
            self.engine.warm_up(self.cfg.warmup_path)
        if self.place is not None:
            self.place.scoreboard.note_senders(self.place.slot)
            self.engine.insure()
        self.notify()  # before the first request, which may hold the GIL for ever

    def _has_statsd(self) -> bool:
        return bool(self.cfg.statsd_host)

    def wait_event(self, exchange: _core.Exchange) -> None:
        """Nested workers: returns when something has happened to the exchange (room for output,
        more of its body, its client's leaving), or after a moment."""
        raise NotImplementedError

    def _wake_on_signals(self) -> None:
        """A signal ends the engine's wait, so that its Python handler runs at once."""
        assert self.engine is not None
        signal.set_wakeup_fd(self.engine.wakeup_fd, warn_on_full_buffer=False)

    def set_ready(self) -> None:
        """Not before the warm-up request has been answered."""
        if self.engine is None:  # gevent's own server
            return super().set_ready()
        status = self.engine.warmup_status if self.cfg.warmup_path else 200
        if status < 0:
            self.tmp.notify()
        elif 0 < status < 500:
            super().set_ready()
        else:
            said = f"answered with {status}" if status else "was not answered"
            self.log.error("The warm-up request for %s %s.", self.cfg.warmup_path, said)
            sys.exit(3)

    # ---- the serve loop

    def run(self) -> None:
        """Serves until told to stop, then answers what was begun, within graceful_timeout."""
        self.start_engine()
        turn_ms = SERVE_MS_MAX
        if self.cfg.timeout:
            turn_ms = min(turn_ms, self.cfg.timeout * 1000 // 2)
        while self.alive:
            self.turn(turn_ms)
        self.drain(turn_ms)

    def turn(self, milliseconds: int) -> None:
        """One call into the core, and what is to be done between two of them."""
        assert self.engine is not None
        self.notify()
        left = self.requests_left() if self.alive else 0
        self.nr += self.engine.serve_wsgi(self.wsgi, milliseconds, left)
        self.say_journal()
        self.check_max_requests()
        self.check_master()

    def requests_left(self) -> int:
        """How many requests may still be answered before max_requests; 0: any number."""
        return 0 if self.max_requests == sys.maxsize else max(1, self.max_requests - self.nr)

    def say_journal(self) -> None:
        """What the engine has to say goes to the error log."""
        assert self.engine is not None
        self.tell_overdue()
        self.ending.tell()
        for level, text, file, line, function in self.engine.take_journal():
            relay(getattr(self.log, JOURNAL_METHODS[level]), text, file, line, function)
        if self._logs_unrun or self._hears_errors:
            from monoceros.workers import access_lines, refusals

            for entry in self.engine.take_unrun():
                if self._logs_unrun:
                    access_lines.log(self, entry)
                if self._hears_errors:
                    refusals.tell(self, entry)

    def check_max_requests(self) -> None:
        if self.alive and self.nr >= self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def check_master(self) -> None:
        """Whether it is there, and what it wants: its signals may be the application's by now."""
        self.watch_signals()
        if not self.alive:
            return
        if os.getppid() != self.ppid:
            self.log.info("The master has gone: worker %s leaves", self.pid)
            self.alive = False
        elif self.told_to_leave():
            self.alive = False

    def drain(self, turn_ms: int) -> None:
        """No new connections; open ones get their answers, each the last of its connection."""
        self.begin_drain()
        while self.is_draining():
            self.turn(min(turn_ms, 100))
        self.warn_of_open_connections()

    def begin_drain(self) -> None:
        """For good where nobody accepts from our listeners after us; a drain that began otherwise
        may become one. Signal handlers call it too."""
        assert self.engine is not None
        for_good = self.server_stops() or bool(self.cfg.reuse_port)
        if self._end_at and (self._for_good or not for_good):
            return
        self._for_good = for_good
        hold_s = max(0.0, self._waits_until - time.monotonic())
        self.engine.drain(for_good, int(hold_s * 1000))
        if self._end_at:
            return  # the master's deadline stays as well
        grace = self.cfg.graceful_timeout
        grace_ends = time.monotonic() + grace + (self.cfg.drain_delay if for_good else 0)
        self._end_at = grace_ends + self.cfg.stream_grace
        self._tell_waits_at = grace_ends - grace + leaving.PATIENCE_SECONDS

    def is_draining(self) -> bool:
        """Whether there is still something to wait for. Call it between two turns."""
        assert self.engine is not None
        self.begin_drain()
        if time.monotonic() >= self._end_at or self.engine.drained:
            return False
        if time.monotonic() >= self._tell_waits_at:
            self._tell_waits_at = self._end_at
            leaving.tell_requests(self, self.engine.connections)
        return True

    def warn_of_open_connections(self) -> None:
        assert self.engine is not None
        left = self.engine.connections
        if left:
            self.log.warning("%d connections were still open after graceful_timeout.", left)

    # ---- what the engine calls

    def _handle_error(
        self,
        error: BaseException | None,
        method: str,
        uri: str,
        request_id: str,
        environ: dict[str, Any] | None = None,
    ) -> None:
        """None: the request ended as if it had not been interrupted."""
        if error is None or isinstance(error, RequestTimeout):
            return self.tell_overdue()
        if leave := departure.behind(error):
            raise leave from None  # nobody catches it here: it comes again
        if self.ending.ended(error):
            return None
        if self._hears_errors and environ is not None:
            from monoceros.workers.overrides import Client, HandledRequest

            request = HandledRequest(environ)
            trace = error.__traceback__
            try:
                raise error
            except BaseException:  # so that sys.exc_info() tells of it
                error.__traceback__ = trace
                return self.handle_error(request, Client(request), request.address, error)
        self.log_failure(error, method, uri, request_id)

    def log_failure(self, error: BaseException, method: str, uri: str, request_id: str) -> None:
        info = (type(error), error, error.__traceback__)
        words = "Error handling request %s %s (request id %s)"
        self.log.exception(words, method, uri, request_id, exc_info=info)

    # ---- what subclasses override of gunicorn's (overrides.py, which the others do not load)

    def _around_request(
        self, answer: Callable[[], None], environ: dict[str, Any], listener: int
    ) -> None:
        """In the thread or greenlet that runs the request: answer() does."""
        from monoceros.workers.overrides import HandledRequest

        self.bracket(self.sockets[listener], HandledRequest(environ, answer))

    def bracket(self, listener: BaseSocket, request: HandledRequest) -> None:
        """Calls what a subclass may have overridden, in gunicorn's way."""
        from monoceros.workers.overrides import Client

        self.handle(listener, Client(request), request.address)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """gunicorn's for a connection; here it is called for each request."""
        self.handle_request(listener, client.request, client, addr)

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> Any:
        """Runs the application and sends its answer, hooks and logs included."""
        req.answer()
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """The application has failed: says so. The core answers 500 where it still can. Without
        `req`, which could not be read, it has answered and said so."""
        if req is None:
            return
        request_id = req.environ.get("monoceros.request_id", "-")
        self.log_failure(exc, req.method, req.uri, request_id)

    def _before_request(self, environ: dict[str, Any]) -> None:
        from monoceros.http.message import Request

        self.cfg.pre_request(self, Request(environ))

    def _after_request(
        self, environ: dict[str, Any], status: str, fields: bytes, sent: int, microseconds: int
    ) -> None:
        from datetime import timedelta

        from monoceros.http.message import Request, Response

        request = Request(environ)
        response = Response(request, status, fields, sent)
        try:
            duration = timedelta(microseconds=microseconds)
            if not self._access_in_core:
                self.log.access(response, request, environ, duration)
            self.cfg.post_request(self, request, environ, response)
        except Exception:
            self.log.exception("Exception in post_request hook")

    # ---- request deadlines (docs/adr/0013): what workers/deadlines.py asks for

    def tell_overdue(self) -> None:
        if self.deadlines is not None:
            self.deadlines.tell()

    def wake_to_tell(self) -> None:
        """Ends the wait of the loop that calls say_journal()."""

    # The rest is for nested workers, whose requests are no threads. In the main thread's handler.

    def is_running(self, exchange: _core.Exchange) -> bool:
        """Whether it is the code that the main thread is in."""
        raise NotImplementedError

    def stack_of(self, exchange: _core.Exchange, frame: FrameType | None) -> Stack:
        """Where its task or greenlet is; frame: where the main thread is."""
        raise NotImplementedError

    def others(self, late: list[_core.Exchange]) -> list[tuple[str, Stack]]:
        """Name and stack of tasks or greenlets that are not of these requests."""
        return []

    def interrupt_soon(self, exchanges: list[_core.Exchange]) -> None:
        """Ends their tasks or greenlets, from the loop."""
        raise NotImplementedError

    # ---- signals

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.note_teller()
        super().handle_exit(sig, frame)
        self._wake()

    def _wake(self) -> None:
        super()._wake()
        if self.engine is not None:
            self.engine.wake()

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        super().handle_usr1(sig, frame)
        self.reopen_access_log()

    def reopen_access_log(self) -> None:
        if self.engine is not None and self._access_in_core:
            self.engine.reopen_access_log(self.log.access_fd())

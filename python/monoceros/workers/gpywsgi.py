"""gevent's own HTTP server over our sockets, for workers whose class names a handler or a server
(`wsgi_handler`, `server_class`), as GeventWebSocketWorker does.

The engine takes no part: parsing, keep-alive, the access log (the handler's log_request) and limits
are gevent's. Ours are the process, its heart (which beats in the hub, so a blocked hub is noticed),
worker_connections, max_requests and the drain.
"""

from __future__ import annotations

import os
import sys
import time

from monoceros import compat
from monoceros.host import forked, parting
from monoceros.http.wsgi import base_environ
from monoceros.workers.patching import part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from monoceros.contracts import GeventWorker

pywsgi: Any = part("pywsgi")
gsocket: Any = part("socket")
gevent: Any = sys.modules["gevent"]

BEAT_SECONDS = 1.0
STEP_SECONDS = 0.05


class PyWSGIHandler(pywsgi.WSGIHandler):  # type: ignore[misc]
    """gunicorn's: our access log, and two keys of environ."""

    def log_request(self) -> None:
        from datetime import timedelta

        status = self.status.decode() if isinstance(self.status, bytes) else self.status
        duration = timedelta(seconds=max(0.0, self.time_finish - self.time_start))
        response = _Response(status, self.response_headers or [], self.response_length)
        log = self.server.log
        log.access(response, list(self.headers.items()), self.environ or {}, duration)

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["gunicorn.sock"] = self.socket
        environ["RAW_URI"] = self.path
        return environ


class PyWSGIServer(pywsgi.WSGIServer):  # type: ignore[misc]
    """gunicorn's name for gevent's."""


class _Response:
    def __init__(self, status: str | None, headers: list[Any], sent: int) -> None:
        self.status = status
        self.headers = [(_text(name), _text(value)) for name, value in headers]
        self.sent = sent


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Watched:
    """Mixed into the handler's class: which connections wait for a request, and how many there
    were."""

    servers: Servers
    socket: Any
    rfile: Any
    greenlet: Any
    code: int
    response_headers: list[tuple[bytes, bytes]]

    def read_requestline(self) -> Any:
        """The connection waits for a request: the first, or the one after an answer. It does so
        until a byte of it is here: who is slow to say the rest is not idle."""
        self.greenlet = gevent.getcurrent()
        self.servers.idle[self] = time.monotonic()
        try:
            self.rfile.peek(1)
        finally:
            self.servers.idle.pop(self, None)
        return super().read_requestline()  # type: ignore[misc]

    def handle_one_response(self) -> None:
        self.servers.count_request()
        super().handle_one_response()  # type: ignore[misc]

    def finalize_headers(self) -> None:
        """A worker that stops says so: the client sends no other request here."""
        super().finalize_headers()  # type: ignore[misc]
        if self.servers.worker.alive or self.code == 101:
            return
        self.close_connection = True
        others = [field for field in self.response_headers if field[0].lower() != b"connection"]
        self.response_headers[:] = [*others, (b"Connection", b"close")]

    def handle(self) -> None:
        self.servers.open.add(self)
        try:
            super().handle()  # type: ignore[misc]
        finally:
            self.servers.open.discard(self)


class Guarded:
    """The application. In a child that it has forked there is no way back to gevent's server."""

    def __init__(self, application: Any) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return forked.within(self._application, environ, start_response)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._application, name)


class Servers:
    """Of one worker: a server a listener, all over one pool of greenlets."""

    def __init__(self, worker: GeventWorker) -> None:
        self.worker = worker
        self.pool = part("pool").Pool(worker.cfg.worker_connections)
        self.open: set[Any] = set()
        self.idle: dict[Any, float] = {}  # since when, in monotonic seconds
        self.parting = parting.Parting()
        handler = worker.wsgi_handler or PyWSGIHandler
        if issubclass(handler, pywsgi.WSGIHandler):
            body = {"servers": self, "__module__": handler.__module__}
            handler = type(handler.__name__, (Watched, handler), body)
        kind = worker.server_class or PyWSGIServer
        self.servers = [self._server(kind, handler, listener) for listener in worker.sockets]

    def _server(self, kind: Any, handler: Any, listener: Any) -> Any:
        environ = base_environ(self.worker.cfg)
        software = f"gevent/{gevent.__version__} {compat.server_names()[1]}"
        environ.update({"wsgi.multithread": True, "SERVER_SOFTWARE": software})
        listener.sock.setblocking(False)
        inner = listener.sock
        own = gsocket.socket(inner.family, inner.type, inner.proto, os.dup(inner.fileno()))
        return kind(
            own,
            application=Guarded(self.worker.wsgi),
            spawn=self.pool,
            log=self.worker.log,
            handler_class=handler,
            environ=environ,
        )

    def count_request(self) -> None:
        self.worker.nr += 1
        self.worker.check_max_requests()
        if not self.worker.alive:
            self.worker.wake_loop()

    # ---- life

    def run(self) -> None:
        """Serves until told to stop; requests in flight get graceful_timeout seconds."""
        for server in self.servers:
            server.start()
        worker = self.worker
        while worker.alive:
            self._beat(BEAT_SECONDS)
        grace = worker.cfg.graceful_timeout
        last = parting.last_seconds(grace)
        ends = time.monotonic() + worker.cfg.drain_delay + grace - last
        while worker.waits_for_master():
            self._beat(STEP_SECONDS)
        self._close_listeners()
        began = time.monotonic()
        while not (self.parting.go_on() and not len(self.pool)) and time.monotonic() < ends:
            self._part_from_idle(began)
            self._beat(STEP_SECONDS)
        if len(self.pool):
            words = "%d connections were still open after graceful_timeout."
            worker.log.warning(words, len(self.pool))
            self.pool.kill(block=True, timeout=last / 2)

    def _close_listeners(self) -> None:
        """Where nobody accepts after us, whoever the kernel has let in gets in first."""
        worker = self.worker
        for_good = worker.server_stops() or worker.cfg.reuse_port
        if for_good:
            for listener in worker.sockets:
                parting.accept_at_once(listener.sock)
            self._beat_for(parting.BACKLOG_SECONDS + worker.cfg.drain_delay)
        for server, listener in zip(self.servers, worker.sockets, strict=True):
            server.stop_accepting()
            if for_good:
                self._accept_rest(server)
            server.close()
            listener.sock.close()

    def _accept_rest(self, server: Any) -> None:
        while not self.pool.full():
            try:
                accepted = server.do_read()
            except OSError:
                return
            if not accepted:
                return
            server.do_handle(*accepted)

    def _beat(self, seconds: float) -> None:
        self.worker.notify()
        self.worker.check_master()
        self.worker.wait_awake(seconds)

    def _beat_for(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            gevent.sleep(STEP_SECONDS)
            self.worker.notify()

    def _part_from_idle(self, began: float) -> None:
        """Of a drain: what waits for a request had a moment for one that crosses our decision."""
        now = time.monotonic()
        for handler, since in list(self.idle.items()):
            patient = now < max(began, since) + parting.IDLE_SECONDS
            if patient or parting.has_unread(handler.socket):
                continue
            self.parting.add(handler.socket)
            gevent.get_hub().loop.run_callback(self._end_wait, handler)

    def _end_wait(self, handler: Watched) -> None:
        """In the hub: its greenlet ends as if the connection were broken."""
        if handler in self.idle:
            handler.greenlet.throw(ConnectionAbortedError)

    def forget_clients(self) -> None:
        """In a child that the application has forked: they are the parent's."""
        for handler in list(self.open):
            if getattr(handler, "socket", None) is not None:
                os.close(handler.socket.detach())

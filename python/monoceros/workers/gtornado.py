"""TornadoWorker: tornado's own HTTP server over our sockets, for WSGI and for tornado applications.

The engine takes no part: parsing, limits, keep-alive and logs are tornado's. Ours are the process,
its heart (which beats in the IOLoop, so a blocked loop is noticed), and the drain.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
import weakref
from _thread import get_ident

try:
    import tornado
    from tornado.httpserver import HTTPServer
    from tornado.httputil import HTTPMessageDelegate, HTTPServerConnectionDelegate
    from tornado.ioloop import IOLoop, PeriodicCallback
    from tornado.web import RequestHandler
    from tornado.wsgi import WSGIContainer
except ImportError:
    raise RuntimeError("The tornado worker needs tornado 6 or later: pip install tornado") from None

from monoceros import compat
from monoceros.host import departure, forked, parting
from monoceros.workers import choose, leaving
from monoceros.workers.base import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import FrameType
    from typing import Any

BEAT_MS = 1000
DRAIN_STEP_S = 0.05
ACCEPTED_AT_ONCE = 64
ACCEPTED_AT_LAST = 1024


class TornadoWorker(Worker):
    """Supervises tornado: `self.wsgi` may be either kind of application."""

    CALLED = ("handle_request",)  # of gunicorn's methods that may be overridden
    server: Server
    ioloop: IOLoop

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """In the master, at its start."""
        if cfg.request_buffering:
            log.warning(
                "request_buffering has no effect on tornado workers: WSGI applications get whole "
                "bodies, tornado's own handlers have stream_request_body."
            )
        if cfg.request_timeout:
            log.warning("request_timeout has no effect on tornado workers.")

    @classmethod
    def setup(cls) -> None:
        """In the master: tornado's handlers name both servers."""
        plain = RequestHandler.clear
        if hasattr(plain, "is_monoceros"):
            return

        def clear(self: RequestHandler) -> None:
            plain(self)
            if "Server" in self._headers:
                software = compat.server_names()[1]
                self._headers["Server"] = f"TornadoServer/{tornado.version} ({software})"

        clear.is_monoceros = True  # type: ignore[attr-defined]
        RequestHandler.clear = clear  # type: ignore[method-assign]

    def init_process(self) -> None:
        # Before the application is loaded: it may ask for IOLoop.current().
        asyncio.set_event_loop(asyncio.new_event_loop())
        self.ioloop = IOLoop.current()
        self._thread = get_ident()
        super().init_process()

    # ---- forks of the application (docs/adr/0018)

    def epolls(self) -> list[int]:
        return forked.epoll_of(asyncio.get_event_loop_policy().get_event_loop())

    def in_forked_child(self) -> None:
        server = getattr(self, "server", None)
        for stream in [] if server is None else list(server.streams):
            stream.socket.close()  # not IOStream.close(): its loop is the parent's
        loop = self.ioloop.asyncio_loop  # type: ignore[attr-defined]
        if loop.is_running() and get_ident() == self._thread:
            forked.end_loop(loop)

    # ---- life

    def run(self) -> None:
        """Serves until told to stop; requests in flight get graceful_timeout seconds."""
        app = self.wsgi
        if not isinstance(app, HTTPServerConnectionDelegate | WSGIContainer):
            app = WSGIContainer(self._guarded)
        self.server = Server(app, no_keep_alive=self.cfg.keepalive <= 0)
        self.server.worker = self
        self.server.limit = self.connections_max()
        for listener in self.sockets:
            listener.sock.setblocking(False)
            self.server.add_socket(listener.sock)
        self.ioloop.add_handler(self.PIPE[0], self._woken, IOLoop.READ)
        heart = PeriodicCallback(self._beat, BEAT_MS)
        heart.start()
        self.ioloop.add_callback(self._beat)
        self.ioloop.run_sync(self._until_told)
        heart.stop()

    async def _until_told(self) -> None:
        self._told = asyncio.Event()
        if self.alive:
            await self._told.wait()
        grace = self.cfg.graceful_timeout
        began = time.monotonic()
        ends = began + grace - parting.last_seconds(grace)  # the master counts from here, too
        while self.waits_for_master():
            await asyncio.sleep(DRAIN_STEP_S)
        if self.server_stops():
            ends += self.cfg.drain_delay
        await self._close_listeners()
        if self.place is not None:
            self.place.withdraw()
        closed = time.monotonic()
        tell_at = closed + leaving.PATIENCE_SECONDS
        while not self.server.part_from_idle(closed):
            now = time.monotonic()
            if now >= ends:
                break
            if now >= tell_at:
                tell_at = ends  # once
                leaving.tell_requests(self, len(self.server.busy))
            await asyncio.sleep(DRAIN_STEP_S)
        left = len(self.server.busy) + len(self.server.idle)
        if left:
            self.log.warning("%d connections were still open after graceful_timeout.", left)

    def connections_max(self) -> int:
        """What this worker holds at most; 0: nobody has asked for a limit."""
        return int(self.cfg.worker_connections) if "worker_connections" in self.cfg.sources else 0

    def load_wsgi(self) -> None:
        super().load_wsgi()
        choose.refuse_asgi(self)

    async def _close_listeners(self) -> None:
        """Where nobody accepts after us, whoever the kernel has let in gets in first."""
        self.server.last_answers()
        for_good = self.server_stops() or self.cfg.reuse_port
        if for_good:
            for listener in self.sockets:
                parting.accept_at_once(listener.sock)
            await asyncio.sleep(parting.BACKLOG_SECONDS + self.cfg.drain_delay)
            for listener in self.sockets:
                self.server.accept_rest(listener.sock)
        self.server.stop()

    def _beat(self) -> None:
        self.notify()
        self.watch_signals()
        if self.alive and os.getppid() != self.ppid:
            self.log.info("The master has gone: worker %s leaves", self.pid)
            self.leave()
        elif not self.alive or self.told_to_leave():  # the signal may have woken nobody
            self.leave()

    def _woken(self, fd: int, events: int) -> None:
        """A signal wrote to the pipe: its handler has run by now."""
        os.read(self.PIPE[0], 4096)
        if not self.alive:
            self.leave()

    def _guarded(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """In a child that the application forked there is no way back to tornado."""
        return forked.within(self._answered, environ, start_response)  # type: ignore[no-any-return]

    def _answered(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """The WSGI application. tornado would log an exception and leave the client waiting; it
        collects the whole answer in any case, so that 500 can take its place."""
        try:
            result = self.wsgi(environ, start_response)
            try:
                return [b"".join(result)]
            finally:
                if hasattr(result, "close"):
                    result.close()
        except Exception as error:
            forked.leave_if_forked(self.pid, error)
            if leave := departure.behind(error):
                raise leave from None
            self.log.exception("Error handling request %s", environ["PATH_INFO"])
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"Internal Server Error"]

    def leave(self) -> None:
        """Ends run() in good order. In the loop's thread."""
        self.alive = False
        self._told.set()

    def handle_request(self) -> None:
        """A request has begun."""
        self.nr += 1
        if self.alive and self.nr >= self.max_requests:
            self.log.info("Autorestarting worker after current request.")
            self.leave()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.alive:
            self.note_teller()
            super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        self.cfg.worker_int(self)
        sys.exit(0)


class Server(HTTPServer):
    """tornado's, which knows besides which of its connections are at a request."""

    worker: TornadoWorker
    limit = 0  # of connections; 0: none

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        self.open = 0
        self.paused: list[Any] = []  # listeners that are not watched: it is full
        self.resting: dict[Any, None] = {}  # idle since an answer, the longest first
        self.streams: weakref.WeakSet[Any] = weakref.WeakSet()
        self.idle: dict[Any, float] = {}  # since when, in monotonic seconds
        self.busy: dict[Any, Any] = {}  # with what answers the request
        self.parting = parting.Parting()

    def handle_stream(self, stream: Any, address: Any) -> None:
        self.streams.add(stream)
        self.open += 1
        stream.close_fd = Closer(stream, self)
        super().handle_stream(stream, address)

    def start_request(self, server_conn: Any, request_conn: Any) -> HTTPMessageDelegate:
        """The connection waits for a request: the first, or the one after an answer."""
        if server_conn in self.busy:
            del self.busy[server_conn]
            self.resting[server_conn] = None
            self.watch_again()
        self.idle[server_conn] = time.monotonic()
        inner = super().start_request(server_conn, request_conn)
        return Watched(inner, self, server_conn, request_conn)

    # ---- worker_connections

    def add_socket(self, sock: socket.socket) -> None:
        if not self.limit:
            return super().add_socket(sock)
        ioloop = self.worker.ioloop
        self._sockets[sock.fileno()] = sock
        self._handlers[sock.fileno()] = lambda: ioloop.remove_handler(sock)
        ioloop.add_handler(sock, self._accept, IOLoop.READ)

    def _accept(self, sock: Any, events: int) -> None:
        """Somebody waits in the kernel's queue. When it is full here, who has rested longest makes
        room; else another worker may have him, or he waits."""
        for _ in range(ACCEPTED_AT_ONCE):
            if self.open >= self.limit and not self._make_room():
                self.worker.ioloop.remove_handler(sock)
                self.paused.append(sock)
                return
            try:
                connection, address = sock.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            self._handle_connection(connection, address)

    def _make_room(self) -> bool:
        for connection in list(self.resting):
            if not connection.stream._read_buffer:  # else its next request is on its way
                del self.resting[connection]
                connection.stream.close()
                return True
        return False

    def watch_again(self) -> None:
        """There may be room."""
        for sock in self.paused:
            if not self._stopped:
                self.worker.ioloop.add_handler(sock, self._accept, IOLoop.READ)
        self.paused.clear()

    def on_close(self, server_conn: object) -> None:
        self.resting.pop(server_conn, None)
        self.busy.pop(server_conn, None)
        self.idle.pop(server_conn, None)
        super().on_close(server_conn)

    def last_answers(self) -> None:
        """From now on each answer says that it is the last of its connection."""
        self.conn_params.no_keep_alive = True
        for answering in self.busy.values():
            if answering._response_start_line is None:  # it has not promised to stay
                answering._disconnect_on_finish = True

    def accept_rest(self, listener: socket.socket) -> None:
        """Whoever stands in the kernel's queue."""
        for _ in range(ACCEPTED_AT_LAST):
            if self.limit and self.open >= self.limit:
                return
            try:
                connection, address = listener.accept()
            except OSError:
                return
            self._handle_connection(connection, address)

    def part_from_idle(self, began: float) -> bool:
        """Of a drain: what waits for a request had a moment for one that crosses our decision.
        Whether nobody is left."""
        now = time.monotonic()
        for connection, since in list(self.idle.items()):
            stream = connection.stream
            patient = now < max(began, since) + parting.IDLE_SECONDS
            if patient or stream.closed() or self._has_begun(stream):
                continue
            self.parting.add(stream.socket)
            stream.close_fd.parted = True
            stream.close()
        return self.parting.go_on() and not self.busy and not self.idle

    def _has_begun(self, stream: Any) -> bool:
        """Whether a part of a request is here."""
        return bool(getattr(stream, "_read_buffer_size", 0)) or parting.has_unread(stream.socket)


class Closer:
    """IOStream.close_fd: the FIN goes out even where a child holds the connection too."""

    def __init__(self, stream: Any, server: Server) -> None:
        self.stream = stream
        self.server = server
        self.parted = False  # the FIN is out; another descriptor listens on

    def __call__(self) -> None:
        sock = self.stream.socket
        if sock is not None:
            try:
                if not self.parted:
                    sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the peer has closed it, or it was reset
            sock.close()
            self.stream.socket = None
            self.server.open -= 1
            self.server.watch_again()


class Watched(HTTPMessageDelegate):
    """Tells the server that a request has begun; else the delegate it stands before."""

    def __init__(
        self, inner: HTTPMessageDelegate, server: Server, connection: Any, answering: Any
    ) -> None:
        self.inner = inner
        self.server = server
        self.connection = connection
        self.answering = answering

    def headers_received(self, start_line: Any, headers: Any) -> Awaitable[None] | None:
        self.server.resting.pop(self.connection, None)
        self.server.idle.pop(self.connection, None)
        self.server.busy[self.connection] = self.answering
        self.server.worker.handle_request()
        if self.server.conn_params.no_keep_alive and start_line.version == "HTTP/1.0":
            headers.pop("Connection", None)  # tornado would say Keep-Alive, and close
        return self.inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self.inner.data_received(chunk)

    def finish(self) -> None:
        self.inner.finish()

    def on_connection_close(self) -> None:
        self.inner.on_connection_close()

"""Worker classes as people wrote them for gunicorn, and what they serve."""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from gunicorn.workers.ggevent import GeventWorker
from gunicorn.workers.gthread import ThreadWorker
from gunicorn.workers.sync import SyncWorker


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise LookupError("on purpose")
    if path == "/slow":
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            time.sleep(0.01)
    start_response("200 OK", [])
    return [path.encode()]


class Counted:
    """What an exporter of metrics does."""

    log: Any

    @contextlib.contextmanager
    def counted(self, req: Any, addr: Any, where: Any) -> Iterator[None]:
        address = addr[0] if addr else "unix"
        self.log.info("before %s %s from %s at %s", req.method, req.path, address, where)
        try:
            yield
        finally:
            self.log.info("after %s", req.path)


class Sync(Counted, SyncWorker):  # type: ignore[misc]
    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> Any:
        with self.counted(req, addr, listener.getsockname()[1]):
            return super().handle_request(listener, req, client, addr)


class Thread(Counted, ThreadWorker):  # type: ignore[misc]
    def handle_request(self, req: Any, conn: Any) -> Any:
        with self.counted(req, conn.client, conn.server[1]):
            return super().handle_request(req, conn)


class Gevent(Counted, GeventWorker):  # type: ignore[misc]
    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        with self.counted(req, addr, listener_name[1]):
            return super().handle_request(listener_name, req, sock, addr)


class HandlesSync(SyncWorker):  # type: ignore[misc]
    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.log.info("handle %s %s", client.fileno() > 2, addr[0])
        super().handle(listener, client, addr)


class HandlesThread(ThreadWorker):  # type: ignore[misc]
    def handle(self, conn: Any) -> None:
        self.log.info("handle %s %s", conn.sock.fileno() > 2, conn.client[0])
        super().handle(conn)


class HandlesGevent(GeventWorker):  # type: ignore[misc]
    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self.log.info("handle %s %s", client.fileno() > 2, addr[0])
        super().handle(listener, client, addr)


class Reports:
    """What a reporter of errors does; one of them has a page of its own."""

    log: Any

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        assert sys.exc_info()[1] is exc
        self.log.info("reported %r of %s", exc, req.uri)
        if req.query == "page":
            client.sendall(b"HTTP/1.1 503 Sorry\r\nContent-Length: 5\r\n\r\nsorry")
        else:
            super().handle_error(req, client, addr, exc)  # type: ignore[misc]


class ReportsSync(Reports, SyncWorker):  # type: ignore[misc]
    pass


class ReportsThread(Reports, ThreadWorker):  # type: ignore[misc]
    pass


class ReportsGevent(Reports, GeventWorker):  # type: ignore[misc]
    pass


class Refusals:
    """Hears of requests that cannot be read, too: gunicorn gives None for the request."""

    log: Any

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        self.log.info("refused %s %s of %s (%s)", type(exc).__name__, req, addr[0], exc)
        super().handle_error(req, client, addr, exc)  # type: ignore[misc]


class RefusalsSync(Refusals, SyncWorker):  # type: ignore[misc]
    pass


class RefusalsThread(Refusals, ThreadWorker):  # type: ignore[misc]
    pass


class RefusalsGevent(Refusals, GeventWorker):  # type: ignore[misc]
    pass


class Swallows(SyncWorker):  # type: ignore[misc]
    """Does not let its users see what went wrong, nor that anything did."""

    def handle_request(self, listener: Any, req: Any, client: Any, addr: Any) -> Any:
        if req.path == "/never":
            return
        if req.path == "/itself":
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\nitself")
            return
        with contextlib.suppress(LookupError):
            super().handle_request(listener, req, client, addr)


class TooLate(Exception):
    pass


class Timed(ThreadWorker):  # type: ignore[misc]
    """As functions-framework does it: an exception in the thread."""

    def handle_request(self, req: Any, conn: Any) -> None:
        thread = ctypes.c_long(threading.get_ident())
        late = ctypes.py_object(TooLate)
        timer = threading.Timer(1, lambda: ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, late))
        timer.start()
        try:
            super().handle_request(req, conn)
        finally:
            timer.cancel()


class Odd(SyncWorker):  # type: ignore[misc]
    """Overrides what is never called here."""

    def accept(self, listener: Any) -> None:
        raise AssertionError

    def is_parent_alive(self) -> bool:
        raise AssertionError


class OddThread(ThreadWorker):  # type: ignore[misc]
    def enqueue_req(self, conn: Any) -> None:
        raise AssertionError

    def murder_keepalived(self) -> None:
        raise AssertionError


class OddGevent(GeventWorker):  # type: ignore[misc]
    def timeout_ctx(self) -> Any:
        raise AssertionError


class OwnRun(SyncWorker):  # type: ignore[misc]
    """Calls them itself."""

    def accept(self, listener: Any) -> None:
        raise AssertionError

    def run(self) -> None:
        super().run()

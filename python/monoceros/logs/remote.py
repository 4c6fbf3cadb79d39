"""Remote: a connected socket to a server of log lines or metrics (syslog, statsd).

Never waits, never raises. A server that is lost is said once, what was meant for it is counted, its
return is told (sink.announce). Called by handlers under their locks, by statsd from any thread.
"""

from __future__ import annotations

import _socket
import os
import time
from _thread import start_new_thread  # now: gevent may put greenlets in its place

from monoceros.logs.sink import announce

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECT_S = 0.5  # at the start; later nobody waits
RETRY_S = 1.0
RESOLVE_S = 30.0
SETTLE_S = 1.0  # how long it must take lines where a success may be none (UDP), or is none for long
AGAIN = (BlockingIOError, InterruptedError)


class Remote:
    """Owns its socket. `address`: a path or (host, port); `kinds`: of sockets, to be tried."""

    def __init__(self, name: str, things: str, address: Any, kinds: tuple[int, ...]) -> None:
        shown = address if isinstance(address, str) else "{}:{}".format(*address)
        self.name = f"{name} at {shown}"
        self.things = things
        self.address = address
        self.kinds = kinds
        self.raw: Any = None
        self._why: str | None = None
        self._lost = self._pending = 0
        self._good_since = self._settle_s = self._retry_at = self._resolve_at = 0.0
        self._born = self._pid = os.getpid()
        self._targets: list[tuple[Any, ...]] = []
        error = self._resolve() or self._open(CONNECT_S)
        if error is not None:
            self._fail(error, 0)

    @property
    def is_down(self) -> bool:
        return self._why is not None

    def send(self, data: bytes) -> None:
        if self._pid != os.getpid():
            self._forked()
        error = self._try(data)
        if error is not None and self.raw is None:
            error = self._open(0.0) or self._try(data)  # a server that has started anew
        if error is None:
            self._succeed()
        else:
            self._fail(error, 1)

    def close(self) -> None:
        raw, self.raw = self.raw, None
        if raw is not None:
            raw.close()

    # ---- the socket

    def _try(self, data: bytes) -> OSError | None:
        raw = self.raw
        if raw is None:
            return OSError("it is not connected")
        try:
            sent = raw.send(data)
        except OSError as error:
            datagrams = raw.type == _socket.SOCK_DGRAM and raw.family != _socket.AF_UNIX
            if not datagrams and not isinstance(error, AGAIN):
                self.close()
            return error
        if sent < len(data):  # of a stream: the rest would be taken for a line of its own
            self.close()
            return BlockingIOError("it does not read")
        return None

    def _resolve(self) -> OSError | None:
        if isinstance(self.address, str):
            self._targets = [(_socket.AF_UNIX, kind, self.address) for kind in self.kinds]
            return None
        host, port = self.address
        self._resolve_at = time.monotonic() + RESOLVE_S
        try:
            found = _socket.getaddrinfo(host, port, 0, self.kinds[0])
        except OSError as error:
            return error
        self._targets = [(family, kind, place) for family, kind, _, _, place in found]
        return None

    def _open(self, wait_s: float) -> OSError | None:
        # At most once a second.
        now = time.monotonic()
        failure = OSError("it is not connected")
        if now < self._retry_at:
            return failure
        self._retry_at = now + RETRY_S
        for family, kind, place in self._targets:
            raw = _socket.socket(family, kind)
            raw.settimeout(wait_s)
            try:
                raw.connect(place)
            except BlockingIOError:
                pass  # a connection on its way: send() will tell
            except OSError as error:
                raw.close()
                failure = error
                continue
            raw.setblocking(False)
            self.raw = raw
            return None
        self._resolve_later()
        return failure

    def _resolve_later(self) -> None:
        """Names may take long, and change. In workers only: the master has one thread."""
        master = self._pid == self._born
        if master or isinstance(self.address, str) or time.monotonic() < self._resolve_at:
            return
        self._resolve_at = time.monotonic() + RESOLVE_S
        start_new_thread(self._resolve, ())

    def _forked(self) -> None:
        # What was lost is the parent's to count; each process has a stream of its own.
        self._pid = os.getpid()
        self._lost = self._pending = 0
        if self.raw is not None and self.raw.type == _socket.SOCK_STREAM:
            self.close()

    # ---- what is said

    def _fail(self, error: OSError, count: int) -> None:
        self._lost += self._pending + count
        self._pending = 0
        self._good_since = 0.0
        inet = not isinstance(self.address, str) and self.kinds[0] == _socket.SOCK_DGRAM
        self._settle_s = SETTLE_S if inet or isinstance(error, AGAIN) else 0.0
        if self._why is None:
            full = isinstance(error, AGAIN)
            self._why = "it does not read" if full else (error.strerror or str(error))
            words = f"{self.things} for it are lost, and counted, until it can."
            announce(40, f"{self.name} cannot be reached: {self._why}. {words}")

    def _succeed(self) -> None:
        if self._why is None:
            return
        now = time.monotonic()
        if not self._good_since:
            self._good_since = now
        self._pending += 1  # over UDP a later refusal is its
        if now - self._good_since < self._settle_s:
            return
        lost, self._lost, self._pending, self._why = self._lost, 0, 0, None
        announce(30, f"{self.name} is reached again: {lost} {self.things} were lost.")

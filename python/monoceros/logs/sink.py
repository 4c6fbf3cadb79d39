"""Sink: log lines into a descriptor, without waiting for whoever is behind it.

A pipe that nobody reads, a stopped terminal or a slow disk must not stop a worker. So:
- pipes and terminals are opened again through /proc: a description of our own may be non-blocking
  (O_NONBLOCK on an inherited one would hit every process that shares it);
- each send to a socket is non-blocking by itself;
- files are written directly, until one write has taken longer than SLOW_WRITE_S.
What finds no room waits in a queue of at most QUEUE_BYTES_MAX; lines beyond it are dropped, counted
and, when there is room again, reported. A thread that empties the queue exists only while there
is something in it, and in workers only: the master must stay single-threaded, it tries again with
its next line. A descriptor that cannot be made non-blocking (a pipe of another user) is written
by that thread in workers and directly by the master.

Any thread may call write(), signal handlers too (hence the RLock). After a fork the child begins
anew: lines that wait are its parent's.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import RLock, start_new_thread
from stat import S_ISCHR, S_ISFIFO, S_ISSOCK

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections import deque
    from typing import Any
else:
    import _signal as signal  # signal itself imports enum and more
    from _collections import deque  # without the package around it

QUEUE_BYTES_MAX = 1024 * 1024
SLOW_WRITE_S = 0.02
DRAIN_S = 0.5  # how long the end of a process may wait for its last lines
RETRY_MS = 100
SEND_FLAGS = 0x4040  # MSG_NOSIGNAL | MSG_DONTWAIT, without importing _socket


class Sink:
    """Owns one descriptor number for its whole life; attach() changes what is behind it."""

    def __init__(self, fd: int, own: bool = False, follow: bool = False, name: str = "") -> None:
        """`own`: nobody else writes through this description. `follow`: another file may appear
        under this number (dup2): look before each line. `name`: for who is told of lost lines.
        OSError if `fd` is not open."""
        self.name = name or {1: "standard output", 2: "standard error"}.get(fd, f"descriptor {fd}")
        self._why: str | None = None  # it takes no lines at present
        self._complaint: str | None = None  # that, not yet told
        self._lock = RLock()
        self._queue: deque[bytes] = deque()
        self._queued = 0  # bytes in _queue
        self._threaded = False
        self._torn = False  # the disk became full in the middle of a line
        self._born = self._pid = os.getpid()
        self._dropped = self._reported = 0
        self._followed = fd if follow else -1
        self._fd = os.dup(fd)
        self._socket: Any = None
        self.attach(fd, own)

    # ---- what is behind it

    def attach(self, fd: int, own: bool = False) -> None:
        """Lines go to `fd` from now on, those that wait included."""
        found = os.fstat(fd)
        self._identity = (found.st_dev, found.st_ino)
        self._waits = False  # writing may take long: the thread's business
        self._is_socket = S_ISSOCK(found.st_mode)
        self._polls = True  # there is "no room" and "room again", and poll() tells
        if self._is_socket:
            os.dup2(fd, self._fd, inheritable=False)
            if self._socket is None:
                import _socket

                self._socket = _socket.socket(
                    _socket.AF_UNIX, _socket.SOCK_STREAM, 0, fileno=self._fd
                )
        elif not (S_ISFIFO(found.st_mode) or S_ISCHR(found.st_mode)):
            os.dup2(fd, self._fd, inheritable=False)
            self._polls = False
        elif own:
            os.dup2(fd, self._fd, inheritable=False)
            os.set_blocking(self._fd, False)
        else:
            self._open_again(fd)

    def _open_again(self, fd: int) -> None:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_APPEND
        try:
            fresh = os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:
            self._waits = True
            os.dup2(fd, self._fd, inheritable=False)
            return
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)

    def _follow(self) -> None:
        found = os.fstat(self._followed)
        if (found.st_dev, found.st_ino) != self._identity:
            self.attach(self._followed)

    # ---- writing

    def write(self, data: bytes) -> None:
        """Takes whole lines. Never raises OSError, never waits (but see above for the master)."""
        if self._pid != os.getpid():
            self._forked()
        with self._lock:
            try:
                if self._followed >= 0:
                    self._follow()
            except OSError:
                return  # closed by the application: there is no such log any more
            if not self._threaded:
                self._push()
            may_write = not self._queue and not (self._waits and self._is_worker())
            rest = self._put(data) if may_write else data
            if rest:
                self._enqueue(rest)
            lost = self._take_lost(rest)
        self._tell(lost)

    def _is_worker(self) -> bool:
        return self._pid != self._born

    def _put(self, data: bytes) -> bytes | None:
        """What of it found no room: b"" when all is written; None: it is lost."""
        whole = len(data)
        try:
            if self._torn:
                self._out(b"\n")
                self._torn = False
            while data:
                start = time.monotonic()
                count = self._out(data)
                if not self._polls and time.monotonic() - start > SLOW_WRITE_S:
                    self._waits = True
                data = data[count:]
        except BlockingIOError:
            return data
        except OSError as error:
            self._torn = self._torn or len(data) != whole
            self._drop(error.strerror or str(error))
            return None
        return b""

    def _out(self, data: bytes) -> int:
        if self._is_socket:
            return int(self._socket.send(data, SEND_FLAGS))
        return os.write(self._fd, data)

    def _push(self) -> None:
        """Writes of the queue what there is room for."""
        while self._queue:
            data = self._queue[0]
            rest = self._put(data)
            self._queued -= len(data) - len(rest or b"")
            if rest:
                self._queue[0] = rest
                return
            self._queue.popleft()

    def _enqueue(self, data: bytes) -> None:
        if self._queue and self._queued + len(data) > QUEUE_BYTES_MAX:
            self._drop("nobody reads it")
            return
        if not self._queue:
            import atexit

            atexit.unregister(self.drain)
            atexit.register(self.drain)
        self._queue.append(data)
        self._queued += len(data)
        if self._is_worker() and not self._threaded:
            self._start_thread()

    # ---- drops

    @property
    def is_down(self) -> bool:
        """Whether lines are lost at present."""
        return self._why is not None

    def _drop(self, why: str) -> None:
        self._dropped += 1
        if self._why is None:
            self._why = self._complaint = why

    def _take_lost(self, rest: bytes | None) -> int:
        """Lines to report now: there are some, and the last one has found its way."""
        if rest is None or self._queue:
            return 0
        self._why = None
        if self._dropped == self._reported:
            return 0
        lost, self._reported = self._dropped - self._reported, self._dropped
        return lost

    def _tell(self, lost: int) -> None:
        # Without the lock: the report is a line of a log, whose own lock others hold while they
        # wait for ours.
        complaint, self._complaint = self._complaint, None
        if not complaint and not lost:
            return
        if complaint:
            words = "Its lines are lost, and counted, until it can."
            announce(40, f"The log {self.name} cannot be written: {complaint}. {words}")
        if lost:
            before = self._dropped
            words = f"{lost} log lines were lost: no room for them"
            announce(30, f"{words} in {self.name}, which takes lines again.")
            if self._dropped != before:
                self._reported -= lost  # the report was lost as well

    @property
    def dropped(self) -> int:
        """Lines lost in this process."""
        return self._dropped

    # ---- the thread

    def _start_thread(self) -> None:
        self._threaded = True
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            start_new_thread(self._run, ())
        except RuntimeError:  # no more threads: as the master does
            self._threaded = False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._threaded = False
                    lost = self._take_lost(b"")
                    break
                data = self._queue[0]
            rest = self._put_when_ready(data)
            with self._lock:
                self._queued -= len(data) - len(rest or b"")
                if rest:
                    self._queue[0] = rest
                else:
                    self._queue.popleft()
        self._tell(lost)

    def _put_when_ready(self, data: bytes) -> bytes | None:
        if self._polls and not self._waits:
            import select

            poller = select.poll()
            poller.register(self._fd, select.POLLOUT)
            poller.poll(RETRY_MS)
        return self._put(data)

    # ---- the end, and a new beginning

    def drain(self, seconds: float = DRAIN_S) -> bool:
        """Waits until all is written or the time is over; False: something is left."""
        deadline = time.monotonic() + seconds
        while self._queue and self._pid == os.getpid():
            with self._lock:
                if not self._threaded:
                    self._push()
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        self.drain()
        with self._lock:
            self._queue.clear()
            if self._socket is not None:
                self._socket.detach()
            os.close(self._fd)
        import atexit

        atexit.unregister(self.drain)

    def _forked(self) -> None:
        self._lock = RLock()
        self._queue.clear()
        self._queued = self._dropped = self._reported = 0
        self._threaded = False
        self._pid = os.getpid()


_std: dict[int, Sink] = {}


def std_sink(stream: Any) -> Sink | None:
    """The sink under sys.stdout or sys.stderr; None for any other stream, or without one."""
    if stream is None or stream not in (sys.__stdout__, sys.__stderr__):
        return None
    try:
        fd = stream.fileno()
        if fd not in _std:
            _std[fd] = Sink(fd, follow=True)
    except (OSError, ValueError):
        return None
    return _std[fd]


LEVELS = {40: "ERROR", 30: "WARNING"}


def announce(level: int, text: str) -> None:
    """Tells of a lost log, to what still works: the other handlers of the error log, else standard
    error. Not through the logger: see losses. From any thread; never raises."""
    from monoceros.logs import losses

    if not losses.hand_over(level, text):
        to_stderr(level, text)


def to_stderr(level: int, text: str) -> None:
    # As the error log would have it. On a broken standard error there is nobody to tell.
    line = f"{time.strftime('[%Y-%m-%d %H:%M:%S %z]')} [{os.getpid()}] [{LEVELS[level]}] {text}\n"
    sink = std_sink(sys.stderr)
    if sink is not None:
        if not sink.is_down:
            sink.write(line.encode("utf-8", "backslashreplace"))
    elif sys.stderr is not None:
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, ValueError):
            pass

"""Worker: what every kind of worker is, with gunicorn's attributes and methods.

Built in the master, before the fork; everything else runs in the worker's process. Subclasses
override run(), and may override any method here; init_process() is to be called last.
"""

from __future__ import annotations

import os
import sys
import time

from monoceros import _core, util
from monoceros.host import departure, forked
from monoceros.workers.workertmp import WorkerTmp

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from monoceros.config import Config
    from monoceros.contracts import Application
    from monoceros.glogging import Logger
    from monoceros.sock import BaseSocket
    from monoceros.workers.place import Place
else:
    import _signal as signal  # signal itself imports enum and more


OVERDUE = signal.SIGRTMIN + 5  # the engine to the main thread: requests are overdue
MASTER_SECONDS = 1.0  # how long a worker that others have told to leave waits for its master


class Worker:
    """One worker process. Raise SystemExit(3) from run() for "this can never work"."""

    SIGNALS = [
        getattr(signal, f"SIG{name}")
        for name in ("ABRT", "HUP", "QUIT", "INT", "TERM", "USR1", "USR2", "WINCH", "CHLD")
    ]
    HANDLERS = {
        signal.SIGQUIT: "handle_quit",
        signal.SIGINT: "handle_quit",
        signal.SIGTERM: "handle_exit",
        signal.SIGWINCH: "handle_winch",
        signal.SIGUSR1: "handle_usr1",
        signal.SIGABRT: "handle_abort",
    }
    PIPE: list[int] = []

    def __init__(  # noqa: PLR0917 - the order is the one that worker classes are called with
        self,
        age: int,
        ppid: int,
        sockets: list[BaseSocket],
        app: Application,
        timeout: float | None,
        cfg: Config,
        log: Logger,
    ) -> None:
        """timeout: half of the configured one, in seconds: how long to wait between beats."""
        self.age = age
        self.pid: int | str = "[booting]"
        self.ppid = ppid
        self.sockets = sockets
        self.app = app
        self.timeout = timeout
        self.cfg = cfg
        self.log = log
        self.booted = False
        self.aborted = False
        self.alive = True
        self.reloader: Any = None
        self.wsgi: Any = None
        self.nr = 0
        self.max_requests = _threshold(cfg.max_requests, cfg.max_requests_jitter)
        self.tmp = WorkerTmp()
        self.wait_fds: list[Any] = []
        self.place: Place | None = None  # None: it was not started by a master
        self._said_ready = False
        self._waits_until = 0.0  # for the master's word, monotonic

    def __str__(self) -> str:
        return f"<Worker {self.pid}>"

    def attach(self, place: Place) -> None:
        """From the master, before the fork."""
        self.place = place
        self.tmp.attach(place.scoreboard, place.slot)

    # ---- heart

    def notify(self) -> None:
        """The worker is alive. The first beat after booting also says that it serves."""
        if self.booted and not self._said_ready:
            self.set_ready()
        else:
            self.tmp.notify()

    def set_ready(self) -> None:
        """Tells the master that requests are answered from now on: older workers may go."""
        self._said_ready = True
        if self.place is not None:
            self.place.set_ready()

    # ---- life

    def run(self) -> None:
        """Serves until self.alive is false."""
        raise NotImplementedError

    def init_process(self) -> None:
        """All that a worker does between the fork and its serve loop."""
        for name, value in self.cfg.env.items():
            os.environ[name] = value
        util.set_owner_process(self.cfg.uid, self.cfg.gid, initgroups=self.cfg.initgroups)
        self._die_with_master()
        util.seed()
        self.PIPE = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        for listener in self.sockets:
            util.close_on_exec(listener)
        self.log.close_on_exec()
        self.wait_fds = [*self.sockets, self.PIPE[0]]
        self.init_signals()
        self.open_black_box()
        self.keep_from_children()
        self._make_reloader()
        self.load_wsgi()
        if self.reloader:
            self.reloader.start()
        forked.within(self.cfg.post_worker_init, self)
        self.booted = True
        self.run()

    def open_black_box(self) -> None:
        """Fatal signals, and the abort of a stuck worker, leave every thread's stack there, even
        while C code holds the GIL. After init_signals: Python's own handlers run after it."""
        if self.place is None or self.place.black_box < 0:
            return
        import faulthandler

        if faulthandler.is_enabled():
            faulthandler.disable()
        faulthandler.enable(file=self.place.black_box, all_threads=True)

    def keep_from_children(self) -> None:
        """Of this process's own; again when there is more."""
        place = self.place
        own = [*self.PIPE, *(place.fds() if place is not None else [])]
        signals = (number for number in self.SIGNALS if number != signal.SIGCHLD)
        forked.keep(
            place.scoreboard if place is not None else None,
            [*self.sockets, *own],
            [*signals, OVERDUE],
            self.epolls(),
            self.in_forked_child,
        )

    def epolls(self) -> list[int]:
        """The epoll sets of event loops that run here."""
        return []

    def in_forked_child(self) -> None:
        """In a child that the application has forked, first of all."""

    def waiting(self) -> str:
        """Where what is no thread waits: tasks, greenlets. Only Python can tell."""
        return ""

    def _die_with_master(self) -> None:
        # Again after the change of user, which clears it.
        _core.set_parent_death_signal(signal.SIGKILL)
        if os.getppid() != self.ppid:
            self.log.info("The master is gone: worker %s leaves", self.pid)
            sys.exit(0)

    def _make_reloader(self) -> None:
        if not self.cfg.reload:
            return
        from monoceros.reloader import reloader_engines

        def changed(fname: str) -> None:
            """In the reloader's thread, which ends with it."""
            self.log.info("Worker reloading: %s modified", fname)
            self.alive = False
            try:
                self.cfg.worker_int(self)
            except Exception:
                self.log.exception("The hook worker_int failed")
            self._wake()  # last: the process may end at once

        self.log.warning("The worker reloads when files change: this is for development only.")
        engine = reloader_engines[self.cfg.reload_engine]
        self.reloader = engine(extra_files=self.cfg.reload_extra_files, callback=changed)

    def _wake(self) -> None:
        """Ends the wait of run(), which is to look at self.alive. From any thread."""
        try:
            os.write(self.PIPE[1], b"1")
        except BlockingIOError:
            pass  # full: it is awake

    def load_wsgi(self) -> None:
        """Loads the application; with reload, a syntax error becomes the answer to requests."""
        try:
            self.wsgi = load_heard(self.log, forked.within, self.app.wsgi)
        except SyntaxError as error:
            if not self.cfg.reload:
                raise
            self.log.exception(error)
            import traceback

            if self.reloader is not None and error.filename is not None:
                self.reloader.add_extra_file(error.filename)
            self.wsgi = self.make_fail_app(traceback.format_exc())

    def make_fail_app(self, message: str) -> Any:
        """The application that stands in for one with a syntax error."""
        return util.make_fail_app(message)

    # ---- signals

    def init_signals(self) -> None:
        """Handlers of the worker; replace them here, not in run()."""
        for number in self.SIGNALS:
            if number not in self.HANDLERS:
                signal.signal(number, signal.SIG_DFL)
        for number, name in self.HANDLERS.items():
            signal.signal(number, departure.handler(self._handler(name)))
        signal.siginterrupt(signal.SIGTERM, False)
        signal.siginterrupt(signal.SIGUSR1, False)
        if self.PIPE:
            signal.set_wakeup_fd(self.PIPE[1], warn_on_full_buffer=False)

    def _handler(self, name: str) -> Callable[[int, FrameType | None], None]:
        """Looked up when the signal comes: the worker may be of another class by then
        (EngineWorker.load_wsgi)."""

        def handle(sig: int, frame: FrameType | None) -> None:
            getattr(self, name)(sig, frame)

        return handle

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        self.log.reopen_files()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        if not self.booted:  # an application that is still loading has nothing to finish
            sys.exit(0)

    def server_stops(self) -> bool:
        """Whether the master has said that nobody serves after us."""
        return self.place is not None and self.place.stopping()

    def told_to_leave(self) -> bool:
        """Whether the master has told us, whoever has heard the signal."""
        return self.place is not None and self.place.leaving()

    def watch_signals(self) -> None:
        """Between two beats: comes before whatever handlers the application has set meanwhile. A
        TERM that these have swallowed is heard here."""
        if self.place is not None and self.place.take_term() and self.alive:
            self.handle_exit(signal.SIGTERM, None)

    def note_teller(self) -> None:
        """After a TERM. One that is not from the master may be meant for the whole server: systemd
        and others tell all its processes at once. Then the master's word follows, and this worker
        stays for it, a moment at most: if it left first, who stands in the kernel's queue would be
        lost."""
        if self.place is None or not self._said_ready:
            return
        if not self.place.stopping() and not self.place.leaving():
            self._waits_until = time.monotonic() + MASTER_SECONDS

    def waits_for_master(self) -> bool:
        """As note_teller says: still, and its word has not come."""
        return time.monotonic() < self._waits_until and not self.server_stops()

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        self.cfg.worker_int(self)
        time.sleep(0.1)
        sys.exit(0)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        self.alive = False
        self.note_abort()
        self.cfg.worker_abort(self)
        sys.exit(1)

    def note_abort(self) -> None:
        """Adds to the black box what faulthandler cannot tell."""
        if self.place is not None and self.place.black_box >= 0:
            os.write(self.place.black_box, self.waiting().encode("utf-8", "replace"))

    def handle_winch(self, sig: int, frame: FrameType | None) -> None:
        self.log.debug("worker: SIGWINCH ignored.")

    # ---- errors of requests, for workers that read requests in Python

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answers with an error page on the raw connection and logs why."""
        self.log.exception("Error handling request %s", getattr(req, "uri", "(no URI read)"))
        try:
            util.write_error(client, 500, "Internal Server Error", "")
        except OSError:
            self.log.debug("The error page could not be sent.")


def _threshold(max_requests: int, jitter: int) -> int:
    """After how many requests a worker leaves; sys.maxsize: never."""
    if max_requests <= 0:
        return sys.maxsize
    if jitter <= 0:
        return max_requests
    return max_requests + int.from_bytes(os.urandom(4), "little") % (jitter + 1)


def load_heard(log: Any, load: Any, *args: Any) -> Any:
    """Loads an application, which may end what is written to the log: that is said."""
    if not hasattr(log, "tell_unheard"):  # somebody's own class
        return load(*args)
    before = log.heard()
    try:
        return load(*args)
    finally:
        log.tell_unheard(before)
